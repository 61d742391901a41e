"""Resampling of images from one grid to another, by their affines alone."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lesionflow.imaging.grids import Grid, axis_codes, index_map, model_grid, reorder
from lesionflow.imaging.interpolation import axis_aligned, linear, nearest, welch_sinc

KEYS = (  # of a card's input that the functions of this module use
    "orientation",
    "quarter_turns",
    "spacing_mm",
    "spacing_tolerance_mm",
    "align",
    "blur",
    "interpolation",
    "outside",
)


def full_grid(affine: np.ndarray, shape: tuple[int, ...], input_spec: Mapping[str, Any]) -> Grid:
    """The model grid of a card over the full field of view of a scan (see ``grids.model_grid``).

    Parameters
    ----------
    affine, shape
        Of the scan.
    input_spec
        ``KEYS`` of the card's input.
    """
    codes = axis_codes(affine, input_spec["orientation"], input_spec["quarter_turns"])
    tolerance, align = input_spec["spacing_tolerance_mm"], input_spec["align"]
    return model_grid(affine, shape, codes, input_spec["spacing_mm"], tolerance, align)


def resample_channel(
    data: np.ndarray, affine: np.ndarray, grid: Grid, input_spec: Mapping[str, Any]
) -> np.ndarray:
    """A channel of a scan on ``grid``: ``resample`` with the options of ``input_spec`` (see ``full_grid``)."""
    options = input_spec["interpolation"], input_spec["blur"], input_spec["outside"]
    return resample(data, affine, grid, *options)


def inside_scan(scan: Grid, input_spec: Mapping[str, Any], grid: Grid) -> np.ndarray:
    """Bool array of ``grid.shape``: the voxels inside the resampled scan, without the padding around it.

    Parameters
    ----------
    scan
        Grid of the scan.
    input_spec
        As for ``full_grid``.
    grid
        The input box of a network, or any other grid.
    """
    resampled = full_grid(scan.affine, scan.shape, input_spec)
    return inside_image(resampled.affine, resampled.shape, grid)


def resample(
    data: np.ndarray,
    affine: np.ndarray,
    grid: Grid,
    interpolation: str = "welch",
    blur: float = 0.0,
    outside: str = "zero",
) -> np.ndarray:
    """Resample ``data`` to the voxel centres of ``grid``.

    SimpleITK interpolates in voxel *indices*, with one affine from the indices of ``grid`` to those of
    ``data``. Shears, flips and oblique axes therefore need no special case, and SimpleITK does not interpret
    a header. If both grids have the same voxel centres, axes are only reordered.

    Parameters
    ----------
    data : array (x, y, z)
        Finite numbers.
    affine
        Of ``data``.
    grid
        Grid of the result.
    interpolation
        ``nearest``, ``linear``, ``bspline`` (third order) or ``welch`` (windowed sinc, as in ANTs
        and therefore SHiVAi). If the axes of both grids are parallel, all but ``bspline`` are computed axis by
        axis, with the values of SimpleITK; otherwise by SimpleITK.
    blur
        Sigma, in voxels of ``grid``, of a Gaussian filter that is applied first, along the axes of ``data`` that
        do not get smaller voxels (SynthSeg: 0.25).
    outside
        Values outside the field of view: ``zero``, or ``edge`` for those of the nearest voxel (``linear`` only).

    Returns
    -------
    array of ``grid.shape``
        float32; with ``nearest`` the type of ``data``.
    """
    reordered = reorder(data, affine, grid)
    dtype = data.dtype if interpolation == "nearest" else np.dtype(np.float32)
    if reordered is not None:
        return reordered.astype(dtype, copy=False)
    matrix = index_map(affine, grid.affine)
    if blur:
        # size of a voxel of grid in voxels of data, along each axis of data
        ratio = np.linalg.norm(matrix[:3, :3], axis=1)
        from scipy import ndimage

        sigma = np.where(ratio > 1 - 1e-6, blur * ratio, 0)
        data = ndimage.gaussian_filter(data, sigma, output=np.float32)
    if outside == "edge":
        if interpolation != "linear":
            raise ValueError(f"outside: edge needs interpolation: linear, not {interpolation}")
        from scipy import ndimage

        return ndimage.affine_transform(
            data, matrix[:3, :3], matrix[:3, 3], grid.shape, np.float32, order=1, mode="nearest"
        )
    if interpolation == "welch" and axis_aligned(matrix, grid.shape):
        return welch_sinc(data, matrix, grid.shape)
    by_axis = {"nearest": nearest, "linear": linear}.get(interpolation)
    if by_axis and (resampled := by_axis(data, matrix, grid.shape)) is not None:
        return resampled

    import SimpleITK as sitk

    methods = {
        "nearest": sitk.sitkNearestNeighbor,
        "linear": sitk.sitkLinear,
        "bspline": sitk.sitkBSpline,
        "welch": sitk.sitkWelchWindowedSinc,
    }
    itk_dtype = dtype if dtype.kind in "iu" else np.float32
    image = sitk.GetImageFromArray(np.ascontiguousarray(data.T.astype(itk_dtype, copy=False)))
    transform = sitk.AffineTransform(matrix[:3, :3].ravel().tolist(), matrix[:3, 3].tolist())
    result = sitk.Resample(
        image,
        [int(n) for n in grid.shape],
        transform,
        methods[interpolation],
        (0.0, 0.0, 0.0),
        (1.0, 1.0, 1.0),
        np.eye(3).ravel().tolist(),
        0.0,
        image.GetPixelID(),
    )
    return sitk.GetArrayFromImage(result).T.astype(dtype, copy=False)


def inside_image(affine: np.ndarray, shape: tuple[int, ...], grid: Grid) -> np.ndarray:
    """Bool array of ``grid.shape``: the voxels whose centres are inside the field of view of an image."""
    matrix = index_map(affine, grid.affine)
    inside = np.ones((1, 1, 1), bool)  # (z, y, x), the order in files; broadcast axis by axis
    indices = np.ogrid[tuple(slice(n) for n in grid.shape[::-1])][::-1]
    for axis in (2, 1, 0):
        low, high = -0.5 - 1e-6, shape[axis] - 0.5 + 1e-6
        terms = sorted((matrix[axis, a] * indices[a] for a in range(3)), key=np.ptp)
        *small_terms, main_term = terms
        least = main_term + matrix[axis, 3] + sum(term.min() for term in small_terms)
        greatest = main_term + matrix[axis, 3] + sum(term.max() for term in small_terms)
        always_inside = (least >= low) & (greatest <= high)
        if (always_inside | (greatest < low) | (least > high)).all():
            inside = inside & always_inside  # the other two axes of the grid make no difference
        else:
            index = matrix[axis, 3] + main_term + small_terms[0] + small_terms[1]
            inside = inside & (index >= low) & (index <= high)
    return np.broadcast_to(inside, grid.shape[::-1]).copy().T
