"""The brain-mask network: a small, contrast-agnostic 3-D U-Net on a coarse grid."""

import os
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # 3-D convolutions train several times faster

WIDTHS = (8, 24, 40, 56, 64)
EPSILON = 1e-4


def mask_unet(
    shape: tuple[int, int, int], widths: tuple[int, ...] = WIDTHS, for_inference: bool = False
) -> Any:
    """A 3-D U-Net (Çiçek et al. 2016) of one channel and one label, with instance normalisation.

    Contrast differs so much between images that statistics over several images would be meaningless, so each
    image is normalised by its own statistics (Ulyanov et al. 2016). Without normalisation the network learned the
    position of the head, and little of the surface of the brain. At full resolution there is one convolution in
    the encoder and one in the decoder, and skip connections are added, as in LinkNet (Chaurasia and Culurciello
    2017): a training step takes a third of the time that two convolutions and concatenation took. Only Keras'
    own layers, in float32.

    Parameters
    ----------
    shape
        Input size in voxels, each side a multiple of ``2 ** (len(widths) - 1)``.
    widths
        Filters of each level.
    for_inference
        Whether to use layers that OpenVINO runs several times faster (see ``inference_form``).
    """
    import keras
    from keras import layers

    def normalised(x: Any) -> Any:
        if not for_inference:
            return layers.GroupNormalization(groups=-1, epsilon=EPSILON)(x)  # one group per channel
        x = layers.LayerNormalization(axis=(1, 2, 3), center=False, scale=False, epsilon=EPSILON)(x)
        return layers.BatchNormalization(epsilon=EPSILON)(x)  # with mean 0 and variance 1

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
    bias = keras.initializers.Constant(-1.0)  # most voxels are not brain
    last = layers.Conv3D(1, 1, bias_initializer=bias, activation="sigmoid", name="probability")
    return keras.Model(image, last(x))


def inference_form(
    model: Any, shape: tuple[int, int, int], widths: tuple[int, ...] = WIDTHS
) -> Any:
    """A trained ``mask_unet`` for inference: the same function, in other layers and without an optimiser.

    In OpenVINO, GroupNormalization becomes a dozen reshapes and tiles, which take longer than all convolutions.
    LayerNormalization over space does not; BatchNormalization with mean 0 and variance 1 then applies the scale
    and offset of each channel.
    """
    converted = mask_unet(shape, widths, for_inference=True)
    trained = [layer for layer in model.layers if layer.weights]
    for layer, target in zip(trained, (x for x in converted.layers if x.weights), strict=True):
        weights = layer.get_weights()
        if "group_normalization" in layer.name:
            scale, offset = weights
            weights = [scale, offset, 0 * scale, 0 * scale + 1 - EPSILON]
        target.set_weights(weights)
    return converted
