"""A lesion in three planes, on the voxels of the scan.

The planes are those of the stored image that are nearest to the axial, coronal and sagittal plane: an oblique scan is not
resampled. An axial panel is seen from above and a coronal one from behind, with the left of the head on the left; a
sagittal one is seen from the left, with the front of the head on the left. Letters at the edges name the directions.
"""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from lesionflow.results.pictures.figure_panels import (
    DROPPED,
    KEPT,
    Line,
    covered_pixels,
    draw_outline,
    greys,
    resized,
)
from lesionflow.results.pictures.text import font
from lesionflow.results.pictures.viewed_scan import PLANES, Plane, ViewedScan, slice_of

HALF_MM = 16.0  # half the side of a view
SIZE = 135  # of a view in pixels; odd, so that one is in the middle
LETTER = 10  # font size in pixels
OTHER_LINE = Line("white", opacity=0.4)
LINES = {True: Line(KEPT), False: Line(DROPPED, dashed=True)}  # by whether a lesion is kept


class Views(NamedTuple):
    """Panels of a lesion, RGB, all of one size."""

    axial: Image.Image
    coronal: Image.Image
    sagittal: Image.Image


Layer = tuple[
    np.ndarray, Line
]  # an array (x, y, z) in RAS order, whose voxels other than 0 are outlined


def lesion_views(
    scan: ViewedScan,
    lesion: int,
    voxel: Sequence[int],
    line: Line,
    size: int = SIZE,
    other_line: Line = OTHER_LINE,
    layers: Sequence[Layer] = (),
) -> Views:
    """A lesion in three planes through a voxel, 16 mm to each side of it.

    The lesion is outlined just outside of its voxels. Voxels have sharp edges and the proportions of the scan; what lies
    outside of the scan is black. Only the part of the scan that is in view is read.

    Parameters
    ----------
    scan
        The scan and its lesions.
    lesion
        Number of the lesion. 0 for a place without one: then all lesions count as others.
    voxel
        Stored indices i, j, k of the voxel, usually the lesion's peak.
    line
        Of the outline: ``LINES[kept]`` for a lesion of the table.
    size
        Side of a panel in pixels.
    other_line
        Of the outlines of other lesions in view.
    layers
        Further outlines, drawn after those of other lesions and before that of the lesion.
    """
    centre = scan.ras_voxels(np.array([voxel]))[0]
    panels = []
    for plane in PLANES.values():
        half = HALF_MM / scan.spacing_mm[[plane.right, plane.up]]  # in voxels
        window = _Window(plane, centre, half, size)
        grey = greys(window.voxels(scan.image), scan.window)
        panel = resized(grey, (size, size), window.box(grey)).convert("RGB")
        numbers = window.voxels(scan.lesions)
        own = (numbers == lesion) & (numbers > 0)
        masks = [((numbers > 0) & ~own, other_line)]
        masks += [(window.voxels(array) > 0, layer_line) for array, layer_line in layers]
        for mask, mask_line in [*masks, (own, line)]:
            if mask.any():
                draw_outline(panel, covered_pixels(mask, panel.size, window.box(mask)), mask_line)
        for colour, opacity in _letters(plane.letters, size).items():
            panel.paste(colour, mask=opacity)
        panels.append(panel)
    return Views(*panels)


@dataclass(frozen=True)
class _Window:
    """A square part of a slice, around the centre of a voxel of an array in RAS order.

    Attributes
    ----------
    plane
        Of the slice.
    centre : array (3,)
        The voxel.
    half : array (2,)
        Half the sides of the window in voxels, to the right and up.
    size
        Side of its image in pixels.
    """

    plane: Plane
    centre: np.ndarray
    half: np.ndarray
    size: int

    def voxels(self, volume: np.ndarray) -> np.ndarray:
        """The voxels (right, up) that lie at least in part inside the window; 0 outside of the volume."""
        plane, box, padding = self.plane, [slice(None)] * 3, []
        for axis, half in zip((plane.right, plane.up), self.half, strict=True):
            reach, middle, length = ceil(half - 0.5), int(self.centre[axis]), volume.shape[axis]
            box[axis] = slice(max(middle - reach, 0), middle + reach + 1)
            padding.append((max(reach - middle, 0), max(middle + reach + 1 - length, 0)))
        if plane.is_reversed:
            padding[0] = padding[0][::-1]
        index = int(self.centre[plane.across])
        return np.pad(slice_of(volume, plane, index, tuple(box)), padding)

    def box(self, voxels: np.ndarray) -> tuple[float, ...]:
        """The part of ``voxels`` that is in the window: from the left, the lower end, to the right, the upper end."""
        sides, middle = np.array(voxels.shape), np.array(voxels.shape) / 2
        low, high = np.maximum(middle - self.half, 0), np.minimum(middle + self.half, sides)
        return (*low.tolist(), *high.tolist())


@cache
def _letters(letters: str, size: int) -> dict[str, Image.Image]:
    """Letters at the left, right, upper and lower edge of a panel, and their dark edges: opacity by colour."""
    layers = {"black": Image.new("L", (size, size)), "white": Image.new("L", (size, size))}
    middle, end = size / 2, size - 2
    places = ((2, middle, "lm"), (end, middle, "rm"), (middle, 2, "mt"), (middle, end, "mb"))
    for opacity, width in zip(layers.values(), (1, 0), strict=True):
        draw = ImageDraw.Draw(opacity)
        for letter, (x, y, anchor) in zip(letters, places, strict=True):
            draw.text((x, y), letter, 230, font(LETTER), anchor, stroke_width=width)
    return layers


def as_data_url(panel: Image.Image) -> str:
    """A panel as a ``data:`` URL of a lossless WebP image; equal panels give equal text."""
    buffer = io.BytesIO()
    panel.save(buffer, "WEBP", lossless=True, quality=50, method=2)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
