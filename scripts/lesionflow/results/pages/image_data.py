"""Images inside a page: NIfTI files as text, for the volume viewer."""

import base64
import io

import nibabel as nib
import numpy as np
from isal import igzip

LEVEL = 2  # of igzip: the smallest files of its fast levels


def crop_around(
    voxel: np.ndarray, affine: np.ndarray, shape: tuple[int, ...], half_mm: float
) -> tuple[slice, ...]:
    """The voxels at most ``half_mm`` from a voxel along each axis of the array, cut at its edges.

    Parameters
    ----------
    voxel : array (3,)
        Indices into an array of ``shape``.
    affine : array (4, 4)
        Of the array; the lengths of its columns are the voxel size in mm.
    """
    reach = (half_mm / np.linalg.norm(affine[:3, :3], axis=0)).astype(int)
    return tuple(
        slice(int(max(v - r, 0)), int(min(v + r + 1, n)))
        for v, r, n in zip(voxel, reach, shape, strict=True)
    )


def as_bytes(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Values as uint8, 0 at ``low`` and below and for NaN, 255 at ``high`` and above; 0 if ``high`` is not above ``low``."""
    scaled = (np.asarray(values, np.float32) - low) * (255 / (high - low) if high > low else 0)
    return np.fmin(np.fmax(scaled, 0), 255).round().astype(np.uint8)


def encode(
    part: np.ndarray,
    affine: np.ndarray,
    box: tuple[slice, ...],
    scaling: tuple[float, float] = (1, 0),
) -> str:
    """Part of an image as a compressed NIfTI-1 file in base64.

    Parameters
    ----------
    part : array (x, y, z), uint8, int16 or int32
        The voxels of ``box``.
    affine : array (4, 4)
        Of the whole image. That of the part follows from it, so that world coordinates stay the same.
    box
        Where the part lies in the whole image.
    scaling
        Slope and intercept from the stored to the shown values.
    """
    offset = np.eye(4)
    offset[:3, 3] = [axis.start for axis in box]
    image = nib.Nifti1Image(part, affine @ offset)
    image.set_sform(image.affine, 1)
    image.set_qform(None, 0)  # an affine with shears has none
    image.header.set_xyzt_units("mm")
    image.header.set_slope_inter(*scaling)
    content = io.BytesIO()
    with igzip.IGzipFile("", "wb", LEVEL, content, mtime=0) as file:
        file.write(image.to_bytes())  # with a slope in the header, the data are stored as they are
    return base64.b64encode(content.getvalue()).decode("ascii")
