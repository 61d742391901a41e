"""Maps of one scan, from the model's grid to the grid of the scan."""

import nibabel as nib
import numpy as np
import pandas as pd

from lesionflow.base.label_channels import background_channels
from lesionflow.imaging.grids import Grid
from lesionflow.imaging.nifti import channels_last
from lesionflow.imaging.resampling import inside_image, resample


def probability_on_scan(image: nib.Nifti1Image, scan: Grid, activation: str) -> np.ndarray:
    """Probabilities (x, y, z, channel), float32, sampled linearly at the voxels of the scan.

    Parameters
    ----------
    image
        The probabilities on the model's grid.
    scan
        Grid of the scan.
    activation
        With ``softmax`` the first channel is the background: 1 where the model saw nothing.
    """
    maps = channels_last(image)
    probability = np.empty((*scan.shape, maps.shape[3]), np.float32, order="F")
    for channel in range(maps.shape[3]):
        probability[..., channel] = resample(maps[..., channel], image.affine, scan, "linear")
    if background_channels(activation):
        probability[~inside_image(image.affine, image.shape, scan), 0] = 1
    return probability


def lesions_on_scan(
    lesion_map: np.ndarray, affine: np.ndarray, scan: Grid, lesions: pd.DataFrame
) -> np.ndarray:
    """Lesion numbers (x, y, z) at the voxels of the scan.

    A voxel takes the number at its centre. In addition, every lesion has the voxel that the table gives it, so that
    none is lost between thick slices.

    Parameters
    ----------
    lesion_map : array (x, y, z), int
        Lesion numbers on the model's grid.
    affine : array (4, 4)
        Of ``lesion_map``.
    scan
        Grid of the scan.
    lesions
        ``lesion`` and its voxel ``i, j, k`` (``tables_io.read_lesions``).
    """
    numbers = resample(lesion_map, affine, scan, "nearest")
    numbers[lesions.i, lesions.j, lesions.k] = lesions.lesion
    return numbers
