"""Brain masks, provided or computed: resampling to the model grid, and checks against the scan."""

import nibabel as nib
import numpy as np

from lesionflow.base.errors import ScanError
from lesionflow.imaging.connected_components import fill_holes, largest_component
from lesionflow.imaging.grids import Grid, bounding_box
from lesionflow.imaging.resampling import inside_image, resample

MASK_THRESHOLD = 0.5  # voxels above are brain, in masks of 0 and 1, of labels and of probabilities


def brain_from_mask(mask: nib.Nifti1Image, scan: Grid, grid: Grid) -> np.ndarray:
    """Bool array of ``grid.shape``: the brain, inside the field of view of the scan.

    Parameters
    ----------
    mask
        On any grid; resampled by nearest neighbour.
    scan
        Grid of the scan; voxels outside its field of view are not brain.
    grid
        The model grid.

    Raises
    ------
    ScanError
        If the mask is empty, or has no voxel in the scan's field of view.
    """
    source_brain = np.asanyarray(mask.dataobj) > MASK_THRESHOLD
    if not source_brain.any():
        raise ScanError("the brain mask is empty")
    resampled = resample(source_brain.astype(np.uint8), mask.affine, grid, "nearest")
    brain = resampled.astype(bool) & inside_image(scan.affine, scan.shape, grid)
    if not brain.any():
        raise ScanError(
            "the brain mask lies outside of the scan: the origin of the mask is at "
            f"{mask.affine[:3, 3].round(1)} mm and its shape {mask.shape}, that of the scan is at "
            f"{scan.affine[:3, 3].round(1)} mm and its shape {scan.shape}"
        )
    return brain


def brain_from_probability(
    probability: nib.Nifti1Image, scan: Grid | nib.Nifti1Image, grid: Grid, threshold: float = 0.5
) -> np.ndarray:
    """Bool array of ``grid.shape``: the largest connected component above ``threshold``, with its holes filled.

    Components and holes are connected by shared faces.

    Parameters
    ----------
    probability
        Probability of brain, on any grid; resampled by linear interpolation.
    scan, grid
        As for ``brain_from_mask``.
    threshold
        Voxels with a higher probability are brain.

    Raises
    ------
    ScanError
        If no voxel is brain, or none inside the field of view of the scan.
    """
    data = np.asanyarray(probability.dataobj)
    if not (data > threshold).any():
        raise ScanError(
            f"no brain was found in the scan (highest probability {data.max():.2f}): is it a head, and "
            "is the orientation in its header right? Provide a mask, or exclude the scan"
        )
    brain = resample(data, probability.affine, grid, "linear") > threshold
    brain = largest_component(brain & inside_image(scan.affine, scan.shape, grid), 6)
    if not brain.any():
        raise ScanError(
            "the brain that was found lies outside of the scan: it was searched on a grid with its origin at "
            f"{probability.affine[:3, 3].round(1)} mm and shape {probability.shape}, the origin of the scan is at "
            f"{scan.affine[:3, 3].round(1)} mm and its shape {scan.shape}. Provide a mask, or exclude the scan"
        )
    box = bounding_box(brain)
    brain[box] = fill_holes(brain[box])
    return brain


def brain_measures(brain: np.ndarray, scan: Grid, grid: Grid) -> dict[str, float]:
    """Volume of the brain in ml, and the share of its surface on the edge of the scan (``edge_share``).

    Parameters
    ----------
    brain : array of ``grid.shape``, bool
    scan
        Grid of the scan.
    grid
        The model grid.
    """
    return {
        "brain_volume_ml": float(brain.sum() * grid.voxel_mm3 / 1000),
        "brain_at_edge": edge_share(brain, inside_image(scan.affine, scan.shape, grid)),
    }


def edge_share(brain: np.ndarray, field_of_view: np.ndarray) -> float:
    """Share of the surface voxels of the brain that lie on the edge of the field of view (both bool)."""
    surface, edge = _surface(brain), _surface(field_of_view)
    return int(np.count_nonzero(surface & edge)) / max(int(np.count_nonzero(surface)), 1)


def _surface(mask: np.ndarray) -> np.ndarray:
    """Voxels of a mask (x, y, z) with a face that borders the background or the end of the array."""
    eroded = mask.copy("K")
    for axis in range(3):
        kept, source = np.moveaxis(eroded, axis, 0), np.moveaxis(mask, axis, 0)
        kept[1:] &= source[:-1]
        kept[:-1] &= source[1:]
        kept[0] = kept[-1] = False
    return mask ^ eroded
