"""The quality-control figure of a scan whose model labels structures: slices with the structures in colour."""

from collections.abc import Mapping
from colorsys import hsv_to_rgb
from math import gcd
from typing import Any

import numpy as np
from PIL import Image

from lesionflow.base.label_channels import decides_by_argmax
from lesionflow.results.pictures.figure_panels import greys, label_left, panel
from lesionflow.results.pictures.overview import SLICE, margin_box, slice_indices
from lesionflow.results.pictures.sheets import COLUMNS, Cell, in_rows, sheet
from lesionflow.results.pictures.viewed_scan import PLANES, ViewedScan, slice_of

ROWS = 3
OPACITY = 0.55  # of the colour of a structure


def shows_structures(output: Mapping[str, Any]) -> bool:
    """Whether the figure of a model with this ``output`` shows structures (softmax over several labels) or lesions."""
    return decides_by_argmax(output["activation"], len(output["labels"]))


def structure_figure(
    name: str, scan: ViewedScan, names: Mapping[int, str], flags: str = ""
) -> Image.Image:
    """Figure with axial slices of a scan, its structures in colour, and a legend.

    Parameters
    ----------
    name
        Start of the title.
    scan
        The scan; ``lesions`` are the label values of the structures.
    names
        Name of each structure by its label value.
    flags
        Of the scan, for the title.

    Returns
    -------
    PIL.Image.Image
        RGB. Axial slices as seen from above, the left of the head on the left. Their numbers count from 0 along the
        stored axis.
    """
    labels, axial = scan.lesions, PLANES["axial"]
    present = np.count_nonzero(np.bincount(labels.ravel("K"))[1:])
    title = f"{name}: {present} of {len(names)} structures found" + (f" [{flags}]" if flags else "")
    box = margin_box(labels > 0, scan)
    cells = []
    for z in slice_indices(box[2], COLUMNS * ROWS):
        mixed = coloured(
            scan, names, slice_of(scan.image, axial, z, box), slice_of(labels, axial, z, box)
        )
        cells.append(
            Cell(panel(mixed, scan.spacing_mm), [f"slice {scan.stored_index(2, z)}"], SLICE)
        )
    label_left(cells[0].panel)
    colours = map(tuple, distinct_colours(len(names)).tolist())
    return sheet(title, in_rows(cells), legend=list(zip(names.values(), colours, strict=True)))


def coloured(
    scan: ViewedScan, names: Mapping[int, str], image: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """A slice (right, up, 3), uint8, of the scan with its structures in their colours."""
    paint = np.zeros((max([*names, int(labels.max())]) + 1, 3))
    paint[list(names)] = distinct_colours(len(names))
    opacity = np.zeros((len(paint), 1))
    opacity[list(names)] = OPACITY
    grey = greys(image, scan.window)[..., None]
    mixed = opacity[labels] * paint[labels] + (1 - opacity[labels]) * grey
    return mixed.round().astype(np.uint8)


def distinct_colours(count: int) -> np.ndarray:
    """Colours (count, 3), red, green and blue from 0 to 255: evenly spaced hues, far apart for consecutive labels."""
    golden = (step for step in range(round(0.382 * count), 1, -1) if gcd(step, count) == 1)
    hues = np.arange(count) * next(golden, 1) % count / count
    return np.array([np.multiply(hsv_to_rgb(hue, 1, 1), 255) for hue in hues]).round().astype(int)
