"""Images from one grid to another, through their affines alone."""

import numpy as np

from lesionflow.geometry import Grid, index_map, reorder
from lesionflow.sinc import axis_aligned, welch_sinc


def resample(
    data: np.ndarray, affine: np.ndarray, grid: Grid, interpolation: str = "welch"
) -> np.ndarray:
    """``data`` sampled at the voxel centres of ``grid``; 0 outside the field of view.

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
        and so SHiVAi use; computed axis by axis where the axes of both grids run in the same
        directions, which gives SimpleITK's values, by SimpleITK elsewhere). No blur goes before: the
        published pipelines have none.

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
    if interpolation == "welch" and axis_aligned(matrix, grid.shape):
        return welch_sinc(data, matrix, grid.shape)

    import SimpleITK as sitk

    methods = {
        "nearest": sitk.sitkNearestNeighbor,
        "linear": sitk.sitkLinear,
        "bspline": sitk.sitkBSpline,
        "welch": sitk.sitkWelchWindowedSinc,
    }
    image = sitk.GetImageFromArray(np.ascontiguousarray(data.T.astype(np.float32)))
    transform = sitk.AffineTransform(matrix[:3, :3].ravel().tolist(), matrix[:3, 3].tolist())
    sampled = sitk.Resample(
        image,
        [int(n) for n in grid.shape],
        transform,
        methods[interpolation],
        (0.0, 0.0, 0.0),
        (1.0, 1.0, 1.0),
        np.eye(3).ravel().tolist(),
        0.0,
        sitk.sitkFloat32,
    )
    return sitk.GetArrayFromImage(sampled).T.astype(keep)


def field_of_view(affine: np.ndarray, shape: tuple[int, ...], grid: Grid) -> np.ndarray:
    """Bool array of ``grid.shape``: where a voxel centre lies inside an image's field of view."""
    matrix = index_map(affine, grid.affine)
    inside = np.ones(grid.shape, bool)
    steps = [np.arange(n) for n in grid.shape]
    for axis in range(3):
        index = (
            matrix[axis, 0] * steps[0][:, None, None]
            + matrix[axis, 1] * steps[1][None, :, None]
            + matrix[axis, 2] * steps[2][None, None, :]
            + matrix[axis, 3]
        )
        inside &= (index >= -0.5 - 1e-6) & (index <= shape[axis] - 0.5 + 1e-6)
    return inside
