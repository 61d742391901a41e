"""Connected components: the lesions of a label map, and the largest component of each structure."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from nibabel.affines import apply_affine
from scipy import ndimage

RANK = {6: 1, 18: 2, 26: 3}  # neighbours of a voxel: SciPy's rank of the structuring element


def label_lesions(labels: np.ndarray, connectivity: int, affine: np.ndarray) -> np.ndarray:
    """Lesions of a label map: connected components of each label, numbered from 1.

    Numbers continue from one label to the next. Within a label the largest component comes first; of two of equal
    size, the one whose centroid is lower (then more posterior, then more left) in world space. So numbers do not
    depend on how the image is stored.

    Parameters
    ----------
    labels : array (x, y, z), integers
        0 is no label.
    connectivity
        6, 18 or 26 neighbours.
    affine : array (4, 4)
        Of ``labels``, to RAS+ mm.

    Returns
    -------
    array (x, y, z), int32
        0 outside of the lesions.
    """
    lesions = np.zeros_like(labels, np.int32)
    total = 0
    for label, box in bounding_boxes(labels).items():
        numbers, count = _components(labels[box] == label, connectivity)
        index, inside = np.arange(1, count + 1), numbers > 0
        sizes = np.bincount(numbers[inside], minlength=count + 1)[1:]
        box_affine = affine.copy()
        box_affine[:3, 3] = apply_affine(affine, [axis.start for axis in box])
        x, y, z = np.round(centroids_mm(numbers, box_affine, count), 3).T
        order = np.lexsort((x, y, z, -sizes))
        rank = np.zeros(count + 1, np.int32)
        rank[index[order]] = total + index
        lesions[box][inside] = rank[numbers[inside]]
        total += count
    return lesions


def bounding_boxes(numbers: np.ndarray) -> dict[int, tuple[slice, ...]]:
    """The smallest box around the voxels of each number above 0 of an array (x, y, z), by number, ascending."""
    boxes = ndimage.find_objects(numbers.astype(np.int32, copy=False))
    return {number: box for number, box in enumerate(boxes, start=1) if box is not None}


def map_numbers(numbers: np.ndarray, values: np.ndarray) -> np.ndarray:
    """An array (x, y, z) with ``values[number]`` in place of each number; 0 stays 0.

    Equal to ``values[numbers]`` with ``values[0] = 0``, and faster where few voxels are not 0.
    """
    result = np.zeros_like(numbers, values.dtype)
    inside = numbers.T != 0  # in the order of files, which is fast to search
    result.T[inside] = values[numbers.T[inside]]
    return result


def centroids_mm(numbers: np.ndarray, affine: np.ndarray, count: int) -> np.ndarray:
    """World positions (count, 3) in mm of the centroids of numbers 1 to ``count``, voxels weighted equally."""
    indices = np.nonzero(numbers)
    number = numbers[indices]
    size = np.maximum(np.bincount(number, minlength=count + 1)[1:], 1)
    centroid = [np.bincount(number, weights=i, minlength=count + 1)[1:] / size for i in indices]
    return apply_affine(affine, np.stack(centroid, axis=-1))


def keep_largest_components(
    maps: np.ndarray, labels: Sequence[int], components: Mapping[str, Any]
) -> np.ndarray:
    """Probabilities restricted to the largest components, as in SynthSeg's postprocessing.

    First the largest component of the summed probability of all labels above the threshold is kept, then that of the
    highest probability within each class; elsewhere the labels concerned become 0. The probabilities of a voxel are
    then divided by their sum; a voxel where no probability is left is background.

    Parameters
    ----------
    maps : array (x, y, z, 1 + label), float32
        Background first. Changed in place.
    labels
        Label values in the order of the channels.
    components
        The card's ``postprocess.components``: ``threshold`` (strict), ``connectivity``, ``overall``, ``classes``
        (lists of label values).

    Returns
    -------
    array (x, y, z, 1 + label), float32
    """
    threshold, connectivity = components["threshold"], components["connectivity"]
    if components["overall"]:
        keep = largest_component(maps[..., 1:].sum(axis=3) > threshold, connectivity)
        maps[..., 1:] *= keep[..., None]
    channel = {value: n for n, value in enumerate(labels, start=1)}
    for values in components["classes"]:
        channels = [channel[value] for value in values]
        keep = largest_component((maps[..., channels] > threshold).any(axis=3), connectivity)
        for n in channels:
            maps[..., n] *= keep
    total = maps.sum(axis=3)
    empty = total == 0
    maps[empty, 0] = 1
    total[empty] = 1
    maps /= total[..., None]
    return maps


def largest_component(mask: np.ndarray, connectivity: int) -> np.ndarray:
    """The largest connected component of a mask (x, y, z); of equal ones the first in C order.

    A mask of no or one component is returned as it is.
    """
    numbers, count = _components(mask, connectivity)
    if count < 2:
        return mask
    return numbers == np.bincount(numbers[mask])[1:].argmax() + 1


def fill_holes(mask: np.ndarray) -> np.ndarray:
    """A mask (x, y, z) with its holes filled: background that shared faces do not connect to the outside."""
    outside, _ = _components(np.pad(~mask, 1, constant_values=True), 6)
    return outside[1:-1, 1:-1, 1:-1] != outside[0, 0, 0]


def _components(mask: np.ndarray, connectivity: int) -> tuple[np.ndarray, int]:
    """Connected components of a mask, numbered from 1 in C order of their first voxels, and how many."""
    structure = ndimage.generate_binary_structure(mask.ndim, RANK[connectivity])
    return ndimage.label(mask, structure)
