"""The published architectures in tf-keras, which wrote the files of their repositories."""

import numpy as np


def softmax(x):
    import tf_keras

    return tf_keras.activations.softmax(x, axis=4)


def synthseg(features, labels, channels=1):
    """SynthSeg's U-Net, with its softmax in a Lambda layer."""
    import tf_keras as keras

    layers, levels = keras.layers, len(features)
    x = image = keras.Input((None, None, None, channels), name="unet_input")
    kept = {}
    for level in range(levels):
        for n in (0, 1):
            name = f"unet_conv_downarm_{level}_{n}"
            x = kept[name] = layers.Conv3D(
                features[level], 3, padding="same", activation="elu", name=name
            )(x)
        x = layers.BatchNormalization(axis=-1, name=f"unet_bn_down_{level}")(x)
        if level < levels - 1:
            x = layers.MaxPooling3D(2, padding="same", name=f"unet_maxpool_{level}")(x)
    for n in range(levels - 1):
        x = layers.UpSampling3D(2, name=f"unet_up_{levels + n}")(x)
        skip = kept[f"unet_conv_downarm_{levels - 2 - n}_1"]
        x = layers.concatenate([skip, x], name=f"unet_merge_{levels + n}")
        for m in (0, 1):
            name = f"unet_conv_uparm_{levels + n}_{m}"
            width = features[levels - 2 - n]
            x = layers.Conv3D(width, 3, padding="same", activation="elu", name=name)(x)
        x = layers.BatchNormalization(axis=-1, name=f"unet_bn_up_{n}")(x)
    x = layers.Conv3D(labels, 1, name="unet_likelihood")(x)
    x = layers.Lambda(lambda t: softmax(t), name="unet_prediction")(x)
    return keras.Model(image, x, name="unet")


def intel(features, channels=1):
    """Intel's U-Net with three levels, compiled so that the file has the state of an optimizer."""
    import tf_keras as keras

    layers = keras.layers

    def block(x, name, width):
        x = layers.Conv3D(width, 3, padding="same", name=name + "_conv0")(x)
        x = layers.BatchNormalization(name=name + "_bn0")(x)
        x = layers.Activation("relu", name=name + "_relu0")(x)
        x = layers.Conv3D(width, 3, padding="same", name=name + "_conv1")(x)
        x = layers.BatchNormalization(name=name + "_bn1")(x)
        return layers.Activation("relu", name=name)(x)

    def up(x, name, width):
        return layers.Conv3DTranspose(width, 2, strides=2, padding="same", name=name)(x)

    image = keras.Input((None, None, None, channels), name="MRImages")
    a = block(image, "encodeA", features[0])
    b = block(layers.MaxPooling3D(2, name="poolA")(a), "encodeB", features[1])
    c = block(layers.MaxPooling3D(2, name="poolB")(b), "encodeC", features[2])
    x = layers.concatenate([up(c, "transconvC", features[1]), b], name="concatB")
    x = block(x, "decodeA", features[1])
    x = layers.concatenate([up(x, "transconvA", features[0]), a], name="concatA")
    x = block(x, "convOut", features[0])
    x = layers.Conv3D(1, 1, activation="sigmoid", name="PredictionMask")(x)
    model = keras.Model([image], [x])
    model.compile("adam", loss=lambda reference, prediction: prediction)
    return model


def randomize(model, seed=0, head=3.0):
    """Random weights that keep the scale of the signal; random batch normalization statistics, some variances small."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        arrays = []
        for weight in layer.weights:
            name, shape = weight.name.split("/")[-1].split(":")[0], tuple(weight.shape)
            if name == "kernel":
                arrays.append(rng.normal(0, np.sqrt(1.5 / np.prod(shape[:-1])), shape))
            elif name in ("gamma", "moving_variance"):
                arrays.append(rng.uniform(0.5 if name == "gamma" else 0.05, 1.5, shape))
            else:
                arrays.append(rng.normal(0, 0.3, shape))
        layer.set_weights([array.astype(np.float32) for array in arrays])
    last = [layer for layer in model.layers if layer.weights][-1]
    kernel, bias = last.get_weights()
    last.set_weights([kernel * head, bias])
    return model


def weights_of(model):
    """Arrays by layer and name."""
    return {
        layer.name: {w.name.split("/")[-1].split(":")[0]: w.numpy() for w in layer.weights}
        for layer in model.layers
        if layer.weights
    }
