"""Where the slices of a DICOM volume lie, and whether some are missing or doubled."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lesionflow.base.errors import ScanError

SPACING_TOLERANCE_MM = 0.01  # of positions, which headers round
SPACING_TOLERANCE = 0.01  # of the distance between slices


@dataclass(frozen=True)
class Slice:
    """Where a slice lies, in DICOM's space (LPS+) and mm.

    Attributes
    ----------
    position : array (3,)
        Centre of the first voxel.
    orientation : array (2, 3)
        Directions along a row and along a column.
    spacing_mm : array (2,)
        Between columns and between rows.
    shape
        Number of columns and rows.
    number
        Of the image in its series, or of the frame in its stack; None if there is none.
    """

    position: np.ndarray
    orientation: np.ndarray
    spacing_mm: np.ndarray
    shape: tuple[int, int]
    number: int | None


def read_slice(ds: Any, path: str, group: Any = None) -> Slice:
    """The geometry of a classic file, or of a frame of an enhanced one by its functional groups.

    Raises
    ------
    ScanError
        With status ``header-conflict``, if the file does not state it.
    """
    of = group or (lambda name: ds)
    try:
        rows_mm, columns_mm = map(float, of("PixelMeasuresSequence").PixelSpacing)
        return Slice(
            np.array(of("PlanePositionSequence").ImagePositionPatient, float).reshape(3),
            np.array(of("PlaneOrientationSequence").ImageOrientationPatient, float).reshape(2, 3),
            np.array([columns_mm, rows_mm]),
            (int(ds.Columns), int(ds.Rows)),
            _number(ds, of),
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise ScanError(
            f"{path} does not state where its slices lie: {error}", "header-conflict"
        ) from error


def _number(ds: Any, group: Any) -> int | None:
    """Number of a slice: of a frame in its stack, or of a file in its series."""
    of_frame = group("FrameContentSequence").get("InStackPositionNumber")
    number = (
        ds.get("InstanceNumber") if of_frame is None and "NumberOfFrames" not in ds else of_frame
    )
    return None if number in (None, "") else int(number)


def check_numbers(numbers: Sequence[int]) -> None:
    """Check that the numbers of the images of a whole series, or of the frames of a stack, have no gap.

    Raises
    ------
    ScanError
        If images are missing.
    """
    n_numbers = max(numbers) - min(numbers) + 1
    if len(set(numbers)) == len(numbers) < n_numbers:
        raise ScanError(
            f"images of the DICOM series are missing: {len(numbers)} of the {n_numbers} from number {min(numbers)} "
            f"to {max(numbers)}"
        )


def dicom_grid(slices: Sequence[Slice]) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Affine (4, 4) to RAS+ in mm, and shape, of a stack of slices, in the order of their positions.

    Raises
    ------
    ScanError
        If slices are missing or doubled, are not parallel, or differ in size.
    """
    positions = np.array([s.position for s in slices])
    orientation, spacing, shape = slices[0].orientation, slices[0].spacing_mm, slices[0].shape
    for other in slices[1:]:
        same = other.shape == shape and np.allclose(other.spacing_mm, spacing, atol=1e-4)
        if not (same and np.allclose(other.orientation, orientation, atol=1e-3)):
            raise ScanError("the slices of the DICOM series differ in size, spacing or orientation")
    normal = np.cross(*orientation)
    along = positions @ normal
    order = np.argsort(along, kind="stable")
    gaps = np.diff(along[order])
    if len(gaps) == 0:
        raise ScanError("the DICOM series has a single slice, a 3-D image is needed")
    if (gaps < SPACING_TOLERANCE_MM).any():
        n_positions = 1 + int((gaps >= SPACING_TOLERANCE_MM).sum())
        raise ScanError(
            f"the DICOM series has {len(slices)} images at {n_positions} positions: some are doubled"
        )
    median = float(np.median(gaps))
    wrong = np.flatnonzero(
        np.abs(gaps - median) > SPACING_TOLERANCE_MM + SPACING_TOLERANCE * median
    )
    if len(wrong):
        n = int(wrong[0])
        raise ScanError(
            f"slices of the DICOM series are missing: slices {n + 1} and {n + 2} of {len(slices)} are "
            f"{gaps[n]:.3g} mm apart, others {median:.3g} mm"
        )
    first, last = positions[order[0]], positions[order[-1]]
    affine = np.eye(4)
    affine[:3, :2] = orientation.T * spacing
    affine[:3, 2] = (last - first) / (len(slices) - 1)
    affine[:3, 3] = first
    return np.diag([-1.0, -1, 1, 1]) @ affine, (*shape, len(slices))
