"""Acquisition box of a simulated scan: field of view and slices."""

import numpy as np
from nibabel.affines import apply_affine
from scipy.spatial.transform import Rotation

from lesionflow.imaging.grids import Grid
from lesionflow.simulation.template_head import Anatomy


def tilted_box(
    anatomy: Anatomy,
    rng: np.random.Generator,
    pixel_size_mm: float,
    slice_thickness_mm: float,
    whole_head: bool = False,
) -> Grid:
    """Grid of a tilted field of view around the brain, in RAS order.

    Up to 6 mm at the top and the bottom of the brain may be cut off. With ``whole_head``, the field of view includes
    the face and the upper neck, down to 45 to 75 mm below the brain.
    """
    angles = np.clip(rng.normal(0, 5, 3), -12, 12)
    rotation = Rotation.from_euler("XYZ", angles * (1, -1, 1), degrees=True).as_matrix()
    brain = apply_affine(anatomy.affine, np.argwhere(anatomy.brain[::4, ::4, ::4] > 0.5) * 4)
    brain = brain @ rotation
    margin = np.array([rng.uniform(12, 24), rng.uniform(12, 24), 0])
    low = brain.min(axis=0) - margin - [0, 0, rng.uniform(-6, 10)]
    high = brain.max(axis=0) + margin + [0, 0, rng.uniform(-2, 12)]
    if whole_head:
        low = brain.min(axis=0) - [*rng.uniform(20, 40, 2), rng.uniform(45, 75)]
        high = brain.max(axis=0) + [rng.uniform(20, 40), rng.uniform(30, 50), rng.uniform(12, 30)]
    voxel_sizes = np.array([pixel_size_mm, pixel_size_mm, slice_thickness_mm])
    shape = np.ceil((high - low) / voxel_sizes).astype(int)
    affine = np.eye(4)
    affine[:3, :3] = rotation * voxel_sizes
    affine[:3, 3] = rotation @ low
    return Grid(affine, (int(shape[0]), int(shape[1]), int(shape[2])))


def split_slices(grid: Grid, count: int) -> Grid:
    """Grid with each slice (last axis) split into ``count`` thinner ones."""
    affine = grid.affine.copy()
    affine[:3, 3] -= affine[:3, 2] * (count - 1) / (2 * count)
    affine[:3, 2] /= count
    return Grid(affine, (grid.shape[0], grid.shape[1], grid.shape[2] * count))
