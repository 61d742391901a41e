"""A scan as it is seen: its axes in RAS order, its planes, its grey values, and where a voxel is."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from nibabel.affines import apply_affine, voxel_sizes
from nibabel.orientations import apply_orientation, io_orientation

from lesionflow.results.pictures.figure_panels import Window

MIDLINE_MM = 1.0  # a position nearer than this to the plane x = 0 is on neither side
PERCENTILES = (0.1, 99.5)  # of the intensities in the brain that are drawn black and white
SAMPLES = 128  # along each axis, of the voxels that are taken for the percentiles


class Plane(NamedTuple):
    """Axes (x: 0, y: 1, z: 2) of a plane: to the right, up and across; whether the right is the lower end of its axis."""

    right: int
    up: int
    across: int
    is_reversed: bool
    letters: str  # at the left, right, upper and lower edge


PLANES = {
    "axial": Plane(0, 1, 2, False, "LRAP"),
    "coronal": Plane(0, 2, 1, False, "LRSI"),
    "sagittal": Plane(1, 2, 0, True, "APSI"),
}


@dataclass(frozen=True)
class ViewedScan:
    """A scan and its numbered lesions, with the axes in RAS order.

    Attributes
    ----------
    image : array (x, y, z)
        Intensities. Axes run to the right, anterior and superior (RAS), or as nearly as those of the stored image do.
    lesions : array (x, y, z), int
        Lesion numbers (or labels), 0 for none.
    affine : array (4, 4)
        Of the *stored* image, to RAS+ mm.
    window
        Intensities that are drawn black and white.
    """

    image: np.ndarray
    lesions: np.ndarray
    affine: np.ndarray
    window: Window

    @classmethod
    def from_stored(
        cls, image: np.ndarray, lesions: np.ndarray, affine: np.ndarray, window: Window
    ) -> "ViewedScan":
        """From arrays as they are stored, of one shape and ``affine``. The arrays are not copied."""
        return cls(in_ras(image, affine), in_ras(lesions, affine), affine, window)

    @cached_property
    def stored_axes(self) -> tuple[int, ...]:
        """The stored axes that are nearest to x, y and z."""
        return tuple(np.argsort(io_orientation(self.affine)[:, 0]).tolist())

    @cached_property
    def spacing_mm(self) -> np.ndarray:
        """Voxel size (3,) along x, y and z."""
        return voxel_sizes(self.affine)[list(self.stored_axes)]

    @cached_property
    def flipped(self) -> np.ndarray:
        """Whether x, y and z (3,) run against their stored axes."""
        return io_orientation(self.affine)[list(self.stored_axes), 1] < 0

    def ras_voxels(self, voxels: np.ndarray) -> np.ndarray:
        """Indices (n, 3) in ``image`` of voxels (n, 3) that are given by their stored indices."""
        indices = np.asarray(voxels, int).reshape(-1, 3)[:, list(self.stored_axes)]
        return np.where(self.flipped, np.array(self.image.shape) - 1 - indices, indices)

    def stored_index(self, axis: int, index: int) -> int:
        """Index along the stored axis of an index along x, y or z (``axis`` 0, 1 or 2)."""
        return self.image.shape[axis] - 1 - index if self.flipped[axis] else index


def in_ras(array: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """A view of an array, stored with ``affine``, with its axes in RAS order."""
    return apply_orientation(array, io_orientation(affine))


def slice_of(
    volume: np.ndarray, plane: Plane, index: int, box: tuple[slice, ...] = (slice(None),) * 3
) -> np.ndarray:
    """A slice (right, up) of an array in RAS order, within a box: a view."""
    part = volume[tuple(index if axis == plane.across else box[axis] for axis in range(3))]
    return part[::-1] if plane.is_reversed else part  # plane.right is below plane.up in each plane


def grey_window(image: np.ndarray, brain: np.ndarray) -> Window:
    """The intensities that are drawn black and white: the 0.1st and 99.5th percentile in the brain.

    They are taken from at most 128 voxels along each axis, of finite intensity. Without a brain, or if all of it has one
    intensity, they are those of the whole image. In an image of one intensity black is 0, or that intensity if it is lower.
    """
    steps = tuple(slice(None, None, max(1, n // SAMPLES)) for n in image.shape)
    samples, inside = image[steps], brain[steps]
    black = white = 0.0
    for values in (samples[inside], samples):
        finite = values[np.isfinite(values)]
        if finite.size:
            black, white = map(float, np.percentile(finite, PERCENTILES))
        if black < white:
            return black, white
    return min(0.0, white), white


class Place(NamedTuple):
    """Where a voxel is.

    Attributes
    ----------
    side
        ``left`` or ``right`` of the plane x = 0 of world space, or ``midline`` within 1 mm of it. The plane is that of
        the scanner (or of the template to which the scan is registered), not that of the head.
    xyz_mm
        World position of the voxel's centre, RAS+.
    axial, coronal, sagittal
        Number of the slice, counted from 0 along the stored axis that is nearest to z, y and x.
    """

    side: str
    xyz_mm: tuple[float, float, float]
    axial: int
    coronal: int
    sagittal: int


def place(affine: np.ndarray, voxel: Sequence[int]) -> Place:
    """Side, world position and slice numbers of a voxel.

    Parameters
    ----------
    affine : array (4, 4)
        Of the stored image, to RAS+ mm.
    voxel
        Stored indices i, j, k.
    """
    sagittal, coronal, axial = np.argsort(io_orientation(affine)[:, 0]).tolist()
    x, y, z = apply_affine(affine, voxel).tolist()
    return Place(
        side_of(x), (x, y, z), int(voxel[axial]), int(voxel[coronal]), int(voxel[sagittal])
    )


def side_of(x_mm: float) -> str:
    """``left`` or ``right`` of the plane x = 0 of world space, or ``midline`` within 1 mm of it."""
    return "midline" if abs(x_mm) <= MIDLINE_MM else "left" if x_mm < 0 else "right"
