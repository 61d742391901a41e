"""The voxels of a lesion as text, and the digest of a lesion map: what a decision was made on."""

import hashlib
import re
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

FORMAT = re.compile(r"(?:0|[1-9]\d{0,14})(?:,[1-9]\d{0,14})+", re.ASCII)


def encode(voxels: np.ndarray) -> str:
    """Voxels as text: the first, then run, gap, run ... along the first axis.

    Parameters
    ----------
    voxels : array (x, y, z), bool, or (n,), int
        A mask, or indices in Fortran order (first axis fastest), in any order.

    Returns
    -------
    str
        Index of the first voxel, the number of voxels of the first run, then for each further run the number of voxels
        that it lies behind the run before and its own number of voxels; separated by commas.

    Raises
    ------
    ValueError
        If there is no voxel.
    """
    is_mask = voxels.dtype == bool
    indices = np.flatnonzero(voxels.ravel("F")) if is_mask else np.unique(voxels)
    if not len(indices):
        raise ValueError("a lesion has at least one voxel")
    ends = np.flatnonzero(np.diff(indices) > 1)
    first, last = indices[np.append(0, ends + 1)], indices[np.append(ends, len(indices) - 1)]
    numbers = np.empty(2 * len(first), np.int64)
    numbers[0], numbers[1::2] = first[0], last - first + 1
    numbers[2::2] = first[1:] - last[:-1] - 1
    return ",".join(map(str, numbers))


def encode_each(numbers: np.ndarray) -> dict[int, str]:
    """The voxels of each lesion of a map (x, y, z), int, as text (``encode``), by number."""
    flat = numbers.ravel("F")
    inside = np.flatnonzero(flat)
    values = flat[inside]
    order = np.argsort(values, kind="stable")
    found, first = np.unique(values[order], return_index=True)
    groups = np.split(inside[order], first[1:])
    return {int(n): encode(group) for n, group in zip(found, groups, strict=False)}


def decode(text: str, shape: Sequence[int]) -> np.ndarray:
    """Indices (n,), int64, in Fortran order and ascending, of the voxels that ``encode`` wrote.

    Parameters
    ----------
    text
        Of ``encode``.
    shape
        Of the image.

    Raises
    ------
    ValueError
        If the text is anything that ``encode`` does not write, or a voxel lies outside the image.
    """
    numbers = check_inside(text, shape)
    starts = np.cumsum(numbers)[::2]
    runs = np.array(numbers[1::2])
    # within all runs together, voxel n lies behind n voxels of the lesion and the gaps before its run
    before = np.cumsum(runs) - runs
    return np.arange(runs.sum()) + np.repeat(starts - before, runs)


def check_inside(text: str, shape: Sequence[int]) -> list[int]:
    """``run_lengths`` of voxels that lie inside an image of a shape.

    Raises
    ------
    ValueError
        If they do not, or the text is anything that ``encode`` does not write.
    """
    numbers = run_lengths(text)
    if sum(numbers) > prod(shape):
        raise ValueError(f"voxels end at {sum(numbers)}, the image has {prod(shape)}")
    return numbers


def run_lengths(text: str) -> list[int]:
    """The numbers in a text of ``encode``: first voxel, run, gap, run ...

    Raises
    ------
    ValueError
        If the text is anything that ``encode`` does not write.
    """
    if not FORMAT.fullmatch(text) or text.count(",") % 2 == 0:
        shown = text if len(text) <= 40 else f"{text[:40]}..."
        raise ValueError(f"{shown!r} is no list of voxels: first voxel, run, gap, run, ...")
    return [int(number) for number in text.split(",")]


def lesion_sidecar(numbers: np.ndarray, affine: np.ndarray) -> dict[str, Any]:
    """JSON sidecar of a lesion map on the grid of the scan, from which reviews are placed without the image.

    Parameters
    ----------
    numbers : array (x, y, z), int
        Lesion numbers, 0 for none.
    affine : array (4, 4)
        Of the map, to RAS+ mm.

    Returns
    -------
    dict
        ``lesion_map_sha256`` (``map_digest``), ``shape``, ``affine``, and ``voxels`` (``encode``) by lesion number.
    """
    return {
        "lesion_map_sha256": map_digest(numbers, affine),
        "shape": list(numbers.shape),
        "affine": np.asarray(affine, float).tolist(),
        "voxels": {str(number): text for number, text in encode_each(numbers).items()},
    }


def map_digest(numbers: np.ndarray, affine: np.ndarray) -> str:
    """SHA-256 of a lesion map: of its grid and its numbers, whatever the type and the compression of its file.

    Parameters
    ----------
    numbers : array (x, y, z)
        Lesion numbers, 0 for none.
    affine : array (4, 4)
        Of the map; compared in the precision of a NIfTI header, float32.

    Returns
    -------
    str
        64 hexadecimal digits, of the text ``lesions``, the shape (int64), the affine (float32, row by row), the indices
        of the voxels above 0 in Fortran order (int64) and their numbers (int64); all little-endian.

    Raises
    ------
    ValueError
        If a number is no integer.
    """
    flat = np.asarray(numbers).ravel("F")
    indices = np.flatnonzero(flat)
    values = flat[indices]
    if (values != np.rint(values)).any():
        raise ValueError("a lesion map has integers")
    digest = hashlib.sha256(b"lesions")
    digest.update(np.array(np.shape(numbers), "<i8").tobytes())
    digest.update((np.asarray(affine, "<f4") + 0).tobytes())  # -0 becomes 0
    digest.update(indices.astype("<i8").tobytes())
    digest.update(values.astype("<i8").tobytes())
    return digest.hexdigest()
