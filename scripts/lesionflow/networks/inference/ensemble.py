"""Combine the probabilities of the folds of an ensemble."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import nibabel as nib
import numpy as np

from lesionflow.base.label_channels import background_channels
from lesionflow.imaging.nifti import with_channel_axis

STEP = 2.0**-20  # precision of stored probabilities, far finer than any result depends on
MIN_MEAN = 0.1  # mean probability above which a voxel counts for the disagreement of the folds


def rounded(probability: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Round probabilities for storage, to multiples of 2⁻²⁰ (by at most 4.8e-7), float32.

    This reduces files to a fraction of their size: noise in the last digits cannot be compressed, and the many
    values near 0 become 0.

    Parameters
    ----------
    probability : array (x, y, z, label)
    out
        Output array, float32 and of the same shape; a new one by default.

    Returns
    -------
    array (x, y, z, label), or (x, y, z) for a single label
    """
    stored = probability.astype(np.float32, copy=False)
    stored = np.divide(stored, np.float32(STEP), out=out)  # exact: a power of two
    np.round(stored, out=stored)
    stored *= np.float32(STEP)
    return stored[..., 0] if stored.ndim == 4 and stored.shape[3] == 1 else stored


def average(folds: Sequence[nib.Nifti1Image], n_folds: int) -> tuple[np.ndarray, np.ndarray]:
    """Voxelwise mean and standard deviation over the folds of an ensemble.

    Parameters
    ----------
    folds
        One probability map per fold, all of the same shape and affine.
    n_folds
        Number of folds of the card.

    Returns
    -------
    mean, spread : array of the maps' shape, float32
        Computed in float64. The standard deviation is that of the population (ddof 0), so 0 for one fold.

    Raises
    ------
    ValueError
        If there are too few or too many folds, or two have different grids; the message names both.
    """
    if len(folds) != n_folds:
        raise ValueError(f"the ensemble has {n_folds} folds, but there are {len(folds)} maps")
    first = folds[0]
    for fold in folds[1:]:
        for name, expected, actual in (
            ("shape", first.shape, fold.shape),
            ("affine", first.affine.tolist(), fold.affine.tolist()),
        ):
            if expected != actual:
                raise ValueError(
                    f"folds differ in {name}: {first.get_filename()} has {expected}, {fold.get_filename()} {actual}"
                )
    arrays = [np.asanyarray(fold.dataobj).T for fold in folds]  # in the order of the files on disk
    mean, spread = np.empty((2, *arrays[0].shape), np.float32)
    for z in range(first.shape[2]):  # by planes, since thirty labels in float64 take gigabytes
        stack = np.stack([array[..., z, :, :] for array in arrays], dtype=np.float64)
        mean[..., z, :, :] = plane_mean = stack.mean(axis=0)
        spread[..., z, :, :] = stack.std(axis=0, mean=plane_mean[None])
    return mean.T, spread.T


def without_padding(maps: np.ndarray, scanned: np.ndarray, activation: str) -> np.ndarray:
    """Set voxels outside the scan, in the padding, to background.

    The published pipelines remove the padding before they count lesions.

    Parameters
    ----------
    maps : array (x, y, z) or (x, y, z, label)
        Changed in place.
    scanned : array (x, y, z), bool
        Voxels inside the scan.
    activation
        ``softmax``: the first channel is the background.
    """
    maps[~scanned] = 0
    if background_channels(activation):
        maps[~scanned, 0] = 1
    return maps


def disagreement(mean: np.ndarray, spread: np.ndarray, brain: np.ndarray) -> float:
    """Disagreement of the folds about possible lesions: ``fold_disagreement`` of the scan.

    The mean of the standard deviation over the brain voxels (of every label) with a mean probability above
    0.1; 0 if there are none. It ranges from 0 (all folds agree) to 0.5 (half have 0 and half have 1).

    Parameters
    ----------
    mean, spread : array (x, y, z) or (x, y, z, label)
        From ``average``.
    brain : array (x, y, z), bool
    """
    inside = brain if mean.ndim == 3 else brain[..., None]
    voxels = (mean > MIN_MEAN) & inside
    return float(spread[voxels].mean(dtype=np.float64)) if voxels.any() else 0.0


def ensemble_sidecar(
    mean: np.ndarray,
    spread: np.ndarray,
    brain: np.ndarray,
    labels: Mapping[int, str],
    activation: str,
    folds: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """JSON sidecar of the mean map of an ensemble.

    Parameters
    ----------
    mean, spread : array (x, y, z) or (x, y, z, channel)
        From ``average``.
    brain : array (x, y, z), bool
    labels, activation
        From the card.
    folds
        Sidecars of the folds (see ``combined_metadata``).

    Returns
    -------
    dict
        ``LabelMap``, the name of each channel (BIDS), ``fold_disagreement`` over the labels without the
        background, and ``combined_metadata``.
    """
    background = background_channels(activation)
    mean, spread = (with_channel_axis(maps)[..., background:] for maps in (mean, spread))
    return {
        "LabelMap": ["background"] * background + list(labels.values()),
        "fold_disagreement": disagreement(mean, spread, brain),
        **combined_metadata(folds),
    }


def combined_metadata(folds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How the map of an ensemble was computed, combined from the metadata of its folds.

    Parameters
    ----------
    folds
        ``backend``, ``device``, ``precision`` and ``weights_sha256`` of each fold, in order.

    Returns
    -------
    dict
        The same keys. Values that differ are joined by ``+``. ``weights_sha256`` is that of the only fold, or
        the SHA-256 of the concatenated digests (as text) of all folds.
    """
    digests = [fold["weights_sha256"] for fold in folds]
    joined = hashlib.sha256("".join(digests).encode()).hexdigest()
    settings = {
        key: "+".join(sorted({f[key] for f in folds})) for key in ("backend", "device", "precision")
    }
    return {**settings, "weights_sha256": digests[0] if len(digests) == 1 else joined}
