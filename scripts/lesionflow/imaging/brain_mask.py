"""Brain masks, given or found: brought to the model's grid, and checked against the scan."""

import nibabel as nib
import numpy as np

from lesionflow.base.errors import ScanError
from lesionflow.imaging.connected_components import fill_holes, largest_component
from lesionflow.imaging.grids import Grid, bounding_box, nearest_voxels
from lesionflow.imaging.resampling import field_of_view, resample

INSIDE = (
    0.5  # a mask's value above which a voxel is brain: masks are 0 and 1, labels, or probabilities
)


def brain_on_grid(mask: nib.Nifti1Image | None, scan: Grid, grid: Grid) -> np.ndarray:
    """Bool array of ``grid.shape``: the brain, or the scan's field of view where no mask is given.

    Parameters
    ----------
    mask
        On any grid of its own; brought over through the affines, nearest neighbour.
    scan
        Its grid, for the field of view, outside of which nothing is brain.
    grid
        The model's.

    Raises
    ------
    ScanError
        If the mask is empty, or has no voxel in the scan's field of view.
    """
    view = field_of_view(scan.affine, scan.shape, grid)
    if mask is None:
        return view
    inside = np.asanyarray(mask.dataobj) > INSIDE
    if not inside.any():
        raise ScanError("the brain mask is empty")
    brain = resample(inside.astype(np.uint8), mask.affine, grid, "nearest").astype(bool) & view
    if not brain.any():
        raise ScanError(
            "the brain mask lies outside of the scan: the mask's origin is "
            f"{mask.affine[:3, 3].round(1)} mm with shape {mask.shape}, the scan's "
            f"{scan.affine[:3, 3].round(1)} mm with shape {scan.shape}"
        )
    return brain


def brain_from_probability(
    probability: nib.Nifti1Image, scan: Grid | nib.Nifti1Image, grid: Grid, threshold: float = 0.5
) -> np.ndarray:
    """Bool array of ``grid.shape``: the largest piece above ``threshold``, without holes.

    Parameters
    ----------
    probability
        Of brain, on a grid of its own; brought over by linear interpolation.
    scan, grid
        As for ``brain_on_grid``. Voxels of a piece share faces; a hole is what no way of shared faces
        leads out of.

    Raises
    ------
    ScanError
        If no voxel is brain, or none in the scan's field of view.
    """
    data = np.asanyarray(probability.dataobj)
    if not (data > threshold).any():
        raise ScanError(
            f"no brain was found in the scan (highest probability {data.max():.2f}): is it a head, and "
            "does its header tell the right orientation? Give it a mask, or exclude it"
        )
    brain = resample(data, probability.affine, grid, "linear") > threshold
    piece = largest_component(brain & field_of_view(scan.affine, scan.shape, grid), 6)
    if not piece.any():
        raise ScanError(
            "the brain that was found lies outside of the scan: it was looked for on a grid at "
            f"{probability.affine[:3, 3].round(1)} mm with shape {probability.shape}, the scan's origin is "
            f"{scan.affine[:3, 3].round(1)} mm with shape {scan.shape}. Give it a mask, or exclude it"
        )
    box = bounding_box(piece)
    piece[box] = fill_holes(piece[box])
    return piece


def holes_in_brain(scan: nib.Nifti1Image, brain: np.ndarray, grid: Grid) -> int:
    """Number of the scan's voxels that are not finite and lie in the brain (bool, on ``grid``)."""
    bad = ~np.isfinite(np.asanyarray(scan.dataobj))
    holes = 0
    for k in np.flatnonzero(bad.any(axis=(0, 1))):  # a background of NaN has millions of them
        slice_ = np.argwhere(bad[..., k])
        index = np.column_stack([slice_, np.full(len(slice_), k)])
        xyz = nib.affines.apply_affine(scan.affine, index)
        holes += int(brain[tuple(nearest_voxels(xyz, grid.affine, grid.shape).T)].sum())
    return holes


def edge_share(brain: np.ndarray, view: np.ndarray) -> float:
    """Share of the brain's surface voxels that lie on the edge of the field of view (both bool)."""
    surface, edge = _surface(brain), _surface(view)
    return int(np.count_nonzero(surface & edge)) / max(int(np.count_nonzero(surface)), 1)


def _surface(solid: np.ndarray) -> np.ndarray:
    """Voxels of a bool array with a neighbour across a face that is not in it, or none at all there."""
    core = solid.copy("K")
    for axis in range(3):
        inner, own = np.moveaxis(core, axis, 0), np.moveaxis(solid, axis, 0)
        inner[1:] &= own[:-1]
        inner[:-1] &= own[1:]
        inner[0] = inner[-1] = False
    return solid ^ core
