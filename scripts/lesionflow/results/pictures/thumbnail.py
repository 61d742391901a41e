"""A small picture of a scan: one slice in each plane."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from lesionflow.imaging.grids import bounding_box
from lesionflow.results.pictures.figure_panels import label_left, panel
from lesionflow.results.pictures.overview import margin_box, overview_panel
from lesionflow.results.pictures.qc_figure import by_importance
from lesionflow.results.pictures.structure_figure import coloured
from lesionflow.results.pictures.viewed_scan import PLANES, ViewedScan, slice_of

SIZE = (360, 150)
PANEL = (118, 150)  # largest width and height of a slice


def lesion_thumbnail(
    scan: ViewedScan, brain: np.ndarray, lesions: Sequence[Mapping[str, Any]]
) -> Image.Image:
    """Slices through the peak of the most important lesion, or the middle of the brain, with outlines of lesions.

    Parameters
    ----------
    scan
        The scan and its lesions.
    brain : array (x, y, z), bool
        Brain mask in RAS order.
    lesions
        Rows of the scan's lesion table (``tables_io.read_lesions``).
    """
    box, kept = margin_box(brain, scan), {row["lesion"] for row in lesions if row["kept"]}
    centre = _middle(brain)
    for row in by_importance(lesions)[:1]:
        centre = scan.ras_voxels(np.array([row["i"], row["j"], row["k"]]))[0].tolist()
    return _side_by_side(
        overview_panel(scan, brain, box, plane, centre[plane.across], kept, PANEL, numbered=False)
        for plane in PLANES.values()
    )


def structure_thumbnail(scan: ViewedScan, names: Mapping[int, str]) -> Image.Image:
    """Slices through the middle of the structures, in the colours of ``structure_figure``; parameters as there."""
    inside = scan.lesions > 0
    box, middle, panels = margin_box(inside, scan), _middle(inside), []
    for plane in PLANES.values():
        index = middle[plane.across]
        image, labels = (slice_of(v, plane, index, box) for v in (scan.image, scan.lesions))
        spacing = scan.spacing_mm[[plane.right, plane.up]]
        panels.append(panel(coloured(scan, names, image, labels), spacing, PANEL))
    return _side_by_side(panels)


def _middle(mask: np.ndarray) -> list[int]:
    """The voxel in the middle of the box around a mask, or of the array if the mask is empty."""
    box = bounding_box(mask) if mask.any() else [slice(0, n) for n in mask.shape]
    return [(axis.start + axis.stop) // 2 for axis in box]


def _side_by_side(panels: Any) -> Image.Image:
    picture = Image.new("RGB", SIZE)
    for number, image in enumerate(panels):
        if not number:
            label_left(image)
        middle = (number + 0.5) * SIZE[0] / 3
        corner = round(middle - image.width / 2), (SIZE[1] - image.height) // 2
        picture.paste(image, corner)
    return picture
