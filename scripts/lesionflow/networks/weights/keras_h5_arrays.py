"""Read named arrays from Keras H5 files of weights or of a full model. Nothing is built or run.

The layout is that of Keras 1 and 2, tf-keras, and legacy H5 files of Keras 3: one group per layer, listed in the
attribute ``layer_names``, with the arrays that its attribute ``weight_names`` lists. In a full model the groups
are under ``model_weights``. Attributes that are too long for H5 are split into ``layer_names0``, ``layer_names1``, ... (``keras/src/legacy/saving/legacy_h5_format.py``).
"""

from pathlib import Path
from typing import Any

import numpy as np

from lesionflow.base.errors import WeightsError


def read_layers(path: Path) -> dict[str, dict[str, np.ndarray]]:
    """Arrays of every layer with weights, by the name of the layer and of the array (``kernel``, ...).

    The name of an array is the last part of its name in the file (``conv/kernel:0``), without the number.
    The state of the optimizer, which full models also have, is ignored.

    Parameters
    ----------
    path
        H5 file.

    Returns
    -------
    dict of dicts of arrays
        Float32, in the file's order of layers.

    Raises
    ------
    WeightsError
        If the file is damaged or has another layout, or an array is not an array of floating-point numbers
        stored in this file.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            root = _member(path, file, "model_weights") if "model_weights" in file else file
            names = _strings(root, "layer_names")
            if names is None:
                hint = "Keras 3's .weights.h5" if "layers" in file else "not Keras's"
                raise WeightsError(
                    f"{path}: has no layer_names, so its layout is {hint}; the legacy H5 layout is needed"
                )
            layers = {}
            for name in names:
                group = _member(path, root, name)
                arrays = _strings(group, "weight_names") or []
                if arrays:
                    layers[name] = _arrays(path, name, group, arrays)
            return layers
    except WeightsError:
        raise
    except Exception as error:  # h5py raises exceptions of many types for a damaged file
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(f"{path}: is not a complete H5 file ({reason})") from error


def _arrays(path: Path, layer: str, group: Any, names: list[str]) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    for name in names:
        short = name.split("/")[-1].split(":")[0]
        if short in arrays:
            raise WeightsError(f"{path}: layer {layer}: has two arrays {short}; one is expected")
        arrays[short] = _array(path, f"layer {layer}: {name}", _member(path, group, name))
    return arrays


def _array(path: Path, name: str, dataset: Any) -> np.ndarray:
    import h5py

    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind != "f":
        kind = getattr(dataset, "dtype", "a group")
        raise WeightsError(
            f"{path}: {name} is {kind}; an array of floating-point numbers is expected"
        )
    if dataset.external or dataset.is_virtual:
        raise WeightsError(f"{path}: {name} is stored in another file: refused")
    size, file_size = dataset.size * dataset.dtype.itemsize, path.stat().st_size
    if size > file_size:
        raise WeightsError(
            f"{path}: {name} would take {size} bytes, more than the file's {file_size}: refused"
        )
    with np.errstate(
        over="ignore"
    ):  # infinite values are reported later, with the name of the layer
        return np.asarray(dataset[()]).astype(np.float32)


def _member(path: Path, group: Any, name: str) -> Any:
    """A member of a group. Only hard links are followed, so it is in this file."""
    import h5py

    member = group
    for part in name.split("/"):
        link = member.get(part, getlink=True) if isinstance(member, h5py.Group) else None
        if link is None:
            raise WeightsError(f"{path}: lists {name}, but has no such member")
        if not isinstance(link, h5py.HardLink):
            raise WeightsError(f"{path}: {name} is a link to another place: refused")
        member = member[part]
    return member


def _strings(group: Any, name: str) -> list[str] | None:
    """The list of strings in an attribute, which may be split into numbered ones; None if there is none."""
    keys = [name, *(f"{name}{n}" for n in range(len(group.attrs)))]
    attributes = [group.attrs[key] for key in keys if key in group.attrs]
    values = [value for attribute in attributes for value in np.atleast_1d(attribute)]
    texts = [value.decode() if isinstance(value, bytes) else str(value) for value in values]
    return texts if attributes else None
