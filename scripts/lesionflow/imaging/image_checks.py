"""Checks of the voxels and the position of an image, before it is used; their errors name the file."""

import nibabel as nib
import numpy as np
from nibabel.affines import apply_affine

from lesionflow.base.errors import ScanError
from lesionflow.imaging.grids import Grid, format_extent, nearest_voxels
from lesionflow.imaging.resampling import inside_image


def check_overlap(
    image: nib.Nifti1Image, path: str, reference: Grid, reference_path: str, grid: Grid
) -> None:
    """Raise ``ScanError`` if an image has no voxel of ``grid``, the model grid over ``reference``."""
    if not inside_image(image.affine, image.shape, grid).any():
        raise ScanError(
            f"{path} and {reference_path} do not overlap in space: "
            f"the first extends over {format_extent(image.affine, image.shape)}, the second over "
            f"{format_extent(reference.affine, reference.shape)}"
        )


def finite_values(image: nib.Nifti1Image, path: str) -> tuple[np.ndarray, int]:
    """The values of an image with 0 for those that are not finite, and the number of these.

    Raises
    ------
    ScanError
        If all finite values are the same, or none is finite.
    """
    data = np.asanyarray(image.dataobj)
    finite = np.isfinite(data)
    n_nonfinite = data.size - int(np.count_nonzero(finite))
    where = finite if n_nonfinite else True  # NumPy is four times faster with True
    lowest = data.min(where=where, initial=np.inf)
    if lowest >= data.max(where=where, initial=-np.inf):
        value = f"{lowest:g}" if n_nonfinite < data.size else "not a number"
        raise ScanError(f"{path} is not an image: every voxel is {value}")
    return (np.where(finite, data, 0) if n_nonfinite else data), n_nonfinite


def check_finite_in_brain(image: nib.Nifti1Image, path: str, brain: np.ndarray, grid: Grid) -> None:
    """Raise ``ScanError`` if a voxel of an image lies inside ``brain`` (bool, on ``grid``) and is not finite."""
    nonfinite = ~np.isfinite(np.asanyarray(image.dataobj))
    total = 0
    for k in np.flatnonzero(nonfinite.any(axis=(0, 1))):  # by slice: a NaN background has millions
        in_slice = np.argwhere(nonfinite[..., k])
        index = np.column_stack([in_slice, np.full(len(in_slice), k)])
        xyz_mm = apply_affine(image.affine, index)
        total += int(brain[tuple(nearest_voxels(xyz_mm, grid.affine, grid.shape).T)].sum())
    if total:
        raise ScanError(
            f"{path}: {total} voxels inside the brain mask are not finite numbers and would look like lesions"
        )
