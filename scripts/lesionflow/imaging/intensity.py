"""Intensities as a network expects them: the steps of a card's ``input.normalize``, in order."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from lesionflow.base.errors import ScanError

Change = Callable[[np.ndarray], np.ndarray]  # of intensities in float64, each by itself
Seen = Callable[..., np.ndarray]  # gets what a statistic is of: (voxel, channel), float64


def _clip_below(low: float, seen: Seen) -> Change:
    return lambda x: np.maximum(x, low)


def _clip_above(high: float, seen: Seen) -> Change:
    return lambda x: np.minimum(x, high)


def _clip_percentiles(pair: list[float], seen: Seen) -> Change:
    low, high = np.percentile(seen(), pair)
    return lambda x: np.clip(x, low, high)


def _divide_by(divisor: float, seen: Seen) -> Change:
    return lambda x: x / divisor


def _divide_by_percentile(percentile: float, seen: Seen) -> Change:
    value = np.percentile(seen(), percentile)
    if not value > 0:
        raise ScanError(
            f"percentile {percentile:g} of the intensities is {value:g}: nothing to divide by "
            "(is the image empty inside the mask?)"
        )
    return lambda x: x / value


def _min_max(pair: list[float], seen: Seen) -> Change:
    values = seen()
    low, high = float(values.min()), float(values.max())
    if not high > low:
        raise ScanError(f"every voxel is {low:g}: min_max cannot scale it")
    return lambda x: pair[0] + (x - low) * ((pair[1] - pair[0]) / (high - low))


def _z_score(on: bool, seen: Seen) -> Change:
    values = seen(in_order=True)  # the last digits of a sum go by it
    mean, spread = values.mean(), float(values.std())
    if not spread > 0:
        raise ScanError(f"every voxel is {float(values.flat[0]):g}: its z-score is not defined")
    return lambda x: (x - mean) / spread


def _zero_below_fraction_of_max(share: float, seen: Seen) -> Change:
    limit = share * seen().max()
    return lambda x: np.where(x < limit, 0, x)


OPERATIONS: dict[str, Callable[[Any, Seen], Change]] = {
    "clip_below": _clip_below,
    "clip_above": _clip_above,
    "clip_percentiles": _clip_percentiles,
    "divide_by": _divide_by,
    "divide_by_percentile": _divide_by_percentile,
    "min_max": _min_max,
    "z_score": _z_score,
    "zero_below_fraction_of_max": _zero_below_fraction_of_max,
}


def normalize(
    channels: np.ndarray, steps: list[dict[str, Any]], brain: np.ndarray, only: int | None = None
) -> np.ndarray:
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
    only
        The one channel that is asked for; the others go into the statistics over all channels.

    Returns
    -------
    array (x, y, z, channel), float32
        In the order of ``channels`` in memory. Computed in float64.

    Raises
    ------
    ScanError
        If a step cannot be computed (empty mask, nothing to divide by).
    """
    known = ~np.isnan(channels).any(axis=3)
    each = range(channels.shape[3])
    wanted = each if only is None else each[only : only + 1]
    changes: list[list[Change]] = [[] for _ in each]  # of each channel, one after the other
    for n, step in enumerate(steps, start=1):
        name = next(key for key in step if key in OPERATIONS)
        region = brain & known if step.get("within") == "brain" else known
        if not region.any():
            raise ScanError(f"normalize: {name} within the brain, but the mask is empty")
        apart = wanted if all(later.get("per_channel") for later in steps[n:]) else each
        for part in [[c] for c in apart] if step.get("per_channel") else [each]:
            seen = partial(_seen, channels, changes, part, region)
            change = OPERATIONS[name](step[name], seen)
            for c in part:
                changes[c].append(change)
    normal = np.empty_like(channels[..., : len(wanted)], np.float32)
    slowest = int(np.argmax(np.abs(channels.strides[:3])))
    for n, c in enumerate(wanted):
        stored = channels[..., c], known, normal[..., n]
        planes = (np.moveaxis(array, slowest, 0) for array in stored)
        for plane, there, out in zip(*planes, strict=True):  # one stays in the processor's cache
            out[...] = np.where(there, _changed(plane, changes[c]), 0)
    return normal


def _seen(
    channels: np.ndarray,
    changes: list[list[Change]],
    part: Sequence[int],
    region: np.ndarray,
    in_order: bool = False,
) -> np.ndarray:
    """Intensities of some channels in a region, as they are by now; ``in_order`` of indices, which takes longer."""
    every = [channels[..., c] for c in part]
    seen = [own[region] if in_order else own.T[region.T] for own in every]
    return np.stack([_changed(own, changes[c]) for own, c in zip(seen, part, strict=True)], axis=-1)


def _changed(values: np.ndarray, changes: list[Change]) -> np.ndarray:
    values = values.astype(np.float64)
    for change in changes:
        values = change(values)
    return values


def storable(image: np.ndarray) -> np.ndarray:
    """A normalised image as it is stored and as the network sees it: without the digits that only noise has.

    Multiples of 2**-20 of its range (of the power of two at or below its largest magnitude), so at most
    5e-7 of the range away: float32 arithmetic in a network does as much. Files become a tenth smaller.

    Parameters
    ----------
    image : array (x, y, z), float32
        Finite.
    """
    largest = float(max(image.max(), -image.min()))
    if not largest:
        return image
    step = np.float32(2.0 ** (np.floor(np.log2(largest)) - 20))
    stored = image / step
    np.round(stored, out=stored)
    stored *= step
    return stored
