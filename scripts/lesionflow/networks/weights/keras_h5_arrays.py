"""Named arrays out of Keras's H5 files: weights only, or a full model's; nothing is built or run.

The layout is that of Keras 1 and 2, tf-keras, and of Keras 3 where it writes legacy H5: a group for each
layer, listed in the attribute ``layer_names``, and in it the arrays that its attribute ``weight_names``
lists. A full model has them under ``model_weights``. Attributes that are too long for H5 are written in
pieces, ``layer_names0``, ``layer_names1``, ... (``keras/src/legacy/saving/legacy_h5_format.py``).
"""

from pathlib import Path
from typing import Any

import numpy as np

from lesionflow.base.errors import WeightsError


def read_layers(path: Path) -> dict[str, dict[str, np.ndarray]]:
    """Arrays of every layer that has some, by the layer's name and the array's (``kernel``, ...).

    Of an array's own name in the file, ``conv/kernel:0``, the last part counts, without its number.
    The state of an optimizer, which full models have besides, is not looked at.

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
        If the file is damaged or has another layout, or an array is no plain array of
        floating-point numbers within this file.
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
            found = {}
            for name in names:
                group = _member(path, root, name)
                arrays = _strings(group, "weight_names") or []
                if arrays:
                    found[name] = _arrays(path, name, group, arrays)
            return found
    except WeightsError:
        raise
    except Exception as error:  # h5py raises many kinds for a damaged file
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(f"{path}: is not a whole H5 file ({reason})") from error


def _arrays(path: Path, layer: str, group: Any, names: list[str]) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for name in names:
        short = name.split("/")[-1].split(":")[0]
        if short in found:
            raise WeightsError(f"{path}: layer {layer}: has two arrays {short}; one is expected")
        found[short] = _array(path, f"layer {layer}: {name}", _member(path, group, name))
    return found


def _array(path: Path, what: str, dataset: Any) -> np.ndarray:
    import h5py

    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind != "f":
        kind = getattr(dataset, "dtype", "a group")
        raise WeightsError(
            f"{path}: {what} is {kind}; an array of floating-point numbers is expected"
        )
    if dataset.external or dataset.is_virtual:
        raise WeightsError(f"{path}: {what} keeps its numbers in another file: refused")
    size, whole = dataset.size * dataset.dtype.itemsize, path.stat().st_size
    if size > whole:
        raise WeightsError(
            f"{path}: {what} would take {size} bytes, more than the file's {whole}: refused"
        )
    with np.errstate(over="ignore"):  # what becomes infinite is told with the layer's name
        return np.asarray(dataset[()]).astype(np.float32)


def _member(path: Path, group: Any, name: str) -> Any:
    """A member of a group, its path followed through hard links only, so that it is in this file."""
    import h5py

    found = group
    for part in name.split("/"):
        link = found.get(part, getlink=True) if isinstance(found, h5py.Group) else None
        if link is None:
            raise WeightsError(f"{path}: lists {name}, but has no such member")
        if not isinstance(link, h5py.HardLink):
            raise WeightsError(f"{path}: {name} is a link to elsewhere: refused")
        found = found[part]
    return found


def _strings(group: Any, name: str) -> list[str] | None:
    """A list of texts in an attribute, or in its numbered pieces; None where there is neither."""
    keys = [name, *(f"{name}{n}" for n in range(len(group.attrs)))]
    pieces = [group.attrs[key] for key in keys if key in group.attrs]
    values = [value for piece in pieces for value in np.atleast_1d(piece)]
    texts = [value.decode() if isinstance(value, bytes) else str(value) for value in values]
    return texts if pieces else None
