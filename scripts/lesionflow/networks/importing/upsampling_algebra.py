"""Upsampled maps that are convolved, but never made: the same sums in 8/27 of the arithmetic.

A U-Net doubles a small map by nearest neighbours, joins it to a skip connection and convolves both. With
kernel K of size k = 2p + 1 along an axis, zeros outside, and U[j] = x[j // 2], the sum
y[o] = sum over t of K[t] U[o + t - p] meets x[i] at the taps with o + t - p = 2i or 2i + 1. That is a
transposed convolution of x with stride 2 and a kernel W of size k + 1:

    y[o] = sum over i of W[o - 2i + p] x[i],    W[u] = K[2p - u] + K[2p + 1 - u]    (K is 0 outside 0 ... 2p)

And the convolution of joined maps is the sum of their convolutions. Both are identities; what differs is
float32's rounding. Here is the arithmetic; ``openvino_upsampling`` and ``tensorflow_upsampling`` find the
places in a network and rewrite them.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np

# Voxels of a small map: below, nothing is gained, and the larger kernel takes space.
AT_LEAST = 1000
Crop = tuple[tuple[int, int], ...]  # (first, last) of each axis: whether that plane was cut


class Upsampled(NamedTuple):
    """A framework's small map, and what the doubled one has lost by the time that it is convolved."""

    small: Any
    crop: Crop


class Share(NamedTuple):
    """A transposed convolution of planes of a small map, and where in the sum its result stands.

    For each axis ``planes`` has the first plane and the one after the last, ``strides`` the stride,
    ``cuts`` the rows to cut from the result on either side and ``zeros`` those to add.
    """

    kernel: np.ndarray  # (in, out, *k), float32
    planes: tuple[tuple[int, int], ...]
    strides: tuple[int, ...]
    cuts: tuple[tuple[int, int], ...]
    zeros: tuple[tuple[int, int], ...]


def may_be_doubled(small: Sequence[int], large: Sequence[int], at_least: int) -> bool:
    """Whether a map of the sizes ``small`` has the voxels, and doubled and cropped those of ``large``."""
    cut = {2 * n - m for n, m in zip(small, large, strict=True)}
    return cut <= {0, 1, 2} and bool(np.prod(small) >= at_least)


def crop_of_doubled(small: np.ndarray, large: np.ndarray) -> Crop | None:
    """What was cut from a map doubled by nearest neighbours, at most a plane on either side.

    Parameters
    ----------
    small : array (batch, channel, *n)
        Random values.
    large : array (batch, channel, *m)
        What the network made of them, ``may_be_doubled``.

    Returns
    -------
    crop
        None where ``large`` is anything else.
    """
    crop = []
    for axis, size in enumerate(large.shape[2:], 2):
        lost = 2 * small.shape[axis] - size
        pair = size > 1 and (large.take(0, axis) == large.take(1, axis)).all()
        first = 0 if pair else min(lost, 1)
        crop.append((first, lost - first))
        small = small.take((np.arange(size) + first) // 2, axis)
    fits = max(max(ends) for ends in crop) <= 1 and np.array_equal(large, small)
    return tuple(crop) if fits else None


def tap_sums(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which taps of a kernel of odd ``size`` k = 2p + 1 meet a voxel of the small map, along one axis.

    Returns
    -------
    doubled : array (k + 1, k)
        Times K, the kernel W of the transposed convolution.
    first, last : arrays (p, k)
        Times K, what the first plane of the doubled map adds to the p planes after it, in their order, and
        the last one to the p planes before it.
    """
    p, reverse = size // 2, np.eye(size)[::-1]
    doubled = np.pad(reverse, ((0, 1), (0, 0))) + np.pad(reverse, ((1, 0), (0, 0)))
    return doubled, reverse[p + 1 :], reverse[:p]


def shares(kernel: np.ndarray, small: Sequence[int], crop: Crop) -> Iterator[Share]:
    """Summands of the 'same' convolution of a doubled and cropped map, from the small one.

    Where a plane was cut the convolution met zeros. So what the plane would have added is subtracted:
    along each axis the cropped map is the doubled one less its cut planes, and the product over the axes
    is multiplied out.

    Parameters
    ----------
    kernel : array (out, in, *k)
        Sizes k are odd.
    small
        Sizes of the small map, without batch and channel.
    crop
        What was cut from the doubled one.
    """
    ways = []  # an axis: taps, planes of the small map, stride, rows to cut and to add on either side
    for k, n, (first, last) in zip(kernel.shape[2:], small, crop, strict=True):
        p, m, (doubled, at_first, at_last) = k // 2, 2 * n - first - last, tap_sums(k)
        way = [(doubled, (0, n), 2, (p + first, p + last), (0, 0))]
        met = min(p, m)  # planes that the kernel reaches from a cut one
        if first and p:
            way.append((-at_first[:met], (0, 1), 1, (0, 0), (0, m - met)))
        if last and p:
            way.append((-at_last[p - met :], (n - 1, n), 1, (0, 0), (m - met, 0)))
        ways.append(way)
    for choice in product(*ways):
        taps, *where = zip(*choice, strict=True)
        weights = kernel.swapaxes(0, 1).astype(float)
        for axis, matrix in enumerate(taps, 2):
            weights = np.moveaxis(np.tensordot(matrix, weights, (1, axis)), 0, axis)
        yield Share(np.ascontiguousarray(weights, np.float32), *where)
