"""The 2-D U-Net of brain-segmentation-pytorch, with its PyTorch module names as layer names.

Buda et al., Computers in Biology and Medicine 2019. Source: ``unet.py`` of
github.com/mateuszbuda/brain-segmentation-pytorch, commit d45f890; axes of weights from PyTorch's documentation
(``Conv2d``: out, in, rows, columns; ``ConvTranspose2d``: in, out, rows, columns).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lesionflow.cards.fold_spec import FoldSpec
from lesionflow.networks.weights.torch_state_dict import read_tensors

DEFAULTS = {"features": (32, 64, 128, 256, 512), "bn_epsilon": 1e-5}
BATCH_NORM = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}
COUNTER = "num_batches_tracked"  # number of training steps, not used in inference


def build(spec: FoldSpec, network: Mapping[str, Any]) -> Any:
    """The 2-D U-Net, with random weights.

    Parameters
    ----------
    spec
        ``shape`` (rows, columns, channels; PyTorch's H, W and C), ``channels`` and ``activation`` of
        the output. Sides are multiples of 2 ** (levels - 1), in the published network 16.
    network
        ``features`` of each level, with that of the bottleneck last, and ``bn_epsilon``.

    Returns
    -------
    keras.Model
    """
    import keras

    layers = keras.layers
    *features, bottom = network["features"]

    def block(x: Any, name: str, short: str, width: int) -> Any:
        for n in (1, 2):
            conv = f"{name}.{short}conv{n}"
            x = layers.Conv2D(width, 3, padding="same", use_bias=False, name=conv)(x)
            norm = f"{name}.{short}norm{n}"
            x = layers.BatchNormalization(epsilon=network["bn_epsilon"], name=norm)(x)
            x = layers.Activation("relu", name=f"{name}.{short}relu{n}")(x)
        return x

    image = keras.Input(tuple(spec.shape), name="image")
    x, skips = image, []
    for n, width in enumerate(features, 1):
        skips.append(block(x, f"encoder{n}", f"enc{n}", width))
        x = layers.MaxPooling2D(2, name=f"pool{n}")(skips[-1])
    x = block(x, "bottleneck", "bottleneck", bottom)
    for n, width in reversed(list(enumerate(features, 1))):
        up = layers.Conv2DTranspose(width, 2, strides=2, name=f"upconv{n}")(x)
        x = layers.Concatenate(name=f"concat{n}")([up, skips[n - 1]])
        x = block(x, f"decoder{n}", f"dec{n}", width)
    head = layers.Conv2D(spec.channels, 1, activation=spec.activation, name="conv")
    return keras.Model(image, head(x))


def read(path: Path) -> dict[str, dict[str, np.ndarray]]:
    """Read the arrays of a state_dict by layer, with Keras' names and order of axes.

    Parameters
    ----------
    path
        PyTorch file, of either format.

    Returns
    -------
    dict of dicts of arrays
        Kernels (rows, columns, in, out), or (rows, columns, out, in) of transposed convolutions.

    Raises
    ------
    WeightsError
        See ``torch_state_dict.read_tensors``.
    """
    modules: dict[str, dict[str, np.ndarray]] = {}
    for name, tensor in read_tensors(path).items():
        module, _, kind = name.rpartition(".")
        modules.setdefault(module, {})[kind] = tensor
    return {module: _in_keras(tensors) for module, tensors in modules.items()}


def _in_keras(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    if "running_mean" in tensors:
        return {BATCH_NORM.get(k, k): v for k, v in tensors.items() if k != COUNTER}
    kernel = {
        k: v.transpose(2, 3, 1, 0) for k, v in tensors.items() if k == "weight" and v.ndim == 4
    }
    rest = {k: v for k, v in tensors.items() if k != "weight" or not kernel}
    return {**({"kernel": kernel["weight"]} if kernel else {}), **rest}
