"""Distance of lesions from the edge of the brain."""

from typing import Any

import numpy as np
from nibabel.affines import apply_affine

from lesionflow.imaging.connected_components import bounding_boxes

BATCH = 32  # points of a lesion that are searched at a time


def edge_distances_mm(lesions: np.ndarray, brain: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Distance in mm from each lesion to the nearest voxel outside the brain.

    It is measured between the centres of voxels, from the voxel of the lesion that is nearest to the edge: a lesion
    with a voxel outside the brain has 0, one that lies against the edge the size of a voxel. What lies beyond the
    image counts as outside: a model's box holds the whole brain, or ends where the model saw nothing more.

    Parameters
    ----------
    lesions : array (x, y, z), int
        Numbers from 1 without gaps, 0 for no lesion.
    brain : array (x, y, z), bool
        Brain mask.
    affine : array (4, 4)
        Of both, to mm; the axes may be oblique and the voxels anisotropic.

    Returns
    -------
    array (n,), float
        Of the lesions 1 to n.
    """
    boxes = bounding_boxes(lesions)
    if not boxes:
        return np.empty(0)
    from scipy.spatial import cKDTree  # imported only with lesions

    padded = np.pad(brain, 1)
    # the outside voxel that is nearest to a voxel of the brain touches the brain
    surface = apply_affine(affine, np.argwhere(_dilated(padded) & ~padded) - 1)
    tree = cKDTree(surface) if len(surface) else None
    distances = []
    for number, box in boxes.items():
        inside = lesions[box] == number
        if tree is None or not brain[box][inside].all():
            distances.append(0.0)
            continue
        xyz = apply_affine(affine, np.argwhere(inside) + [axis.start for axis in box])
        distances.append(_nearest(xyz, tree))
    return np.array(distances)


def _nearest(xyz_mm: np.ndarray, tree: Any) -> float:
    """Smallest distance of points (n, 3) from the points of a ``cKDTree``.

    Of a large lesion few points are searched: from one at distance d, a point at distance r is no nearer than d - r.
    """
    at_least, smallest = np.zeros(len(xyz_mm)), np.inf
    while len(candidates := np.flatnonzero(at_least < smallest)):
        chosen = candidates[:: 1 + len(candidates) // BATCH]
        found = tree.query(xyz_mm[chosen])[0]
        smallest = min(smallest, found.min())
        for point, distance in zip(xyz_mm[chosen], found, strict=True):
            apart = np.linalg.norm(xyz_mm[candidates] - point, axis=1)
            at_least[candidates] = np.maximum(at_least[candidates], distance - apart)
    return float(smallest)


def _dilated(mask: np.ndarray) -> np.ndarray:
    """A mask and all voxels that share a face, an edge or a corner with it."""
    for axis in range(3):
        wider = mask.copy()
        source, target = np.moveaxis(mask, axis, 0), np.moveaxis(wider, axis, 0)
        target[1:] |= source[:-1]
        target[:-1] |= source[1:]
        mask = wider
    return mask
