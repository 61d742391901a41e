"""Grids in space: where an image's voxels lie, and how one grid maps to another.

World coordinates are millimetres in RAS+ (NIfTI). Voxel (i, j, k) is the *centre* of a voxel, so
that an image of n voxels along an axis reaches from -0.5 to n - 0.5.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from nibabel.affines import apply_affine
from nibabel.orientations import (
    aff2axcodes,
    apply_orientation,
    axcodes2ornt,
    inv_ornt_aff,
    io_orientation,
    ornt_transform,
)

OPPOSITE = dict(zip("RLAPSI", "LRPAIS", strict=True))
SAME_MM = 1e-3  # two positions closer than this are one (the NIfTI header holds float32)


@dataclass(frozen=True)
class Grid:
    """A regular grid of voxels: affine (4, 4), voxel index to RAS+ mm, and shape (3,)."""

    affine: np.ndarray
    shape: tuple[int, int, int]

    @property
    def voxel_mm3(self) -> float:
        """Volume of one voxel in mm³: the determinant, which holds for shears as well."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))


def corners(affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """World positions (8, 3) in mm of the outer corners of the outer voxels."""
    ends = [(-0.5, n - 0.5) for n in shape[:3]]
    return apply_affine(affine, np.array(list(product(*ends))))


def largest_shift_mm(one: np.ndarray, other: np.ndarray, shape: tuple[int, ...]) -> float:
    """Largest distance in mm between where two affines put the corners of an image."""
    difference = corners(one, shape) - corners(other, shape)
    return float(np.linalg.norm(difference, axis=1).max())


def reach(affine: np.ndarray, shape: tuple[int, ...]) -> str:
    """From where to where an image reaches in the world, for a message."""
    ends = corners(affine, shape)
    low, high = ends.min(axis=0), ends.max(axis=0)
    axes = zip("xyz", low, high, strict=True)
    return ", ".join(f"{axis} {a:.1f} to {b:.1f}" for axis, a, b in axes) + " mm"


def index_map(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Affine (4, 4) from voxel indices of the ``target`` grid to those of the ``source`` grid."""
    return np.linalg.inv(source) @ target


def model_grid(
    affine: np.ndarray,
    shape: tuple[int, ...],
    orientation: str = "RAS",
    spacing_mm: Sequence[float] | None = (1.0, 1.0, 1.0),
    tolerance_mm: float = 0.0,
    align: str = "centre",
) -> Grid:
    """Grid of a network over the whole field of view of a scan.

    Axes are the scan's own, permuted and flipped to the ``orientation`` code that is closest: an
    oblique scan stays on its oblique axes, as the published pipelines keep it. A sheared affine
    has no right angles; its axes become the nearest orthogonal ones (the polar factor, Higham
    1986), and the box grows to hold every corner.

    Parameters
    ----------
    affine, shape
        The scan's grid, (4, 4) and at least three axes.
    orientation
        Any of the 48 axis codes, e.g. ``RAS``: the world direction that each index grows towards.
    spacing_mm
        Voxel size along the axes *of the result*; None keeps the scan's own.
    tolerance_mm
        The scan's own spacing is kept where no axis is further than this from ``spacing_mm``.
    align
        ``centre``: the grid shares its centre with the field of view. ``corner``: its first voxel begins
        where the scan's first voxel begins (SynthSeg), and what is left over is at the other end.

    Returns
    -------
    Grid
        Large enough to hold the field of view to 1e-3 of a voxel. Equal to the scan's own grid
        (reordered) where the spacing is the scan's and axes are orthogonal.
    """
    turn = ornt_transform(io_orientation(affine), axcodes2ornt(tuple(orientation)))
    turned = affine @ inv_ornt_aff(turn, shape[:3])
    columns = turned[:3, :3]
    own_mm = np.linalg.norm(columns, axis=0)
    spacing = own_mm if spacing_mm is None else np.asarray(spacing_mm, float)
    if np.abs(own_mm - spacing).max() <= tolerance_mm + 1e-6:  # headers hold float32
        spacing = own_mm
    left, _, right = np.linalg.svd(columns / own_mm)
    axes = left @ right

    along = corners(affine, shape) @ axes
    low, high = along.min(axis=0), along.max(axis=0)
    n = np.maximum(np.ceil((high - low) / spacing - 1e-3), 1).astype(int)
    first = (low + high) / 2 - (n - 1) / 2 * spacing
    if align == "corner":
        flipped = np.empty(3, bool)
        flipped[turn[:, 0].astype(int)] = turn[:, 1] < 0
        first = np.where(flipped, high - (n - 0.5) * spacing, low + spacing / 2)
    grid = np.eye(4)
    grid[:3, :3] = axes * spacing
    grid[:3, 3] = axes @ first
    return Grid(grid, (int(n[0]), int(n[1]), int(n[2])))


def axis_codes(affine: np.ndarray, orientation: str, quarter_turns: int = 0) -> str:
    """Axis codes of a network's array for a scan: ``orientation``, then quarter turns in the first plane.

    Parameters
    ----------
    affine
        The scan's.
    orientation
        Axis codes, or ``stored``: those of the scan's own array, whatever they are.
    quarter_turns
        As many as NumPy's ``rot90`` makes in the plane of the first two axes.
    """
    codes = "".join(aff2axcodes(affine)) if orientation == "stored" else orientation
    for _ in range(quarter_turns % 4):
        codes = OPPOSITE[codes[1]] + codes[0] + codes[2]
    return codes


def reorder(data: np.ndarray, affine: np.ndarray, grid: Grid) -> np.ndarray | None:
    """``data`` on ``grid`` where that takes no interpolation, only flips and permutations.

    None where the grids do not share their voxel centres (to ``SAME_MM``).
    """
    turn = ornt_transform(io_orientation(affine), io_orientation(grid.affine))
    turned = apply_orientation(data, turn)
    moved = affine @ inv_ornt_aff(turn, data.shape)
    if turned.shape != grid.shape or largest_shift_mm(moved, grid.affine, grid.shape) > SAME_MM:
        return None
    return np.ascontiguousarray(turned)


def bounding_box(mask: np.ndarray) -> tuple[slice, ...]:
    """The smallest box around the voxels of a bool array (x, y, z); its first voxel where it has none."""
    if not mask.any():
        return (slice(0, 1),) * 3
    ends = [np.flatnonzero(mask.any(axis=others))[[0, -1]] for others in ((1, 2), (0, 2), (0, 1))]
    return tuple(slice(int(a), int(b) + 1) for a, b in ends)


def paste(data: np.ndarray, affine: np.ndarray, grid: Grid, fill: float = 0) -> np.ndarray:
    """Voxels of ``data`` that lie in ``grid``, ``fill`` elsewhere; a shift by whole voxels.

    Where ``grid`` has no voxel elsewhere, a view of ``data``.

    Raises
    ------
    ValueError
        If the two grids are not shifted by whole voxels.
    """
    shift = index_map(affine, grid.affine)
    start = np.rint(shift[:3, 3]).astype(int)
    if not np.allclose(shift[:3, :3], np.eye(3), atol=1e-4) or not np.allclose(
        shift[:3, 3], start, atol=1e-2
    ):
        raise ValueError("the grids are not shifted by whole voxels")
    low = np.maximum(start, 0)
    high = np.minimum(start + grid.shape, data.shape[:3])
    source = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    target = tuple(slice(a - s, b - s) for a, b, s in zip(low, high, start, strict=True))
    if (high - low == grid.shape).all():
        return data[source]
    box = np.full_like(data, fill, shape=grid.shape + data.shape[3:])
    if (low < high).all():
        box[target] = data[source]
    return box


def nearest_voxels(xyz_mm: np.ndarray, affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Indices (n, 3) of the voxels nearest to world positions (n, 3), kept inside the image."""
    index = np.rint(apply_affine(np.linalg.inv(affine), np.atleast_2d(xyz_mm))).astype(int)
    return np.clip(index, 0, np.array(shape[:3]) - 1)


def equivalent_diameter_mm(volume_mm3: np.ndarray | float) -> np.ndarray:
    """Diameters of the spheres of these volumes."""
    return (6 * np.asarray(volume_mm3) / np.pi) ** (1 / 3)
