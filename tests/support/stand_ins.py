"""Networks like the published ones with random weights, since the published weights are not available.

Two convolutions per level, batch normalization with random statistics, 'same' pooling, and nearest upsampling, cropped
where a size is odd. The names of the published networks contain number of first filters, depth and growth.
"""

import os
from dataclasses import replace

import numpy as np

from lesionflow.cards.fold_spec import FoldSpec
from lesionflow.networks.inference.random_volume import random_volume

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

SHAPE = (32, 43, 35)  # 43 and 35 are odd after none and two halvings
FULL = (160, 214, 176)


def unet(
    keras, shape, depth, filters, growth, residual=False, channels=1, labels=1, crop=None, act=None
):
    """A 3-D U-Net of either Keras; ``crop`` and ``act`` create layers (for instance Lambdas)."""
    layers = keras.layers
    crop = crop or (lambda size: layers.Cropping3D(size))
    act = act or (lambda: layers.Activation("swish"))

    def block(x, width):
        start = x
        for _ in range(2):
            x = layers.Conv3D(width, 3, padding="same", use_bias=False)(x)
            x = act()(layers.BatchNormalization(momentum=0)(x))
        if residual:
            x = layers.Add()([x, layers.Conv3D(width, 1, use_bias=False)(start)])
        return x

    image = keras.Input((*shape, channels))
    x, skips = image, []
    for level in range(depth):
        x = block(x, round(filters * growth**level))
        if level < depth - 1:
            skips.append(x)
            x = layers.MaxPooling3D(2, padding="same")(x)
    for level, skip in reversed(list(enumerate(skips))):
        x = layers.UpSampling3D(2)(x)
        extra = [int(a) - int(b) for a, b in zip(x.shape[1:4], skip.shape[1:4], strict=True)]
        if any(extra):
            x = crop([(0, e) for e in extra])(x)
        x = block(layers.Concatenate()([skip, x]), round(filters * growth**level))
    x = layers.Conv3D(labels, 1)(x)
    x = layers.Activation("sigmoid" if labels == 1 else "softmax", dtype="float32")(x)
    return keras.Model(image, x)


def random_weights(model, seed=0):
    """Set random weights that keep the scale of the signal, with random batch normalization statistics; return them."""
    rng = np.random.default_rng(seed)
    names = [weight.name.split("/")[-1].split(":")[0] for weight in model.weights]
    shapes = [tuple(weight.shape) for weight in model.weights]
    weights = [rng.normal(0, 1 / np.sqrt(np.prod(s[:-1])), s) for s in shapes]
    for n, name in enumerate(names):
        if name == "gamma":
            weights[n] = rng.uniform(0.5, 1.5, shapes[n])
        elif name in ("beta", "bias"):
            weights[n] = rng.normal(0, 0.2, shapes[n])
    model.set_weights([array.astype(np.float32) for array in weights])
    image = random_volume(tuple(model.inputs[0].shape[1:]), 1)[None]
    model(image, training=True)  # with momentum 0 the statistics become those of this image
    weights = model.get_weights()
    for n, name in enumerate(names):
        if name == "moving_mean":
            weights[n] = weights[n] + rng.normal(0, 0.1, shapes[n])
        elif name == "moving_variance":
            weights[n] = np.maximum(weights[n], 0.1) * rng.uniform(0.7, 1.4, shapes[n])
    model.set_weights([array.astype(np.float32) for array in weights])
    head = model.layers[-2]  # scaled so that probabilities range from near 0 to near 1
    kernel, bias = head.get_weights()
    logits = np.array(head_outputs(model, head, image))
    spread = logits.std(axis=(0, 1, 2, 3)) / 2
    centre = np.median(logits, axis=(0, 1, 2, 3))
    head.set_weights([kernel / spread, (bias - centre) / spread])
    return model.get_weights()


def head_outputs(model, head, image):
    """Output of the last convolution, before the activation."""
    return type(model)(model.inputs[0], head.output)(image, training=False)


def v1_like(shape=SHAPE, depth=4, mixed=True, **parts):
    """Like SHiVA-CMB v1 (Unet3Dv2-10.7.2-1.8), of tf-keras; the published depth is 7."""
    import tf_keras

    weights = random_weights(unet(tf_keras, shape, depth, 10, 1.8, **parts))
    tf_keras.mixed_precision.set_global_policy("mixed_float16" if mixed else "float32")
    try:
        model = unet(tf_keras, shape, depth, 10, 1.8, **parts)
    finally:
        tf_keras.mixed_precision.set_global_policy("float32")
    model.set_weights(weights)
    return model


def lambdas():
    """Lambda layers whose byte code uses a global ``tf``, as the published loader provides it."""
    global tf
    import tensorflow as tf
    import tf_keras

    return {"act": lambda: tf_keras.layers.Lambda(lambda t: t * tf.nn.sigmoid(t))}


def v2_like(shape=SHAPE, depth=4, **parts):
    """Like SHiVA-CMB v2 (ResUnet3D-8.9.2-1.5), of Keras 3; the published depth is 9."""
    import keras

    model = unet(keras, shape, depth, 8, 1.5, residual=True, **parts)
    model.set_weights(random_weights(model))
    return model


def toy_spec(
    path,
    shape=SHAPE,
    channels=1,
    outputs=1,
    activation="sigmoid",
    fmt="savedmodel",
    md5=None,
    tolerance=1e-5,
    **fields,
):
    """``FoldSpec`` of the first fold of a toy model; ``fields`` replace others of its fields."""
    spec = FoldSpec(
        name="toy",
        version="1",
        format=fmt,
        folder=str(path.parent),
        fold=1,
        weights={"path": path.name, "md5": md5},
        source={"url": None, "archive": None, "sha256": None},
        network={},
        shape=[*shape, channels],
        multiple_of=1,
        view="volume",
        layout="channels_last",
        channels=outputs,
        activation=activation,
        logits=False,
        tolerance=tolerance,
    )
    return replace(spec, **fields)


def save_function(folder, function, shape, channels=1):
    """A SavedModel of a function of tensors (batch, x, y, z, channel); returns its folder."""
    import tensorflow as tf

    module = tf.Module()
    module.factor = tf.Variable(1.0)
    signature = [tf.TensorSpec([None, *shape, channels], tf.float32, name="x")]
    module.f = tf.function(lambda x: {"y": function(x * module.factor)}, input_signature=signature)
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.f})
    return folder
