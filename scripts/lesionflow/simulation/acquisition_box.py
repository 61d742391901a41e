"""Acquisition box of a simulated scan: field of view and slices."""

import numpy as np
from nibabel.affines import apply_affine
from scipy.spatial.transform import Rotation

from lesionflow.imaging.grids import Grid
from lesionflow.simulation.template_head import Anatomy


def tilted_box(
    anatomy: Anatomy,
    rng: np.random.Generator,
    in_plane_mm: float,
    slice_mm: float,
    whole_head: bool = False,
) -> Grid:
    """A tilted grid around the brain, in RAS order, which may cut off up to 6 mm of the brain at either end.

    With ``whole_head`` it includes the face and the upper neck, 45 to 75 mm below the brain.

    Parameters
    ----------
    in_plane_mm, slice_mm
        Voxel size in plane, and slice thickness.
    """
    angles = np.clip(rng.normal(0, 5, 3), -12, 12)
    rotation = Rotation.from_euler("XYZ", angles * (1, -1, 1), degrees=True).as_matrix()
    brain = (
        apply_affine(anatomy.affine, np.argwhere(anatomy.brain[::4, ::4, ::4] > 0.5) * 4) @ rotation
    )
    margin = np.array([rng.uniform(12, 24), rng.uniform(12, 24), 0])
    low = brain.min(axis=0) - margin - [0, 0, rng.uniform(-6, 10)]
    high = brain.max(axis=0) + margin + [0, 0, rng.uniform(-2, 12)]
    if whole_head:
        low = brain.min(axis=0) - [*rng.uniform(20, 40, 2), rng.uniform(45, 75)]
        high = brain.max(axis=0) + [rng.uniform(20, 40), rng.uniform(30, 50), rng.uniform(12, 30)]
    sizes = np.array([in_plane_mm, in_plane_mm, slice_mm])
    shape = np.ceil((high - low) / sizes).astype(int)
    affine = np.eye(4)
    affine[:3, :3] = rotation * sizes
    affine[:3, 3] = rotation @ low
    return Grid(affine, (int(shape[0]), int(shape[1]), int(shape[2])))


def thin_slices(grid: Grid, n_thin: int) -> Grid:
    """The grid with each slice (last axis) divided into ``n_thin`` thinner ones."""
    affine = grid.affine.copy()
    affine[:3, 3] -= affine[:3, 2] * (n_thin - 1) / (2 * n_thin)
    affine[:3, 2] /= n_thin
    return Grid(affine, (grid.shape[0], grid.shape[1], grid.shape[2] * n_thin))
