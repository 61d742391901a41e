"""Images from one grid to another, through their affines alone."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lesionflow.imaging.grids import Grid, axis_codes, index_map, model_grid, reorder
from lesionflow.imaging.interpolation import axis_aligned, linear, nearest, welch_sinc

KEYS = (  # of a card's input: what the two functions below go by
    "orientation",
    "quarter_turns",
    "spacing_mm",
    "spacing_tolerance_mm",
    "align",
    "blur",
    "interpolation",
    "outside",
)


def whole_grid(affine: np.ndarray, shape: tuple[int, ...], wanted: Mapping[str, Any]) -> Grid:
    """Grid of a card's network over the whole field of view of a scan (see ``grids.model_grid``).

    Parameters
    ----------
    affine, shape
        The scan's.
    wanted
        ``KEYS`` of the card's input.
    """
    codes = axis_codes(affine, wanted["orientation"], wanted["quarter_turns"])
    tolerance, align = wanted["spacing_tolerance_mm"], wanted["align"]
    return model_grid(affine, shape, codes, wanted["spacing_mm"], tolerance, align)


def on_grid(
    data: np.ndarray, affine: np.ndarray, grid: Grid, wanted: Mapping[str, Any]
) -> np.ndarray:
    """Intensities sampled on a grid as a card says; ``wanted`` as for ``whole_grid``, see ``resample``."""
    how = wanted["interpolation"], wanted["blur"], wanted["outside"]
    return resample(data, affine, grid, *how)


def sampled(scan: Grid, wanted: Mapping[str, Any], grid: Grid) -> np.ndarray:
    """Bool array of ``grid.shape``: where there is a voxel that the scan was sampled at, and no padding.

    Parameters
    ----------
    scan
        The scan's own grid.
    wanted
        As for ``whole_grid``.
    grid
        The network's, or any.
    """
    whole = whole_grid(scan.affine, scan.shape, wanted)
    return field_of_view(whole.affine, whole.shape, grid)


def resample(
    data: np.ndarray,
    affine: np.ndarray,
    grid: Grid,
    interpolation: str = "welch",
    blur: float = 0.0,
    outside: str = "zero",
) -> np.ndarray:
    """``data`` sampled at the voxel centres of ``grid``.

    SimpleITK interpolates between voxel *indices*, and one affine map carries the indices of
    ``grid`` to those of the image. So shears, flips and obliquity need no case of their own, and
    no header form is read twice. A grid with the image's own voxel centres is only reordered.

    Parameters
    ----------
    data : array (x, y, z)
        Finite numbers.
    affine
        Of ``data``.
    grid
        To sample on.
    interpolation
        ``nearest``, ``linear``, ``bspline`` (third order) or ``welch`` (windowed sinc, which ANTs
        and so SHiVAi use). All but ``bspline`` are computed axis by axis where the axes of both grids run in
        the same directions, which gives SimpleITK's values, by SimpleITK elsewhere.
    blur
        Sigma, in voxels of ``grid``, of a Gaussian that goes before along the axes that are not refined
        (SynthSeg: 0.25).
    outside
        Of the field of view: ``zero``, or ``edge``, the nearest voxel's value (``linear`` only).

    Returns
    -------
    array of ``grid.shape``
        float32; with ``nearest`` the type of ``data``.
    """
    same = reorder(data, affine, grid)
    keep = data.dtype if interpolation == "nearest" else np.dtype(np.float32)
    if same is not None:
        return same.astype(keep, copy=False)
    matrix = index_map(affine, grid.affine)
    if blur:
        coarser = np.linalg.norm(
            matrix[:3, :3], axis=1
        )  # voxels of data in one of grid, by axis of data
        from scipy import ndimage

        sigma = np.where(coarser > 1 - 1e-6, blur * coarser, 0)
        data = ndimage.gaussian_filter(data, sigma, output=np.float32)
    if outside == "edge":
        if interpolation != "linear":
            raise ValueError(f"outside: edge goes with interpolation linear, not {interpolation}")
        from scipy import ndimage

        return ndimage.affine_transform(
            data, matrix[:3, :3], matrix[:3, 3], grid.shape, np.float32, order=1, mode="nearest"
        )
    if interpolation == "welch" and axis_aligned(matrix, grid.shape):
        return welch_sinc(data, matrix, grid.shape)
    along = {"nearest": nearest, "linear": linear}.get(interpolation)
    if along and (sampled := along(data, matrix, grid.shape)) is not None:
        return sampled

    import SimpleITK as sitk

    methods = {
        "nearest": sitk.sitkNearestNeighbor,
        "linear": sitk.sitkLinear,
        "bspline": sitk.sitkBSpline,
        "welch": sitk.sitkWelchWindowedSinc,
    }
    held = keep if keep.kind in "iu" else np.float32
    image = sitk.GetImageFromArray(np.ascontiguousarray(data.T.astype(held, copy=False)))
    transform = sitk.AffineTransform(matrix[:3, :3].ravel().tolist(), matrix[:3, 3].tolist())
    filled = sitk.Resample(
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
    return sitk.GetArrayFromImage(filled).T.astype(keep, copy=False)


def field_of_view(affine: np.ndarray, shape: tuple[int, ...], grid: Grid) -> np.ndarray:
    """Bool array of ``grid.shape``: where a voxel centre lies inside an image's field of view."""
    matrix = index_map(affine, grid.affine)
    inside = np.ones((1, 1, 1), bool)  # (z, y, x) as files hold it, by one axis after the other
    steps = np.ogrid[tuple(slice(n) for n in grid.shape[::-1])][::-1]
    for axis in (2, 1, 0):
        low, high = -0.5 - 1e-6, shape[axis] - 0.5 + 1e-6
        *little, along = sorted((matrix[axis, a] * steps[a] for a in range(3)), key=np.ptp)
        nearest = along + matrix[axis, 3] + sum(part.min() for part in little)
        farthest = along + matrix[axis, 3] + sum(part.max() for part in little)
        surely = (nearest >= low) & (farthest <= high)
        if (surely | (farthest < low) | (nearest > high)).all():  # it goes by one axis: no turn
            inside = inside & surely
        else:
            index = matrix[axis, 3] + along + little[0] + little[1]
            inside = inside & (index >= low) & (index <= high)
    return np.broadcast_to(inside, grid.shape[::-1]).copy().T
