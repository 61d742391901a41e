"""Normalisation of intensities for a network: the steps of a card's ``input.normalize``, in their order."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from lesionflow.base.errors import ScanError

Transform = Callable[[np.ndarray], np.ndarray]  # voxelwise, of intensities in float64
Values = Callable[..., np.ndarray]  # returns the (voxel, channel) float64 values of a statistic


def _clip_below(low: float, values: Values) -> Transform:
    return lambda x: np.maximum(x, low)


def _clip_above(high: float, values: Values) -> Transform:
    return lambda x: np.minimum(x, high)


def _clip_percentiles(percentiles: list[float], values: Values) -> Transform:
    low, high = np.percentile(values(), percentiles)
    return lambda x: np.clip(x, low, high)


def _divide_by(divisor: float, values: Values) -> Transform:
    return lambda x: x / divisor


def _divide_by_percentile(percentile: float, values: Values) -> Transform:
    divisor = np.percentile(values(), percentile)
    if not divisor > 0:
        raise ScanError(
            f"percentile {percentile:g} of the intensities is {divisor:g}: nothing to divide by "
            "(is the image empty inside the mask?)"
        )
    return lambda x: x / divisor


def _min_max(limits: list[float], values: Values) -> Transform:
    intensities = values()
    low, high = float(intensities.min()), float(intensities.max())
    if not high > low:
        raise ScanError(f"every voxel is {low:g}: min_max cannot scale it")
    return lambda x: limits[0] + (x - low) * ((limits[1] - limits[0]) / (high - low))


def _z_score(enabled: bool, values: Values) -> Transform:
    intensities = values(in_order=True)  # the last digits of a sum depend on the order
    mean, sd = intensities.mean(), float(intensities.std())
    if not sd > 0:
        raise ScanError(
            f"every voxel is {float(intensities.flat[0]):g}: its z-score is not defined"
        )
    return lambda x: (x - mean) / sd


def _zero_below_fraction_of_max(fraction: float, values: Values) -> Transform:
    limit = fraction * values().max()
    return lambda x: np.where(x < limit, 0, x)


OPERATIONS: dict[str, Callable[[Any, Values], Transform]] = {
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
    channels: np.ndarray,
    steps: list[dict[str, Any]],
    brain: np.ndarray,
    channel: int | None = None,
) -> np.ndarray:
    """Channels after the normalisation of a card.

    Parameters
    ----------
    channels : array (x, y, z, channel)
        Intensities of the cropped scan; NaN in the padding, which becomes 0.
    steps
        One operation each, by its name in ``OPERATIONS``, e.g. ``{"divide_by_percentile": 99,
        "within": "brain"}``. Statistics are computed over all voxels, or with ``within: brain`` over
        those of the mask; over all channels together, or with ``per_channel: true`` for each channel; always
        without NaN. Percentiles are interpolated linearly (NumPy's default). Standard deviations have ddof 0.
    brain : array (x, y, z), bool
        Brain mask.
    channel
        Index of the only channel to return; the others still enter the statistics over all channels.

    Returns
    -------
    array (x, y, z, channel), float32
        In the memory order of ``channels``. Computed in float64.

    Raises
    ------
    ScanError
        If a step cannot be computed (empty mask, nothing to divide by).
    """
    not_padding = ~np.isnan(channels).any(axis=3)
    all_channels = range(channels.shape[3])
    returned = all_channels if channel is None else all_channels[channel : channel + 1]
    transforms: list[list[Transform]] = [[] for _ in all_channels]  # of each channel, in order
    for n, step in enumerate(steps, start=1):
        name = next(key for key in step if key in OPERATIONS)
        region = brain & not_padding if step.get("within") == "brain" else not_padding
        if not region.any():
            raise ScanError(f"normalize: {name} within the brain, but the mask is empty")
        # a channel that is not returned is needed only by a later statistic over all channels
        independent = all(later.get("per_channel") for later in steps[n:])
        per_channel = [[c] for c in (returned if independent else all_channels)]
        for group in per_channel if step.get("per_channel") else [all_channels]:
            values = partial(_values, channels, transforms, group, region)
            transform = OPERATIONS[name](step[name], values)
            for c in group:
                transforms[c].append(transform)
    normalized = np.empty_like(channels[..., : len(returned)], np.float32)
    slowest = int(np.argmax(np.abs(channels.strides[:3])))
    for n, c in enumerate(returned):
        arrays = channels[..., c], not_padding, normalized[..., n]
        planes = (np.moveaxis(array, slowest, 0) for array in arrays)
        for plane, inside, result in zip(*planes, strict=True):  # a plane fits into the cache
            result[...] = np.where(inside, _apply(transforms[c], plane), 0)
    return normalized


def _values(
    channels: np.ndarray,
    transforms: list[list[Transform]],
    group: Sequence[int],
    region: np.ndarray,
    in_order: bool = False,
) -> np.ndarray:
    """Intensities (voxel, channel) of some channels in a region, after the transforms so far.

    With ``in_order`` voxels are in C order, which is slower.
    """
    images = [channels[..., c] for c in group]
    values = [image[region] if in_order else image.T[region.T] for image in images]
    transformed = [_apply(transforms[c], x) for c, x in zip(group, values, strict=True)]
    return np.stack(transformed, axis=-1)


def _apply(transforms: list[Transform], values: np.ndarray) -> np.ndarray:
    values = values.astype(np.float64)
    for transform in transforms:
        values = transform(values)
    return values


def quantized(image: np.ndarray) -> np.ndarray:
    """A normalized image rounded to about 20 bits, as it is stored and given to the network.

    Values are multiples of 2**-20 of the largest magnitude (of the power of two at or below it), so that the
    rounding error is at most 5e-7 of it, like that of float32 arithmetic in a network. Compressed files become a
    tenth smaller.

    Parameters
    ----------
    image : array (x, y, z), float32
        Finite.
    """
    largest = float(max(image.max(), -image.min()))
    if not largest:
        return image
    step = np.float32(2.0 ** (np.floor(np.log2(largest)) - 20))
    rounded = image / step
    np.round(rounded, out=rounded)
    rounded *= step
    return rounded
