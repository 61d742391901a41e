"""Voxel grids in world space, and how one grid maps to another.

World coordinates are millimetres in RAS+ (NIfTI). Voxel index (i, j, k) is the *centre* of a voxel, so
an axis of n voxels extends from -0.5 to n - 0.5.
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
SAME_MM = 1e-3  # positions closer than this are equal: NIfTI headers store float32


@dataclass(frozen=True)
class Grid:
    """A regular grid of voxels: the affine (4, 4) from voxel indices to RAS+ mm, and the shape (3,)."""

    affine: np.ndarray
    shape: tuple[int, int, int]

    @property
    def voxel_mm3(self) -> float:
        """Volume of one voxel in mm³: the determinant of the affine, which is right for shears as well."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))


def corners(affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """World positions (8, 3) in mm of the outer corners of the outer voxels."""
    ends = [(-0.5, n - 0.5) for n in shape[:3]]
    return apply_affine(affine, np.array(list(product(*ends))))


def largest_shift_mm(affine: np.ndarray, other_affine: np.ndarray, shape: tuple[int, ...]) -> float:
    """Largest distance in mm between the corners of an image under two affines."""
    difference = corners(affine, shape) - corners(other_affine, shape)
    return float(np.linalg.norm(difference, axis=1).max())


def format_extent(affine: np.ndarray, shape: tuple[int, ...]) -> str:
    """The extent of an image in world space as text, for a message: ``x 6.5 to 10.5, ... mm``."""
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
    """Model grid that covers the full field of view of a scan.

    The axes are those of the scan, permuted and flipped to the orientation closest to ``orientation``:
    an oblique scan stays oblique, as in the published pipelines. The axes of a sheared affine
    are replaced by the nearest orthogonal ones (the polar factor, Higham 1986), and the grid is
    large enough for every corner.

    Parameters
    ----------
    affine, shape
        The scan's grid: affine (4, 4), and a shape of at least three axes.
    orientation
        Any of the 48 axis codes, e.g. ``RAS``: the world direction in which each index increases.
    spacing_mm
        Voxel sizes along the axes *of the result*; None keeps those of the scan.
    tolerance_mm
        The scan's voxel sizes are kept if none differs by more than this from ``spacing_mm``.
    align
        ``centre``: the grid has the same centre as the field of view. ``corner``: its first voxel begins
        where the scan's first voxel begins (SynthSeg), and any excess is at the other end.

    Returns
    -------
    Grid
        Contains the field of view to 1e-3 of a voxel. It equals the scan's grid (reordered) if the
        voxel sizes are those of the scan and the axes are orthogonal.
    """
    reorientation = ornt_transform(io_orientation(affine), axcodes2ornt(tuple(orientation)))
    columns = (affine @ inv_ornt_aff(reorientation, shape[:3]))[:3, :3]
    scan_spacing = np.linalg.norm(columns, axis=0)
    spacing = scan_spacing if spacing_mm is None else np.asarray(spacing_mm, float)
    if np.abs(scan_spacing - spacing).max() <= tolerance_mm + 1e-6:  # headers store float32
        spacing = scan_spacing
    left, _, right = np.linalg.svd(columns / scan_spacing)
    axes = left @ right

    along_axes = corners(affine, shape) @ axes
    low, high = along_axes.min(axis=0), along_axes.max(axis=0)
    sides = np.maximum(np.ceil((high - low) / spacing - 1e-3), 1).astype(int)
    first_centre = (low + high) / 2 - (sides - 1) / 2 * spacing
    if align == "corner":
        flipped = np.empty(3, bool)
        flipped[reorientation[:, 0].astype(int)] = reorientation[:, 1] < 0
        first_centre = np.where(flipped, high - (sides - 0.5) * spacing, low + spacing / 2)
    model_affine = np.eye(4)
    model_affine[:3, :3] = axes * spacing
    model_affine[:3, 3] = axes @ first_centre
    return Grid(model_affine, (int(sides[0]), int(sides[1]), int(sides[2])))


def axis_codes(affine: np.ndarray, orientation: str, quarter_turns: int = 0) -> str:
    """Axis codes of a network's array: ``orientation``, rotated by quarter turns in the plane of the first two axes.

    Parameters
    ----------
    affine
        Affine of the scan.
    orientation
        Axis codes, or ``stored`` for those of the scan's array.
    quarter_turns
        Number of rotations by 90 degrees, as in ``numpy.rot90``.
    """
    codes = "".join(aff2axcodes(affine)) if orientation == "stored" else orientation
    for _ in range(quarter_turns % 4):
        codes = OPPOSITE[codes[1]] + codes[0] + codes[2]
    return codes


def reorder(data: np.ndarray, affine: np.ndarray, grid: Grid) -> np.ndarray | None:
    """``data`` on ``grid`` by flips and permutations of its axes, without interpolation.

    None if the voxel centres of the two grids differ (by more than ``SAME_MM``).
    """
    reorientation = ornt_transform(io_orientation(affine), io_orientation(grid.affine))
    reordered = apply_orientation(data, reorientation)
    reordered_affine = affine @ inv_ornt_aff(reorientation, data.shape)
    if (
        reordered.shape != grid.shape
        or largest_shift_mm(reordered_affine, grid.affine, grid.shape) > SAME_MM
    ):
        return None
    return np.ascontiguousarray(reordered)


def bounding_box(mask: np.ndarray) -> tuple[slice, ...]:
    """Slices of the smallest box around a mask (x, y, z), bool; of an empty mask, those of its first voxel."""
    if not mask.any():
        return (slice(0, 1),) * 3
    ends = [np.flatnonzero(mask.any(axis=others))[[0, -1]] for others in ((1, 2), (0, 2), (0, 1))]
    return tuple(slice(int(first), int(last) + 1) for first, last in ends)


def paste(data: np.ndarray, affine: np.ndarray, grid: Grid, fill: float = 0) -> np.ndarray:
    """Crop and pad ``data`` to a grid that is shifted by whole voxels; voxels outside ``data`` are ``fill``.

    Returns a view of ``data`` if all of ``grid`` lies inside it.

    Raises
    ------
    ValueError
        If the grids differ by more than a shift by whole voxels.
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
    pasted = np.full_like(data, fill, shape=grid.shape + data.shape[3:])
    if (low < high).all():
        pasted[target] = data[source]
    return pasted


def nearest_voxels(xyz_mm: np.ndarray, affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Indices (n, 3) of the voxels of an image that are nearest to world positions (n, 3) in mm."""
    index = np.rint(apply_affine(np.linalg.inv(affine), np.atleast_2d(xyz_mm))).astype(int)
    return np.clip(index, 0, np.array(shape[:3]) - 1)


def equivalent_diameter_mm(volume_mm3: np.ndarray | float) -> np.ndarray:
    """Diameter of a sphere with the same volume."""
    return (6 * np.asarray(volume_mm3) / np.pi) ** (1 / 3)
