"""Published weights whose network is rebuilt here: which builder, which reader, and every layer counted.

A file of weights without a network, or with one that cannot be built from it, is read into arrays by
layer and name; the published architecture is built anew under the published layer names; and each
array goes to its layer, or the import fails.
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


class Route(NamedTuple):
    """How one format is imported."""

    build: Callable[[FoldSpec, Mapping[str, Any]], Any]
    read: Callable[[Path], Layers]
    defaults: Mapping[str, Any]


ROUTES = {
    "synthseg-h5": Route(synthseg.build, read_layers, synthseg.DEFAULTS),
    "intel-unet3d-h5": Route(intel_unet3d.build, read_layers, intel_unet3d.DEFAULTS),
    "torch-unet2d": Route(buda_unet2d.build, buda_unet2d.read, buda_unet2d.DEFAULTS),
    "livianet-pickle": Route(livianet.build, livianet_arrays.read_pickled, livianet.DEFAULTS),
    "livianet-npy": Route(livianet.build, livianet_arrays.read_folder, livianet.DEFAULTS),
}
FORMATS = frozenset(ROUTES)
COMMON = {"prefix": "", "layers": None, "kernel_flip": False}


def rebuild(spec: FoldSpec, path: Path) -> Any:
    """The published network of a card, with the weights of a file.

    Parameters
    ----------
    spec
        ``format`` (one of ``FORMATS``), ``shape`` (x, y[, z], channels; None where any size will
        do), ``channels`` of the output, ``activation`` and ``network``, whose parameters are the
        published ones where they are absent or None.
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
        If the file is damaged or unsafe, or a layer is missing, unknown, of another shape, or holds
        numbers that are not finite.
    """
    route = ROUTES[spec.format]
    network = settled(spec)
    try:
        found = unprefixed(path, route.read(path), network["prefix"])
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror})") from error
    if network["kernel_flip"]:
        found = flipped(found)
    model = route.build(spec, network)
    assign(model, found, path, network["layers"])
    model.trainable = False
    return model


def settled(spec: FoldSpec) -> dict[str, Any]:
    """The parameters of a card's network, with the published ones where it gives none.

    Raises
    ------
    WeightsError
        If it gives one that the format's network does not have.
    """
    given = {k: v for k, v in (spec.network or {}).items() if v is not None}
    known = {**COMMON, **ROUTES[spec.format].defaults}
    if strange := sorted(set(given) - set(known)):
        raise WeightsError(
            f"network.{strange[0]} of the card: {spec.format} has {', '.join(sorted(known))}"
        )
    return {**known, **given}


def unprefixed(path: Path, found: Layers, prefix: str) -> Layers:
    """Layers under their names without the text that all of them begin with.

    Raises
    ------
    WeightsError
        If one begins otherwise.
    """
    for name in found:
        if not name.startswith(prefix):
            raise WeightsError(
                f"{path}: layer {name}: its name is expected to begin with {prefix!r} (the prefix)"
            )
    return {name.removeprefix(prefix): arrays for name, arrays in found.items()}


def flipped(found: Layers) -> Layers:
    """Kernels turned round along every spatial axis, as a true convolution takes them.

    Parameters
    ----------
    found
        Kernels (x, y[, z], in, out), as Keras has them: what it calls a convolution is a correlation.
    """

    def turned(name: str, array: np.ndarray) -> np.ndarray:
        return np.flip(array, tuple(range(array.ndim - 2))) if name == "kernel" else array

    return {k: {name: turned(name, a) for name, a in v.items()} for k, v in found.items()}


def assign(model: Any, found: Layers, path: Path, expected: int | None = None) -> None:
    """Give a model the weights of a file, by the names of layers and of their arrays; all or none.

    Parameters
    ----------
    model
        ``keras.Model``, changed in place.
    found
        Arrays by layer and name.
    path
        What the messages call the file.
    expected
        Number of layers with weights that must match; None: as many as the model has.

    Raises
    ------
    WeightsError
        If anything is missing, left over, of another shape or not finite, naming the layer.
    """
    layers = {layer.name: layer for layer in model.layers if layer.weights}
    missing, unknown = [n for n in layers if n not in found], [n for n in found if n not in layers]
    counts = f"the network has {len(layers)} layers with weights, the file {len(found)}"
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
        wanted = {variable.name: tuple(variable.shape) for variable in layer.weights}
        _check(path, name, wanted, found[name])
    for name, layer in layers.items():
        for variable in layer.weights:
            variable.assign(np.ascontiguousarray(found[name][variable.name], np.float32))


def _check(
    path: Path, layer: str, wanted: Mapping[str, tuple[int, ...]], arrays: Mapping[str, np.ndarray]
) -> None:
    shapes = {name: tuple(array.shape) for name, array in arrays.items()}
    if shapes != wanted:
        raise WeightsError(
            f"{path}: layer {layer}: expected {_listed(wanted)}, found {_listed(shapes)}"
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
    """One name, and how many more there are."""
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")
