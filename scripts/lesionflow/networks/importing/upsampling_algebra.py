"""Convolution of an upsampled feature map, computed from the small map with 8/27 of the multiplications.

A U-Net doubles a small map by nearest-neighbour upsampling, concatenates it with a skip connection and
convolves both. With a kernel K of size k = 2p + 1 along an axis, zero padding, and the upsampled map
U[j] = x[j // 2], the output y[o] = sum over t of K[t] U[o + t - p] uses x[i] at the taps with o + t - p = 2i
or 2i + 1. That is a transposed convolution of x with stride 2 and a kernel W of size k + 1:

    y[o] = sum over i of W[o - 2i + p] x[i],    W[u] = K[2p - u] + K[2p + 1 - u]    (K is 0 outside 0 ... 2p)

The convolution of concatenated maps is the sum of their convolutions. Both are identities; only float32
rounding differs. This module has the arithmetic; ``upsampling_openvino`` applies it to a network.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

# Smallest map, in voxels, that is worth it: below, no time is saved, and the larger kernel takes space.
MIN_VOXELS = 1000
Crop = tuple[
    tuple[int, int], ...
]  # for each axis, the planes (0 or 1) cropped at its start and its end


class Term(NamedTuple):
    """One transposed convolution in the sum, of some planes of the small map.

    Each field but the kernel has one entry per axis.

    Attributes
    ----------
    kernel : array (in, out, *k), float32
    planes
        First plane of the small map that is used, and the one after the last.
    strides
    cropping
        Rows to crop from the result at either end.
    padding
        Rows of zeros to add to the result at either end.
    """

    kernel: np.ndarray
    planes: tuple[tuple[int, int], ...]
    strides: tuple[int, ...]
    cropping: tuple[tuple[int, int], ...]
    padding: tuple[tuple[int, int], ...]


def may_be_doubled(small: Sequence[int], large: Sequence[int], min_voxels: int) -> bool:
    """Whether the sizes fit: ``large`` is twice ``small``, cropped by at most two planes along each axis.

    False if the small map has fewer than ``min_voxels``.
    """
    cropped = {2 * n - m for n, m in zip(small, large, strict=True)}
    return cropped <= {0, 1, 2} and bool(np.prod(small) >= min_voxels)


def crop_of_doubled(small: np.ndarray, large: np.ndarray) -> Crop | None:
    """How a map was cropped after nearest-neighbour upsampling by 2: at most one plane at either end.

    Parameters
    ----------
    small : array (batch, channel, *n)
        Random values.
    large : array (batch, channel, *m)
        Output of the network for ``small``; its sizes must pass ``may_be_doubled``.

    Returns
    -------
    crop
        None if ``large`` is not ``small`` upsampled and cropped.
    """
    crop = []
    for axis, size in enumerate(large.shape[2:], 2):
        missing = 2 * small.shape[axis] - size
        starts_with_pair = size > 1 and (large.take(0, axis) == large.take(1, axis)).all()
        first = 0 if starts_with_pair else min(missing, 1)
        crop.append((first, missing - first))
        small = small.take((np.arange(size) + first) // 2, axis)
    equal = max(max(ends) for ends in crop) <= 1 and np.array_equal(large, small)
    return tuple(crop) if equal else None


def tap_sums(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Along one axis, the taps of a kernel of odd ``size`` k = 2p + 1 that fall on each voxel of the small map.

    Returns
    -------
    doubled : array (k + 1, k)
        Multiplied by K, it gives the kernel W of the transposed convolution.
    first, last : arrays (p, k)
        Multiplied by K, what the first plane of the upsampled map adds to the p planes after it, in order, and
        the last plane to the p planes before it.
    """
    p, reverse = size // 2, np.eye(size)[::-1]
    doubled = np.pad(reverse, ((0, 1), (0, 0))) + np.pad(reverse, ((1, 0), (0, 0)))
    return doubled, reverse[p + 1 :], reverse[:p]


def terms(kernel: np.ndarray, small: Sequence[int], crop: Crop) -> Iterator[Term]:
    """Split the 'same' convolution of an upsampled and cropped map into transposed convolutions of the small map.

    Where a plane was cropped the convolution saw zero padding, so what that plane would have added is
    subtracted: along each axis the cropped map is the upsampled map minus its cropped planes, and the product
    over the axes is multiplied out.

    Parameters
    ----------
    kernel : array (out, in, *k)
        Sizes k are odd.
    small
        Sizes of the small map, without batch and channel.
    crop
        How the upsampled map was cropped.
    """
    axes = []  # for each axis, options of: taps, planes of the small map, stride, cropping, padding
    for k, n, (first, last) in zip(kernel.shape[2:], small, crop, strict=True):
        p, m, (doubled, at_first, at_last) = k // 2, 2 * n - first - last, tap_sums(k)
        options = [(doubled, (0, n), 2, (p + first, p + last), (0, 0))]
        reached = min(p, m)  # planes that the kernel reaches from a cropped one
        if first and p:
            options.append((-at_first[:reached], (0, 1), 1, (0, 0), (0, m - reached)))
        if last and p:
            options.append((-at_last[p - reached :], (n - 1, n), 1, (0, 0), (m - reached, 0)))
        axes.append(options)
    for choice in product(*axes):
        taps, *geometry = zip(*choice, strict=True)
        weights = kernel.swapaxes(0, 1).astype(float)
        for axis, matrix in enumerate(taps, 2):
            weights = np.moveaxis(np.tensordot(matrix, weights, (1, axis)), 0, axis)
        yield Term(np.ascontiguousarray(weights, np.float32), *geometry)
