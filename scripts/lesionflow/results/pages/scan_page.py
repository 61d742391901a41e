"""The page of a scan: its lesions, their pictures, and the images for the volume viewer, as data for scripts."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np

from lesionflow.base import layout
from lesionflow.results.pages.html_page import render, script_json
from lesionflow.results.pages.image_data import as_bytes, crop_around, encode

TEMPLATES = Path(__file__).parent / "templates"
HALF_MM = 16.0  # half the side of a crop, as of the pictures of a lesion


class ScanImages(NamedTuple):
    """The images of a scan on its own grid.

    Parameters
    ----------
    scan : array (x, y, z)
        Intensities.
    lesions : array (x, y, z), int
        Lesion numbers.
    probability : array (x, y, z)
        Highest probability over the labels.
    affine : array (4, 4)
        Of all three.
    white : float
        Intensity that is shown white.
    """

    scan: np.ndarray
    lesions: np.ndarray
    probability: np.ndarray
    affine: np.ndarray
    white: float


def viewer_images(
    images: ScanImages, voxels: Sequence[Sequence[int]], whole: bool
) -> tuple[dict[str, str] | None, list[dict[str, str]]]:
    """The images that the page of a scan embeds: the whole volume, or a crop around each lesion.

    Parameters
    ----------
    voxels
        The voxel at the peak of each lesion.
    whole
        Whether the whole volume is asked for. It is also taken if the crops together are larger.

    Returns
    -------
    volume : dict or None
        ``scan``, ``lesions`` and ``probability`` as of ``image_data.encode``, or None.
    crops : list of dict
        The same for each lesion; empty with a volume.
    """
    shape = images.scan.shape
    boxes = [crop_around(np.array(v), images.affine, shape, HALF_MM) for v in voxels]
    sizes = [np.prod([axis.stop - axis.start for axis in box]) for box in boxes]
    if whole or sum(sizes) > np.prod(shape):
        return _encoded(images, tuple(slice(0, n) for n in shape)), []
    return None, [_encoded(images, box) for box in boxes]


def _encoded(images: ScanImages, box: tuple[slice, ...]) -> dict[str, str]:
    numbers = images.lesions[box]
    kind = np.int16 if numbers.max(initial=0) < 2**15 else np.int32
    parts = {
        "scan": (as_bytes(images.scan[box], images.white), images.white / 255),
        "lesions": (numbers.astype(kind), 1),
        "probability": (as_bytes(images.probability[box], 1), 1 / 255),
    }
    return {name: encode(data, images.affine, box, slope) for name, (data, slope) in parts.items()}
