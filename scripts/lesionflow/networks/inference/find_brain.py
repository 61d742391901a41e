"""Compute the brain mask of a scan that has none, with the network of any card, on its own grid."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from lesionflow.base.label_channels import background_channels
from lesionflow.imaging.cropping import crop_and_pad
from lesionflow.imaging.grids import Grid, bounding_box
from lesionflow.imaging.intensity import normalize
from lesionflow.imaging.resampling import full_grid, inside_image, resample_channel
from lesionflow.networks.inference import inferers
from lesionflow.networks.inference.fold_runner import predict


def brain_probability(
    scan: nib.Nifti1Image,
    card: Mapping[str, Any],
    folds: list[Path],
    threads: int = 1,
) -> tuple[np.ndarray, Grid]:
    """Probability of brain on the card's own grid: the mean over folds of the probability of any label.

    Runs all steps of a model at once: resample, crop, normalize and predict. It always runs on the CPU, with the
    available backend: a mask tolerates more rounding than lesions do, and must not depend on the backend that
    is chosen for these. The field of view replaces the brain, which is not known yet (a box around the brain is
    centred on it, and shifted up rather than cutting off its top).

    Parameters
    ----------
    scan
        3-D and finite, with a valid affine (``nifti.read_scan``).
    card
        Card of a model with one channel.
    folds
        Folders of the card's imported folds.

    Returns
    -------
    array (x, y, z), float32, and its grid
        Voxels outside the field of view have the value of the nearest voxel inside. A mask on a finer grid
        then extends to the edge of the scan, so that a cut brain can be recognized as cut.
    """
    input_spec = card["input"]
    data = np.nan_to_num(np.asanyarray(scan.dataobj), nan=0.0, posinf=0.0, neginf=0.0)
    model_grid = full_grid(scan.affine, scan.shape, input_spec)
    image = resample_channel(data, scan.affine, model_grid, input_spec)
    view = inside_image(scan.affine, scan.shape, model_grid)
    stack, inside, box = crop_and_pad(image[..., None], view, model_grid.affine, input_spec)
    normal = normalize(stack, input_spec["normalize"], inside)
    normal *= inside[..., None]  # 0 outside the scan, as in training
    total = np.zeros(box.shape, np.float32)
    inferer = partial(inferers.probability, card=card, brain=inside)
    for fold in folds:
        maps, _ = predict(fold, normal, "auto", "cpu", threads=threads, inferer=inferer)
        background = background_channels(card["output"]["activation"])
        total += (1 - maps[..., 0]) if background else maps.max(axis=-1)
    return _extended(total / len(folds), inside), box


def _extended(values: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Values (x, y, z) of the box ``inside`` (bool), extended in all directions by those of its faces."""
    for axis, extent in enumerate(bounding_box(inside)):
        index = np.arange(values.shape[axis]).clip(extent.start, extent.stop - 1)
        values = values.take(index, axis)
    return values
