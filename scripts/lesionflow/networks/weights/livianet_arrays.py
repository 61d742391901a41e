"""Read LiviaNET weights from a pickled network of Theano variables, or from a folder with one file per array.

The repository pickles the whole network with Python 2 (``LiviaNet3D``, gzip). The objects in it are never built:
they are read as stand-ins, and only numeric arrays are taken from them.
"""

import gzip
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lesionflow.base.errors import WeightsError
from lesionflow.networks.weights.safe_pickle import (
    Stub,
    StubArray,
    StubDtype,
    array_of,
    encoded,
    read_pickle,
    stub,
)

MAX_BYTES = (
    1 << 30
)  # the network of the paper, pickled with the state of its optimizer, has about 30 MB
PACKAGES = {
    "theano",
    "LiviaNet",
    "LiviaNet3DConvLayer",
    "LiviaSoftmax",
    "Modules",
    "generateNetwork",
}
BUILTINS = {"object", "list", "dict", "set", "frozenset", "tuple", "slice", "complex", "bytearray"}
ATTRIBUTES = {  # attributes of a layer in the pickle, and their names here
    "W": "weights",
    "_gBn": "gamma",
    "_b": "beta",
    "muBatchNorm": "mean",
    "_varBnsArrayForRollingAverage": "variance",
    "_aPrelu": "prelu",
    "_bClassLayer": "bias",
}
TARGETS = {  # for each array of a layer: the Keras layer, and the name of the array in it
    "weights": ("conv", "kernel"),
    "bias": ("conv", "bias"),
    "gamma": ("bn", "gamma"),
    "beta": ("bn", "beta"),
    "mean": ("bn", "moving_mean"),
    "variance": ("bn", "moving_variance"),
    "prelu": ("prelu", "alpha"),
}
Layers = dict[str, dict[str, np.ndarray]]


def read_pickled(path: Path) -> Layers:
    """Read arrays by layer from a pickled network, gzipped or not.

    Parameters
    ----------
    path
        Pickle of a ``LiviaNet3D``; its ``networkLayers`` has the layers in order, the classifier last. The
        value of each parameter is in its ``container.storage[0]``.

    Returns
    -------
    dict of dicts of arrays
        With the names of ``livianet.build``; kernels (x, y, z, in, out), not flipped.

    Raises
    ------
    WeightsError
        If the file is damaged, names something that is not part of such a network, or has no layers.
    """
    network, _ = read_pickle(path, _unpacked(path), _resolve)
    layers = network.state.get("networkLayers") if isinstance(network, Stub) else None
    if not isinstance(layers, list) or not all(isinstance(layer, Stub) for layer in layers):
        raise WeightsError(f"{path}: is not a LiviaNET: its pickle has no networkLayers")
    arrays_by_layer = {}
    for number, layer in enumerate(layers):
        name = "Classifier" if "_bClassLayer" in layer.state else f"ConvLayer_{number}"
        arrays = {}
        for attribute, short in ATTRIBUTES.items():
            if layer.state.get(attribute) is not None:
                arrays[short] = _value(path, f"{name}: {attribute}", layer.state[attribute])
        arrays_by_layer[name] = arrays
    return _in_layers(path, arrays_by_layer)


def read_folder(path: Path) -> Layers:
    """Read arrays by layer from a folder of ``.npy`` files.

    The repository publishes ``weights_ConvLayer_0.npy``, ``_1`` and ``_2``: kernels (out, in, x, y, z)
    of the convolutions, which are not a complete network. A complete folder has, for each convolution and dense
    layer N, numbered consecutively:

    - ``weights_ConvLayer_N.npy`` (out, in, x, y, z);
    - ``gamma_``, ``beta_``, ``mean_``, ``variance_`` and ``prelu_ConvLayer_N.npy`` (in,); mean
      and variance may also be the rolling buffers (batches, in), which are averaged;

    and for the classifier ``weights_``, ``gamma_``, ``beta_``, ``mean_``, ``variance_`` and
    ``bias_Classifier.npy``, the last (labels,). Other files than ``.npy`` are ignored.

    Raises
    ------
    WeightsError
        If a file is damaged or has another name, or a layer or the classifier lacks one; the message names
        all that are missing.
    """
    if not path.is_dir():
        raise WeightsError(f"{path}: is not a folder of .npy files")
    arrays_by_layer: dict[str, dict[str, np.ndarray]] = {}
    for file in sorted(path.glob("*.npy")):
        short, _, name = file.stem.partition("_")
        number = name.removeprefix("ConvLayer_")
        if short not in TARGETS or not (
            name == "Classifier" or number != name and number.isdigit()
        ):
            raise WeightsError(f"{file}: is not the name of a LiviaNET parameter")
        try:
            array = np.load(
                file, mmap_mode="r", allow_pickle=False
            )  # memory mapping fails for a wrong size
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise WeightsError(f"{file}: is not a complete .npy file ({reason})") from error
        if not isinstance(array, np.ndarray):
            raise WeightsError(f"{file}: is not a .npy file")
        arrays_by_layer.setdefault(name, {})[short] = np.array(array)
    arrays_by_layer.setdefault("Classifier", {})
    incomplete = []
    for name, arrays in arrays_by_layer.items():
        required = [s for s in TARGETS if s != ("prelu" if name == "Classifier" else "bias")]
        missing = [short for short in required if short not in arrays]
        incomplete += [f"{name} ({', '.join(missing)})"] if missing else []
    if incomplete:
        raise WeightsError(
            f"{path}: lacks parameters of the layers {'; '.join(incomplete)}: each is expected in a file such "
            "as mean_ConvLayer_0.npy; convolutions alone are not a complete network"
        )
    return _in_layers(path, arrays_by_layer)


def _in_layers(path: Path, arrays_by_layer: Mapping[str, Mapping[str, np.ndarray]]) -> Layers:
    layers: Layers = {}
    for name, arrays in arrays_by_layer.items():
        for short, array in arrays.items():
            if array.dtype.kind != "f":
                raise WeightsError(
                    f"{path}: {name}: {short} holds {array.dtype}; floating-point numbers are expected"
                )
            target, name_in_target = TARGETS[short]
            with np.errstate(over="ignore"):
                value = _in_keras(short, array).astype(np.float32)
            layers.setdefault(f"{name}.{target}", {})[name_in_target] = value
    return layers


def _in_keras(short: str, array: np.ndarray) -> np.ndarray:
    if short == "weights" and array.ndim == 5:
        return array.transpose(2, 3, 4, 1, 0)
    if short in ("mean", "variance") and array.ndim == 2 and len(array):
        # the factor n / (n - 1) in the repository is 1, since Python 2 divides integers
        return array.mean(axis=0, dtype=np.float64)
    return array.reshape(1, 1, 1, -1) if short == "prelu" else array


def _value(path: Path, name: str, variable: Any) -> np.ndarray:
    """The array in a Theano shared variable, or the array that replaces it."""
    container = variable.state.get("container") if isinstance(variable, Stub) else None
    storage = container.state.get("storage") if isinstance(container, Stub) else None
    value = storage[0] if isinstance(storage, list) and storage else variable
    if not isinstance(value, StubArray):
        raise WeightsError(f"{path}: {name} has no array in container.storage[0]")
    try:
        return array_of(value)
    except WeightsError as error:
        raise WeightsError(f"{path}: {name}: {error}") from error


def _unpacked(path: Path) -> bytes:
    with path.open("rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b"
    try:
        with gzip.open(path) if packed else path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise WeightsError(f"{path}: is not a complete gzip file ({error})") from error
    if len(data) > MAX_BYTES:
        raise WeightsError(f"{path}: takes more than {MAX_BYTES} bytes unpacked: refused")
    return data


def _resolve(module: str, name: str) -> Any:
    if (module, name) == ("_codecs", "encode"):
        return encoded
    package = module.split(".")[0]
    if package == "numpy":
        if name == "_reconstruct":
            return StubArray
        return StubDtype if name == "dtype" else stub(module, name)
    allowed = (
        package in PACKAGES
        or (module in ("__builtin__", "builtins") and name in BUILTINS)
        or (module in ("copy_reg", "copyreg") and name in ("_reconstructor", "__newobj__"))
        or (module == "collections" and name in ("OrderedDict", "defaultdict", "deque"))
    )
    if not allowed:
        raise WeightsError(
            f"its pickle names {module}.{name}, which is not part of LiviaNET: refused"
        )
    return stub(module, name)
