"""The brain-mask network: a small 3-D U-Net on a coarse grid that sees one image of any sequence."""

import os
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # 3-D convolutions train several times faster

WIDTHS = (8, 24, 40, 56, 64)
EPSILON = 1e-4


def mask_unet(
    shape: tuple[int, int, int], widths: tuple[int, ...] = WIDTHS, shipped: bool = False
) -> Any:
    """A 3-D U-Net (Çiçek et al. 2016) of one channel and one label, with instance normalisation.

    Contrasts differ so much from image to image that statistics over images would mean nothing: each
    image is normalised by its own (Ulyanov et al. 2016). Without any, the network learned where a head
    is and little of its surface. The full grid has one convolution on the way down and one on the way up, and what
    comes up is added to what went across (LinkNet, Chaurasia and Culurciello 2017): a training step
    takes a third of the time that two and concatenation took. Only Keras' own
    layers in float32.

    Parameters
    ----------
    shape
        Of the input in voxels, each a multiple of ``2 ** (len(widths) - 1)``.
    widths
        Filters of each level.
    shipped
        The same function in layers that OpenVINO runs several times faster (see ``shipped_form``).
    """
    import keras
    from keras import layers

    def normalised(x: Any) -> Any:
        if not shipped:
            return layers.GroupNormalization(groups=-1, epsilon=EPSILON)(x)  # a group a channel
        x = layers.LayerNormalization(axis=(1, 2, 3), center=False, scale=False, epsilon=EPSILON)(x)
        return layers.BatchNormalization(epsilon=EPSILON)(x)  # its statistics 0 and 1

    def conv(x: Any, width: int, size: int = 3, stride: int = 1) -> Any:
        conv = layers.Conv3D(
            width, size, stride, "same", use_bias=False, kernel_initializer="he_normal"
        )
        return layers.LeakyReLU(0.1)(normalised(conv(x)))

    image = keras.Input((*shape, 1), name="image")
    x, skips = conv(image, widths[0]), []
    for level, width in enumerate(widths[1:], start=1):
        skips.append(x)
        x = conv(x, width, 2, 2) if level == 1 else conv(layers.MaxPooling3D(2)(x), width)
        x = conv(x, width)
    for skip in reversed(skips):
        width = skip.shape[-1]
        x = layers.Conv3DTranspose(width, 2, 2, "same")(x)
        x = conv(layers.Add()([x, skip]), width)
    bias = keras.initializers.Constant(-1.0)  # less of it is brain than not
    last = layers.Conv3D(1, 1, bias_initializer=bias, activation="sigmoid", name="probability")
    return keras.Model(image, last(x))


def shipped_form(model: Any, shape: tuple[int, int, int], widths: tuple[int, ...] = WIDTHS) -> Any:
    """The function of a trained ``mask_unet``, for prediction: no optimiser, other layers.

    GroupNormalization becomes a dozen reshapes and tiles in OpenVINO, which take longer than all
    convolutions; LayerNormalization over space does not, and BatchNormalization with the statistics 0
    and 1 brings the scale and offset of each channel.
    """
    other = mask_unet(shape, widths, shipped=True)
    trained = [layer for layer in model.layers if layer.weights]
    for layer, own in zip(trained, (x for x in other.layers if x.weights), strict=True):
        weights = layer.get_weights()
        if "group_normalization" in layer.name:
            scale, offset = weights
            weights = [scale, offset, 0 * scale, 0 * scale + 1 - EPSILON]
        own.set_weights(weights)
    return other
