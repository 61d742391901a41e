"""A random volume with structure of every size."""

import numpy as np


def random_volume(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Random intensities in [0, 1] with structure of every size, as in a scan.

    White noise would average out in the encoder of a network. The output would then be a small difference of
    large numbers, and tell more about rounding than about the network.

    Parameters
    ----------
    shape
        (x, y, z, channel), or (x, y, channel).
    seed
        The same seed gives the same volume.

    Returns
    -------
    array of ``shape``, float32
        Mean of random blocks with sides of 1, 2, 4, ... voxels, from 0 to 1.
    """
    rng = np.random.default_rng(seed)
    total, side = np.zeros(shape, np.float32), 1
    while side < 2 * max(shape[:-1]):
        blocks = rng.random((*(-(-n // side) for n in shape[:-1]), shape[-1]), np.float32)
        for axis in range(len(shape) - 1):
            blocks = blocks.repeat(side, axis).take(range(shape[axis]), axis)
        total += blocks
        side *= 2
    total -= total.min()
    return total / total.max()
