"""Nearest and linear interpolation along the axes: what ITK computes, at a fraction of its cost.

Where the axes of both grids run in the same directions (in whatever order), the voxels that a result
is made of are found axis by axis, and nothing has to be worked out for each voxel of the result.
"""

import numpy as np

from lesionflow.sinc import axis_aligned

SURE = 1e-6  # voxels that a position may be off by


def nearest(data: np.ndarray, matrix: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """The nearest voxels' values, 0 outside; None where the axes turn or a place is half-way between two.

    Which of two equally near voxels ITK takes depends on how its sums are rounded: ask ITK.

    Parameters
    ----------
    data : array (x, y, z)
    matrix : array (4, 4)
        Voxel index of the result to voxel index of ``data``.
    shape
        Of the result.

    Returns
    -------
    array of ``shape`` and the type of ``data``, or None
    """
    if not axis_aligned(matrix, shape):
        return None
    result, source = _turned(data, matrix)
    for axis, along in enumerate(source):
        position, off = _positions(matrix, shape, axis, along)
        index = np.floor(position + 0.5)
        away = np.abs(position - index)
        if (away + off > 0.5 - SURE).any():
            return None
        size = data.shape[along]
        result = result.take(index.clip(0, size - 1).astype(int), axis=2 - axis)
        outside = [slice(None)] * 3
        outside[2 - axis] = (index < 0) | (index >= size)
        result[tuple(outside)] = 0
    return result.T


def linear(data: np.ndarray, matrix: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """Linear interpolation in float64, as ITK's; None where the axes turn.

    Parameters
    ----------
    data, matrix, shape
        As for ``nearest``. Up to half a voxel outside, the voxel at the edge holds; 0 beyond.

    Returns
    -------
    array of ``shape``, float32, or None
    """
    if not axis_aligned(matrix, shape, 1e-5):
        return None
    planes, source = _turned(data, matrix)
    low, high, share, inside = [], [], [], []
    for axis, along in enumerate(source):
        position, _ = _positions(matrix, shape, axis, along)
        size = data.shape[along]
        within = np.flatnonzero((position >= -0.5) & (position < size - 0.5))  # in one piece
        inside.append(slice(within[0], within[-1] + 1) if len(within) else slice(0, 0))
        position = position[inside[axis]]
        base = np.floor(position)
        low.append(base.clip(0, size - 1).astype(int))
        high.append((base + 1).clip(0, size - 1).astype(int))
        share.append(position - base)
    result = np.zeros(shape[::-1], np.float32)
    sampled = result[tuple(inside[::-1])]
    for k in range(len(sampled)):  # a plane at a time: it stays in the processor's cache
        plane = _between(planes[low[2][k]], planes[high[2][k]], share[2][k])
        if plane.any():
            rows = _between(plane[low[1]], plane[high[1]], share[1][:, None])
            sampled[k] = _between(rows.take(low[0], 1), rows.take(high[0], 1), share[0])
    return result.T


def _between(one: np.ndarray, other: np.ndarray, share: np.ndarray) -> np.ndarray:
    between = (other - one) * share  # in float64, as the share is
    between += one
    return between


def _turned(data: np.ndarray, matrix: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """``data`` (z, y, x) in the order of the result's axes, and the axis of data along each of them."""
    source = np.abs(matrix[:3, :3]).argmax(axis=0)
    return np.ascontiguousarray(data.transpose(source).T), source.tolist()


def _positions(
    matrix: np.ndarray, shape: tuple[int, ...], axis: int, along: int
) -> tuple[np.ndarray, float]:
    """Positions along an axis of data for an axis of the result, and how far the others turn them at most."""
    half = (np.array(shape) - 1) / 2
    half[axis] = 0
    position = matrix[along, axis] * np.arange(shape[axis]) + matrix[along, 3]
    return position + matrix[along, :3] @ half, float(np.abs(matrix[along, :3]) @ half)
