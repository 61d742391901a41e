"""The network of the demo ensemble: a small residual 3-D U-Net of plain Keras layers."""

import os
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # 3-D convolutions train several times faster

WIDTHS = (8, 16, 32, 48)


def residual_unet(shape: tuple[int, int, int], widths: tuple[int, ...] = WIDTHS) -> Any:
    """A residual 3-D U-Net (Çiçek et al. 2016, He et al. 2016) of one channel and one label.

    Each level has two convolutions with a projection as residual connection, batch normalization and ReLU.
    Between levels there are 'same' max-pooling and, after a projection to the next width, nearest-neighbour
    upsampling, which is cropped if a size is odd. Only Keras' own layers in float32, so any Keras 3 loads the
    file in safe mode.

    Parameters
    ----------
    shape
        Input size in voxels. Weights do not depend on it: ``with_shape`` copies them to another size.
    widths
        Filters of each level.
    """
    import keras
    from keras import layers

    def block(x: Any, width: int) -> Any:
        start = layers.Conv3D(width, 1, use_bias=False)(x)
        x = layers.Conv3D(width, 3, padding="same", use_bias=False)(x)
        x = layers.Activation("relu")(layers.BatchNormalization(momentum=0.95)(x))
        x = layers.Conv3D(width, 3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.95)(x)
        return layers.Activation("relu")(layers.Add()([x, start]))

    image = keras.Input((*shape, 1), name="image")
    x, skips = image, []
    for level, width in enumerate(widths):
        x = block(x, width)
        if level < len(widths) - 1:
            skips.append(x)
            x = layers.MaxPooling3D(2, padding="same")(x)
    for skip in reversed(skips):
        width = skip.shape[-1]
        x = layers.UpSampling3D(2)(layers.Conv3D(width, 1)(x))
        extra = [int(a) - int(b) for a, b in zip(x.shape[1:4], skip.shape[1:4], strict=True)]
        if any(extra):
            x = layers.Cropping3D(tuple((0, e) for e in extra))(x)
        x = layers.Concatenate()([x, skip])
        x = layers.Conv3D(width, 3, padding="same", use_bias=False)(x)
        x = layers.Activation("relu")(layers.BatchNormalization(momentum=0.95)(x))
    rare = keras.initializers.Constant(-4.0)  # lesions are rare
    probability = layers.Conv3D(
        1, 1, bias_initializer=rare, activation="sigmoid", name="probability"
    )
    return keras.Model(image, probability(x))


def with_shape(model: Any, shape: tuple[int, int, int], widths: tuple[int, ...] = WIDTHS) -> Any:
    """The same network with the same weights for another input shape."""
    copy = residual_unet(shape, widths)
    copy.set_weights(model.get_weights())
    return copy
