"""Rebuild published networks from files that have weights only.

A file without an architecture, or with one that cannot be built, is read into arrays by layer and name. The
published architecture is built with the published layer names, and every array must match a layer.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lesionflow.base.errors import WeightsError
from lesionflow.cards.fold_spec import FoldSpec
from lesionflow.networks.architectures import buda_unet2d, intel_unet3d, livianet, synthseg
from lesionflow.networks.weights import livianet_arrays
from lesionflow.networks.weights.keras_h5_arrays import read_layers

Layers = Mapping[str, Mapping[str, np.ndarray]]


class WeightFormat(NamedTuple):
    """Builder of the network, reader of the weights, and default parameters of a format."""

    build: Callable[[FoldSpec, Mapping[str, Any]], Any]
    read: Callable[[Path], Layers]
    defaults: Mapping[str, Any]


WEIGHT_FORMATS = {
    "synthseg-h5": WeightFormat(synthseg.build, read_layers, synthseg.DEFAULTS),
    "intel-unet3d-h5": WeightFormat(intel_unet3d.build, read_layers, intel_unet3d.DEFAULTS),
    "torch-unet2d": WeightFormat(buda_unet2d.build, buda_unet2d.read, buda_unet2d.DEFAULTS),
    "livianet-pickle": WeightFormat(
        livianet.build, livianet_arrays.read_pickled, livianet.DEFAULTS
    ),
    "livianet-npy": WeightFormat(livianet.build, livianet_arrays.read_folder, livianet.DEFAULTS),
}
FORMATS = frozenset(WEIGHT_FORMATS)
COMMON = {"prefix": "", "layers": None, "kernel_flip": False}


def rebuild(spec: FoldSpec, path: Path) -> Any:
    """Build the published network of a fold with the weights of a file.

    Parameters
    ----------
    spec
        ``format`` (one of ``FORMATS``), ``shape`` (x, y[, z], channels; None for any
        size), ``channels`` of the output, ``activation`` and ``network``; parameters of ``network`` that are absent or None have the published
        values.
    path
        The file, or a folder for ``livianet-npy``.

    Returns
    -------
    keras.Model
        Of Keras 3, float32, from (batch, x, y[, z], channel) to probabilities of the same size, or
        smaller by ``livianet.margin`` at each side.

    Raises
    ------
    WeightsError
        If the file is damaged or unsafe, or a layer is missing, unknown, of another shape, or has values that
        are not finite.
    """
    weight_format = WEIGHT_FORMATS[spec.format]
    network = network_parameters(spec)
    try:
        layers = unprefixed(path, weight_format.read(path), network["prefix"])
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror})") from error
    if network["kernel_flip"]:
        layers = flipped(layers)
    model = weight_format.build(spec, network)
    assign(model, layers, path, network["layers"])
    model.trainable = False
    return model


def network_parameters(spec: FoldSpec) -> dict[str, Any]:
    """Parameters of the network of a fold; the published values for those that the card does not set.

    Raises
    ------
    WeightsError
        If the card sets a parameter that the network does not have.
    """
    values = {k: v for k, v in (spec.network or {}).items() if v is not None}
    defaults = {**COMMON, **WEIGHT_FORMATS[spec.format].defaults}
    if unknown := sorted(set(values) - set(defaults)):
        raise WeightsError(
            f"network.{unknown[0]} of the card: {spec.format} has {', '.join(sorted(defaults))}"
        )
    return {**defaults, **values}


def unprefixed(path: Path, layers: Layers, prefix: str) -> Layers:
    """Remove a common prefix from the names of layers.

    Raises
    ------
    WeightsError
        If a name does not begin with it.
    """
    for name in layers:
        if not name.startswith(prefix):
            raise WeightsError(
                f"{path}: layer {name}: its name is expected to begin with {prefix!r} (the prefix)"
            )
    return {name.removeprefix(prefix): arrays for name, arrays in layers.items()}


def flipped(layers: Layers) -> Layers:
    """Flip kernels along every spatial axis, as a true convolution needs them.

    Parameters
    ----------
    layers
        Kernels (x, y[, z], in, out), as in Keras, whose convolution is a correlation.
    """

    def flip(name: str, array: np.ndarray) -> np.ndarray:
        return np.flip(array, tuple(range(array.ndim - 2))) if name == "kernel" else array

    return {k: {name: flip(name, a) for name, a in v.items()} for k, v in layers.items()}


def assign(model: Any, file_layers: Layers, path: Path, expected: int | None = None) -> None:
    """Assign the weights of a file to a model by the names of layers and arrays. All must match.

    Parameters
    ----------
    model
        ``keras.Model``, changed in place.
    file_layers
        Arrays by layer and name.
    path
        The file, for messages.
    expected
        Expected number of layers with weights; None for the number of the model.

    Raises
    ------
    WeightsError
        If anything is missing, unknown, of another shape or not finite; the message names the layer.
    """
    layers = {layer.name: layer for layer in model.layers if layer.weights}
    missing, unknown = (
        [n for n in layers if n not in file_layers],
        [n for n in file_layers if n not in layers],
    )
    counts = f"the network has {len(layers)} layers with weights, the file {len(file_layers)}"
    if missing:
        others = f", but has {_some(unknown)} that the network lacks" if unknown else ""
        raise WeightsError(f"{path}: lacks the layer {_some(missing)}{others}; {counts}")
    if unknown:
        raise WeightsError(
            f"{path}: has the layer {_some(unknown)} that the network lacks; {counts}"
        )
    if expected is not None and expected != len(layers):
        raise WeightsError(
            f"{path}: {expected} layers with weights are expected (network.layers of the card); {counts}"
        )
    for name, layer in layers.items():
        expected_shapes = {variable.name: tuple(variable.shape) for variable in layer.weights}
        _check(path, name, expected_shapes, file_layers[name])
    for name, layer in layers.items():
        for variable in layer.weights:
            variable.assign(np.ascontiguousarray(file_layers[name][variable.name], np.float32))


def _check(
    path: Path,
    layer: str,
    expected: Mapping[str, tuple[int, ...]],
    arrays: Mapping[str, np.ndarray],
) -> None:
    shapes = {name: tuple(array.shape) for name, array in arrays.items()}
    if shapes != expected:
        raise WeightsError(
            f"{path}: layer {layer}: expected {_listed(expected)}, found {_listed(shapes)}"
        )
    for name, array in arrays.items():
        if array.dtype.kind != "f":
            raise WeightsError(
                f"{path}: layer {layer}: expected floating-point numbers in {name}, found {array.dtype}"
            )
        bad = int(array.size - np.isfinite(array).sum())
        if bad:
            raise WeightsError(
                f"{path}: layer {layer}: expected finite numbers in {name}, found {bad} of "
                f"{array.size} that are NaN or infinite"
            )
        if name == "moving_variance" and array.min() < 0:
            raise WeightsError(
                f"{path}: layer {layer}: expected variances, found {array.min():.3g} in {name}"
            )


def _listed(shapes: Mapping[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {shape}" for name, shape in sorted(shapes.items()))


def _some(names: list[str]) -> str:
    """The first name, and the number of the others."""
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")
