"""From the folds' probabilities to those of the ensemble."""

import hashlib
from collections.abc import Sequence
from typing import Any

import nibabel as nib
import numpy as np

from lesionflow.base.label_channels import background_channels

STEP = 2.0**-20  # of stored probabilities: far below what any result depends on
FOUND = 0.1  # mean probability above which the folds' disagreement is of interest


def rounded(probability: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Probabilities as they are stored: multiples of 2⁻²⁰ (at most 4.8e-7 away), float32.

    Files shrink to a fraction, since the noise in the last digits cannot be compressed and the
    many values near 0 become 0.

    Parameters
    ----------
    probability : array (x, y, z, label)
    out
        Where to put them, if not in an array of their own: float32, of the same shape.

    Returns
    -------
    array (x, y, z, label), or (x, y, z) where there is one label
    """
    stored = probability.astype(np.float32, copy=False)
    stored = np.divide(stored, np.float32(STEP), out=out)  # a power of two: nothing is lost
    np.round(stored, out=stored)
    stored *= np.float32(STEP)
    return stored[..., 0] if stored.ndim == 4 and stored.shape[3] == 1 else stored


def average(folds: Sequence[nib.Nifti1Image], n_folds: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation over the folds of an ensemble, voxel by voxel.

    Parameters
    ----------
    folds
        Probability maps of one shape and affine, one a fold.
    n_folds
        How many the card has: no fewer are averaged.

    Returns
    -------
    mean, spread : array of the maps' shape, float32
        Summed in float64. The deviation is that of the folds themselves (ddof 0): 0 for one fold.

    Raises
    ------
    ValueError
        If a fold is missing or too many, or two do not lie on one grid; the message names both.
    """
    if len(folds) != n_folds:
        raise ValueError(f"the ensemble has {n_folds} folds, but {len(folds)} maps were given")
    first = folds[0]
    for fold in folds[1:]:
        for what, one, other in (
            ("shape", first.shape, fold.shape),
            ("affine", first.affine.tolist(), fold.affine.tolist()),
        ):
            if one != other:
                raise ValueError(
                    f"folds differ in {what}: {first.get_filename()} has {one}, {fold.get_filename()} {other}"
                )
    arrays = [np.asanyarray(fold.dataobj).T for fold in folds]  # in the order that files have
    mean, spread = np.empty((2, *arrays[0].shape), np.float32)
    for z in range(first.shape[2]):  # a plane at a time: thirty labels in float64 take gigabytes
        stack = np.stack([array[..., z, :, :] for array in arrays], dtype=np.float64)
        mean[..., z, :, :] = centre = stack.mean(axis=0)
        spread[..., z, :, :] = stack.std(axis=0, mean=centre[None])
    return mean.T, spread.T


def without_padding(maps: np.ndarray, scanned: np.ndarray, activation: str) -> np.ndarray:
    """Probabilities with background where there is no scan but what pads it.

    The published pipelines take the padding off before they count.

    Parameters
    ----------
    maps : array (x, y, z) or (x, y, z, label)
        Changed in place.
    scanned : array (x, y, z), bool
        Where the scan was sampled.
    activation
        ``softmax``: the first channel is the background.
    """
    maps[~scanned] = 0
    if background_channels(activation):
        maps[~scanned, 0] = 1
    return maps


def disagreement(mean: np.ndarray, spread: np.ndarray, brain: np.ndarray) -> float:
    """How much the folds disagree where the ensemble sees something: the scan's ``fold_disagreement``.

    The mean of the standard deviation over those voxels (of every label) of the brain whose mean
    probability is above 0.1; 0 where there is none. From 0 (all folds say the same) to 0.5 (half say
    0, half say 1).

    Parameters
    ----------
    mean, spread : array (x, y, z) or (x, y, z, label)
        Of ``average``.
    brain : array (x, y, z), bool
    """
    inside = brain if mean.ndim == 3 else brain[..., None]
    seen = (mean > FOUND) & inside
    return float(spread[seen].mean(dtype=np.float64)) if seen.any() else 0.0


def combined_facts(folds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What computed an ensemble's map, from what computed each fold's.

    Parameters
    ----------
    folds
        ``backend``, ``device``, ``precision`` and ``weights_sha256`` of each, in the order of the folds.

    Returns
    -------
    dict
        The same keys. Where the folds differ, their values are joined by ``+``. ``weights_sha256`` is
        the one fold's, or the SHA-256 of the folds' digests (as text) joined in their order.
    """
    digests = [fold["weights_sha256"] for fold in folds]
    joined = hashlib.sha256("".join(digests).encode()).hexdigest()
    found = {
        key: "+".join(sorted({f[key] for f in folds})) for key in ("backend", "device", "precision")
    }
    return {**found, "weights_sha256": digests[0] if len(digests) == 1 else joined}
