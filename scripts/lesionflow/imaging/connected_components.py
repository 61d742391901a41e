"""Connected pieces: the lesions of a label map, and the largest piece of each structure."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from nibabel.affines import apply_affine

CONNECTIVITY = {
    6: 1,
    18: 2,
    26: 3,
}  # neighbours of a voxel: SciPy's rank of the structure
FEW = 20_000  # voxels that are put together here sooner than SciPy is imported (0.35 s)


def components(labels: np.ndarray, connectivity: int, affine: np.ndarray) -> np.ndarray:
    """Lesions of a label map: connected components of each label, numbered from 1.

    Numbers run through the labels; within a label the largest comes first, and of two equally large
    ones the one whose centre is lower (then more posterior, then more left) in the world, so that
    numbers do not depend on how the image is stored.

    Parameters
    ----------
    labels : array (x, y, z), integers
    connectivity
        6, 18 or 26 neighbours.
    affine
        Of ``labels``, for the order.

    Returns
    -------
    array (x, y, z), int32
    """
    numbered = np.zeros_like(labels, np.int32)
    found = 0
    for value, box in boxes(labels).items():
        parts, count = pieces(labels[box] == value, CONNECTIVITY[connectivity])
        index, inside = np.arange(1, count + 1), parts > 0
        sizes = np.bincount(parts[inside], minlength=count + 1)[1:]
        moved = affine.copy()
        moved[:3, 3] = apply_affine(affine, [axis.start for axis in box])
        x, y, z = np.round(centres_mm(parts, moved, count), 3).T
        order = np.lexsort((x, y, z, -sizes))
        rank = np.zeros(count + 1, np.int32)
        rank[index[order]] = found + index
        numbered[box][inside] = rank[parts[inside]]
        found += count
    return numbered


def boxes(numbers: np.ndarray) -> dict[int, tuple[slice, ...]]:
    """The smallest box around each number of an array (x, y, z) but 0, by number, ascending."""
    if np.count_nonzero(numbers) > FEW:
        from scipy import ndimage

        found = ndimage.find_objects(numbers.astype(np.int32, copy=False))
        return {n: box for n, box in enumerate(found, start=1) if box is not None}
    flat = np.flatnonzero(numbers.T != 0)  # fast where the array is as files hold it
    voxels = np.stack(np.unravel_index(flat, numbers.T.shape)[::-1], axis=-1)
    own = numbers[tuple(voxels.T)]
    return {
        int(n): tuple(
            slice(int(a), int(b) + 1)
            for a, b in zip(voxels[own == n].min(0), voxels[own == n].max(0), strict=True)
        )
        for n in np.unique(own)
    }


def with_values(numbers: np.ndarray, values: np.ndarray) -> np.ndarray:
    """An array of numbers (x, y, z) with ``values[number]`` in place of each; that of 0 is 0."""
    result = np.zeros_like(numbers, values.dtype)
    inside = numbers.T != 0  # few voxels, fast to find where the array is as files hold it
    result.T[inside] = values[numbers.T[inside]]
    return result


def pieces(inside: np.ndarray, rank: int) -> tuple[np.ndarray, int]:
    """Connected pieces of a bool array, numbered from 1 in index order, and how many: SciPy's ``label``.

    ``rank`` is SciPy's: 1 for neighbours that share faces, 2 edges, 3 corners.
    """
    if np.count_nonzero(inside) > FEW:
        from scipy import ndimage

        return ndimage.label(inside, ndimage.generate_binary_structure(inside.ndim, rank))
    voxels = np.argwhere(inside)
    steps = np.array(inside.shape[::-1]) + 1  # one more, so that no row's end touches the next
    weights = np.cumprod([1, *steps[:-1]])[::-1]
    keys = voxels @ weights
    pairs = []
    around = np.argwhere(np.ones((3,) * inside.ndim)) - 1
    for step in around[(np.abs(around).sum(1) <= rank) & (around @ weights > 0)] @ weights:
        place = np.searchsorted(keys, keys + step).clip(max=max(len(keys) - 1, 0))
        one = np.flatnonzero(keys[place] == keys + step)
        pairs.append((one, place[one]))
    one, other = (np.concatenate(side) for side in zip(*pairs, strict=True))
    first = np.arange(len(voxels))  # of each voxel's piece, as far as is known
    while (first[one] != first[other]).any():
        low = np.minimum(first[one], first[other])
        for side in (one, other):
            np.minimum.at(first, first[side], low)
        first = first[first]
    firsts, number = np.unique(first, return_inverse=True)
    numbered = np.zeros(inside.shape, np.int32)
    numbered[tuple(voxels.T)] = number + 1
    return numbered, len(firsts)


def centres_mm(numbers: np.ndarray, affine: np.ndarray, found: int) -> np.ndarray:
    """World positions (found, 3) of the centres of numbered lesions, each voxel with equal weight."""
    places = np.nonzero(numbers)
    own = numbers[places]
    size = np.maximum(np.bincount(own, minlength=found + 1)[1:], 1)
    index = [np.bincount(own, weights=axis, minlength=found + 1)[1:] / size for axis in places]
    return apply_affine(affine, np.stack(index, axis=-1))


def cleaned(maps: np.ndarray, labels: Sequence[int], components: Mapping[str, Any]) -> np.ndarray:
    """Probabilities without what belongs to no largest piece, as SynthSeg cleans them.

    Of the labels' summed probability, and then of the highest probability in each class, only the largest
    piece above the threshold is kept; elsewhere the labels concerned become 0. A voxel's probabilities
    are then divided by their sum; one where nothing is left is background.

    Parameters
    ----------
    maps : array (x, y, z, 1 + label), float32
        Background first. Changed in place.
    labels
        The labels' values in the order of the channels.
    components
        The card's ``postprocess.components``: ``threshold`` (strict), ``connectivity``, ``overall``, ``classes``
        (lists of label values).

    Returns
    -------
    array (x, y, z, 1 + label), float32
    """
    threshold = components["threshold"]
    rank = CONNECTIVITY[components["connectivity"]]
    if components["overall"]:
        keep = largest_piece(maps[..., 1:].sum(axis=3) > threshold, rank)
        maps[..., 1:] *= keep[..., None]
    channel = {value: n for n, value in enumerate(labels, start=1)}
    for values in components["classes"]:
        own = [channel[value] for value in values]
        keep = largest_piece((maps[..., own] > threshold).any(axis=3), rank)
        for n in own:
            maps[..., n] *= keep
    total = maps.sum(axis=3)
    nothing = total == 0
    maps[nothing, 0] = 1
    total[nothing] = 1
    maps /= total[..., None]
    return maps


def largest_piece(inside: np.ndarray, rank: int) -> np.ndarray:
    """The largest connected piece of a bool array (of equal ones the first in index order), or none.

    ``rank`` is SciPy's: 1 for neighbours that share faces, 2 edges, 3 corners.
    """
    numbered, count = pieces(inside, rank)
    if count < 2:
        return inside
    return numbered == np.bincount(numbered[inside])[1:].argmax() + 1


def without_holes(inside: np.ndarray) -> np.ndarray:
    """A bool array (x, y, z) with its holes filled: what no way of shared faces leads out of."""
    outside, _ = pieces(np.pad(~inside, 1, constant_values=True), 1)
    return outside[1:-1, 1:-1, 1:-1] != outside[0, 0, 0]
