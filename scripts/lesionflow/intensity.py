"""Intensities as a network expects them: the steps of a card's ``input.normalize``, in order."""

from collections.abc import Callable
from typing import Any

import numpy as np


def _clip_below(x: np.ndarray, low: float, seen: np.ndarray) -> np.ndarray:
    return np.maximum(x, low)


def _clip_above(x: np.ndarray, high: float, seen: np.ndarray) -> np.ndarray:
    return np.minimum(x, high)


def _clip_percentiles(x: np.ndarray, pair: list[float], seen: np.ndarray) -> np.ndarray:
    low, high = np.percentile(seen, pair)
    return np.clip(x, low, high)


def _divide_by(x: np.ndarray, divisor: float, seen: np.ndarray) -> np.ndarray:
    return x / divisor


def _divide_by_percentile(x: np.ndarray, percentile: float, seen: np.ndarray) -> np.ndarray:
    value = np.percentile(seen, percentile)
    if not value > 0:
        raise ValueError(
            f"percentile {percentile:g} of the intensities is {value:g}: nothing to divide by "
            "(is the image empty inside the mask?)"
        )
    return x / value


def _min_max(x: np.ndarray, pair: list[float], seen: np.ndarray) -> np.ndarray:
    low, high = float(seen.min()), float(seen.max())
    if not high > low:
        raise ValueError(f"every voxel is {low:g}: min_max cannot scale it")
    return pair[0] + (x - low) * ((pair[1] - pair[0]) / (high - low))


def _z_score(x: np.ndarray, on: bool, seen: np.ndarray) -> np.ndarray:
    spread = float(seen.std())
    if not spread > 0:
        raise ValueError(f"every voxel is {float(seen.flat[0]):g}: its z-score is not defined")
    return (x - seen.mean()) / spread


def _zero_below_fraction_of_max(x: np.ndarray, share: float, seen: np.ndarray) -> np.ndarray:
    return np.where(x < share * seen.max(), 0, x)


OPERATIONS: dict[str, Callable[[np.ndarray, Any, np.ndarray], np.ndarray]] = {
    "clip_below": _clip_below,
    "clip_above": _clip_above,
    "clip_percentiles": _clip_percentiles,
    "divide_by": _divide_by,
    "divide_by_percentile": _divide_by_percentile,
    "min_max": _min_max,
    "z_score": _z_score,
    "zero_below_fraction_of_max": _zero_below_fraction_of_max,
}


def normalize(channels: np.ndarray, steps: list[dict[str, Any]], brain: np.ndarray) -> np.ndarray:
    """Channels after a card's normalisation.

    Parameters
    ----------
    channels : array (x, y, z, channel)
        Intensities of the cropped scan; NaN where the box reaches beyond it and zeros go in the end.
    steps
        One operation each, by its name in ``OPERATIONS``, e.g. ``{"divide_by_percentile": 99,
        "within": "brain"}``. Statistics are taken over every voxel, or with ``within: brain`` over
        those of the mask; over all channels together, or with ``per_channel: true`` one by one; never
        over what is NaN.
        Percentiles interpolate linearly (NumPy's default). Standard deviations have ddof 0.
    brain : array (x, y, z), bool

    Returns
    -------
    array (x, y, z, channel), float32

    Raises
    ------
    ValueError
        If a step cannot be computed (empty mask, nothing to divide by).
    """
    x = channels.astype(np.float64, order="C")  # the order in which statistics go through it
    known = np.ones(x.shape[:3], bool)
    for c in range(x.shape[3]):
        known &= ~np.isnan(x[..., c])
    for step in steps:
        name = next(key for key in step if key in OPERATIONS)
        region = brain & known if step.get("within") == "brain" else known
        if not region.any():
            raise ValueError(f"normalize: {name} within the brain, but the mask is empty")
        parts = (
            [slice(c, c + 1) for c in range(x.shape[3])]
            if step.get("per_channel")
            else [slice(None)]
        )
        voxels = np.flatnonzero(region)
        for part in parts:
            own = x[..., part]
            seen = own.reshape(-1, own.shape[3]).take(voxels, axis=0)
            x[..., part] = OPERATIONS[name](own, step[name], seen)
    x[~known] = 0
    return x.astype(np.float32)


def storable(image: np.ndarray) -> np.ndarray:
    """A normalised image as it is stored and as the network sees it: without the digits that only noise has.

    Multiples of 2**-20 of its range (of the power of two at or below its largest magnitude), so at most
    5e-7 of the range away: float32 arithmetic in a network does as much. Files become a tenth smaller.

    Parameters
    ----------
    image : array (x, y, z), float32
        Finite.
    """
    largest = float(np.abs(image).max())
    if not largest:
        return image
    step = np.float32(2.0 ** (np.floor(np.log2(largest)) - 20))
    return np.round(image / step) * step
