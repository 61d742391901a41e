"""SynthSeg's segmentation network, with its published layer names.

Billot et al., "SynthSeg", Medical Image Analysis 2023. Source: ``ext/neuron/models.py`` (``unet``) of
github.com/BBillot/SynthSeg, commit 66342c1, called there with batch normalization on the last axis and ELU.
"""

from collections.abc import Mapping
from typing import Any

from lesionflow.cards.fold_spec import FoldSpec

DEFAULTS = {"features": (24, 48, 96, 192, 384), "bn_epsilon": 1e-3}


def build(spec: FoldSpec, network: Mapping[str, Any]) -> Any:
    """The 3-D U-Net, with random weights.

    Parameters
    ----------
    spec
        ``shape`` (x, y, z, channels), ``channels`` and ``activation`` of the output. Sides are
        multiples of 2 ** (levels - 1), in the published network 16.
    network
        ``features`` of each level and ``bn_epsilon``.

    Returns
    -------
    keras.Model
    """
    import keras

    layers, levels = keras.layers, len(network["features"])

    def convolutions(x: Any, name: str, features: int) -> Any:
        for n in (0, 1):
            conv = layers.Conv3D(features, 3, padding="same", activation="elu", name=f"{name}_{n}")
            x = conv(x)
        return x

    def normalized(x: Any, name: str) -> Any:
        return layers.BatchNormalization(epsilon=network["bn_epsilon"], name=name)(x)

    image = keras.Input(tuple(spec.shape), name="image")
    x, skips = image, []
    for level, features in enumerate(network["features"]):
        x = convolutions(x, f"unet_conv_downarm_{level}", features)
        skips.append(x)  # before batch normalization
        x = normalized(x, f"unet_bn_down_{level}")
        if level < levels - 1:
            x = layers.MaxPooling3D(2, padding="same", name=f"unet_maxpool_{level}")(x)
    for n, level in enumerate(reversed(range(levels - 1))):
        x = layers.UpSampling3D(2, name=f"unet_up_{levels + n}")(x)
        x = layers.Concatenate(name=f"unet_merge_{levels + n}")([skips[level], x])
        x = convolutions(x, f"unet_conv_uparm_{levels + n}", network["features"][level])
        x = normalized(x, f"unet_bn_up_{n}")
    x = layers.Conv3D(spec.channels, 1, name="unet_likelihood")(x)
    x = layers.Activation(spec.activation, name="unet_prediction")(x)
    return keras.Model(image, x, name="unet")
