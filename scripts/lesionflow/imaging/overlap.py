"""Overlap of two segmentations."""

import numpy as np


def dice(
    intersection: np.ndarray | float, size: np.ndarray | float, other_size: np.ndarray | float
) -> np.ndarray:
    """Dice's coefficient: twice the shared voxels (or volume) over the sum of both sizes.

    Parameters
    ----------
    intersection, size, other_size
        Numbers or arrays of one shape, in the same unit.

    Returns
    -------
    array, float
        From 0 to 1; NaN where both are empty.
    """
    total = np.asarray(size, float) + np.asarray(other_size, float)
    twice = 2 * np.asarray(intersection, float)
    return np.divide(twice, total, out=np.full(total.shape, np.nan), where=total != 0)
