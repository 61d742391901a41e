"""Intel's 3-D U-Net for brain tumours, with its published layer names.

Source: ``3D_UNet/keras_training_only_version/model.py`` of github.com/stjordanis/topologies (a copy of
NervanaSystems/topologies), commit 929bbd5; ``3D/model.py`` of IntelAI/unet has the same layers.
"""

from collections.abc import Mapping
from string import ascii_uppercase
from typing import Any

from lesionflow.cards.fold_spec import FoldSpec

DEFAULTS = {"features": (16, 32, 64, 128, 256), "bn_epsilon": 1e-3}


def build(spec: FoldSpec, network: Mapping[str, Any]) -> Any:
    """The 3-D U-Net, with random weights.

    Levels are called A, B, ... from the top. The upsampling from the deepest level has the letter of that
    level, the others have the letter of the level that they lead to. The block after each is named after the next
    level above: ``transconvE``, ``concatD``, ``decodeC``, ``transconvC``, ..., ``transconvA``, ``concatA``,
    ``convOut``.

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

    layers, features = keras.layers, network["features"]
    letters = ascii_uppercase[: len(features)]

    def block(x: Any, name: str, width: int) -> Any:
        for n, activation in enumerate((f"{name}_relu0", name)):
            x = layers.Conv3D(width, 3, padding="same", name=f"{name}_conv{n}")(x)
            x = layers.BatchNormalization(epsilon=network["bn_epsilon"], name=f"{name}_bn{n}")(x)
            x = layers.Activation("relu", name=activation)(x)
        return x

    image = keras.Input(tuple(spec.shape), name="MRImages")
    x, skips = image, []
    for letter, width in zip(letters, features, strict=True):
        x = block(x, f"encode{letter}", width)
        if letter != letters[-1]:
            skips.append(x)
            x = layers.MaxPooling3D(2, name=f"pool{letter}")(x)
    for level in reversed(range(len(skips))):
        letter, width = letters[level], features[level]
        name = f"transconv{letters[-1] if level == len(skips) - 1 else letter}"
        x = layers.Conv3DTranspose(width, 2, strides=2, padding="same", name=name)(x)
        x = layers.Concatenate(name=f"concat{letter}")([x, skips[level]])
        x = block(x, f"decode{letters[level - 1]}" if level else "convOut", width)
    head = layers.Conv3D(spec.channels, 1, activation=spec.activation, name="PredictionMask")
    return keras.Model(image, head(x))
