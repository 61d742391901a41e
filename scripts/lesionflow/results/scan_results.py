"""Lesions of one scan under one model: maps and tables."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
from nibabel.affines import apply_affine

from lesionflow.base.label_channels import background_channels
from lesionflow.imaging.connected_components import label_lesions, map_numbers
from lesionflow.imaging.edge_distance import edge_distances_mm
from lesionflow.imaging.grids import Grid
from lesionflow.imaging.nifti import channels_last
from lesionflow.imaging.resampling import resample
from lesionflow.results import columns
from lesionflow.results.lesion_filters import apply_filters, label_values, summarize
from lesionflow.results.lesions import claim_voxels, label_map, measure


@dataclass(frozen=True)
class ScanResults:
    """Lesions of one scan, maps on the model's grid.

    Parameters
    ----------
    lesion_map : array (x, y, z), int32
        Number of the lesion in each voxel, 0 for none.
    labels : array (x, y, z), int16
        Label value of the kept lesions, 0 elsewhere.
    lesions : DataFrame
        One row per lesion, columns ``columns.LESION``.
    volumes : DataFrame
        One row per label (``lesions.summarize``).
    """

    lesion_map: np.ndarray
    labels: np.ndarray
    lesions: pd.DataFrame
    volumes: pd.DataFrame


def scan_results(
    labels: nib.Nifti1Image,
    probability: nib.Nifti1Image,
    folds: Iterable[nib.Nifti1Image],
    brain: nib.Nifti1Image,
    regions: tuple[np.ndarray, np.ndarray] | None,
    scan_grid: Grid,
    output: Mapping[str, Any],
    postprocess: Mapping[str, Any],
    has_mask: bool = True,
) -> ScanResults:
    """Number, measure and filter the lesions of one scan.

    Parameters
    ----------
    labels, probability, brain
        Thresholded label map, ensemble probabilities and brain mask, on the model's grid.
    folds
        Probabilities of each fold on the same grid; read only if there is any lesion.
    regions
        Region numbers on any grid, and the affine of that grid (``nifti.read_label_image``).
    scan_grid
        Grid of the scan.
    output, postprocess
        Sections of the model card.
    has_mask
        False if ``brain`` is the whole field of view: distances from the edge of the brain are missing then.

    Returns
    -------
    ScanResults
        Its table of lesions has no ``scan`` and ``model`` yet.
    """
    label_array = np.asanyarray(labels.dataobj)
    brain_array = np.asanyarray(brain.dataobj) > 0
    grid = Grid(labels.affine, label_array.shape)
    background = background_channels(output["activation"])
    foreground = channels_last(probability)[..., background:]
    fold_labels = [
        label_map(channels_last(fold), output["activation"], postprocess["threshold"])
        for fold in (folds if label_array.any() else [])
    ]
    lesion_map = label_lesions(label_array, postprocess["connectivity"], grid.affine)
    measured = measure(
        lesion_map,
        label_array,
        foreground,
        fold_labels,
        grid.affine,
        brain_array,
        dict(enumerate(output["labels"].values(), start=1)),
        None if regions is None else resample(*regions, grid, "nearest"),
    )
    lesions = apply_filters(measured, postprocess)
    edge_mm = edge_distances_mm(lesion_map, brain_array, grid.affine) if has_mask else np.nan
    peaks = apply_affine(grid.affine, np.array(lesions.peak.tolist()).reshape(-1, 3))
    strengths = lesions.max_probability.to_numpy()
    voxels = claim_voxels(peaks, strengths, scan_grid.affine, scan_grid.shape)
    soft = (grid.voxel_mm3, output["total"]) if output["soft_volumes"] else ()
    return ScanResults(
        lesion_map,
        map_numbers(lesion_map, label_values(lesions, output["labels"])),
        lesions.assign(i=voxels[:, 0], j=voxels[:, 1], k=voxels[:, 2], edge_distance_mm=edge_mm),
        summarize(lesions, foreground, output["labels"], *soft),
    )


def lesion_rows(lesions: pd.DataFrame, scan: str, model: str) -> pd.DataFrame:
    """Rows of lesions.csv from the lesions of ``scan_results``."""
    return lesions.assign(scan=scan, model=model)[columns.names(columns.LESION)]
