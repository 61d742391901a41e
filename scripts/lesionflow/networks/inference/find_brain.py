"""Where the brain is in a scan that brings no mask: a network of any card, on a grid of its own."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from scipy import ndimage

from lesionflow.base.label_channels import background_channels
from lesionflow.imaging.cropping import crop_and_pad
from lesionflow.imaging.grids import Grid
from lesionflow.imaging.intensity import normalize
from lesionflow.imaging.resampling import field_of_view, on_grid, whole_grid
from lesionflow.networks.inference import inferers
from lesionflow.networks.inference.fold_runner import predict


def brain_probability(
    scan: nib.Nifti1Image,
    card: Mapping[str, Any],
    folds: list[Path],
    threads: int = 1,
) -> tuple[np.ndarray, Grid]:
    """Probability of brain on the card's own grid: the mean over folds of any label's.

    The road of any model in one go: resample, crop, normalize, predict on the CPU, by what is at hand: a mask
    bears more rounding than lesions do, and must not move with what computes these. A brain is not known
    yet: the field of view stands for it (a box that goes by the brain lies on its middle, and moves up
    rather than lose its top).

    Parameters
    ----------
    scan
        3-D, finite, its affine in order (``nifti.read_scan``).
    card
        Of one channel.
    folds
        Folders of the card's imported folds.

    Returns
    -------
    array (x, y, z), float32, and its grid
        Outside of the field of view that of the nearest voxel inside: a mask on a finer grid then ends
        with the scan, and a brain that it cuts is seen to be cut.
    """
    wanted = card["input"]
    data = np.nan_to_num(np.asanyarray(scan.dataobj), nan=0.0, posinf=0.0, neginf=0.0)
    whole = whole_grid(scan.affine, scan.shape, wanted)
    image = on_grid(data, scan.affine, whole, wanted)
    view = field_of_view(scan.affine, scan.shape, whole)
    stack, inside, box = crop_and_pad(image[..., None], view, whole.affine, wanted)
    normal = normalize(stack, wanted["normalize"], inside)
    normal *= inside[..., None]  # what is no scan is 0, as in training
    total = np.zeros(box.shape, np.float32)
    see = partial(inferers.probability, card=card, brain=inside)
    for fold in folds:
        found, _ = predict(fold, normal, "auto", "cpu", threads=threads, see=see)
        background = background_channels(card["output"]["activation"])
        total += (1 - found[..., 0]) if background else found.max(axis=-1)
    return _extended(total / len(folds), inside), box


def _extended(values: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Values (x, y, z) of a box, ``inside`` (bool), continued to all sides by those of its faces."""
    (box,) = ndimage.find_objects(inside.astype(np.uint8))
    for axis, part in enumerate(box):
        index = np.arange(values.shape[axis]).clip(part.start, part.stop - 1)
        values = values.take(index, axis)
    return values
