"""Parts of a figure: the image of a slice, and outlines on it.

A plane is a slice of a volume, an array (right, up). In an axial plane the axes run to the right and to the front of the head:
its image shows it as seen from above, with the left of the head on the left and the front at the top.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from lesionflow.results.pictures.text import font

WIDTH, HEIGHT = 204, 240  # largest panel, in pixels
LETTER = 15  # font size in pixels
KEPT, DROPPED, BRAIN = "#ff5a36", "#e0e0e0", "#4fc3f7"  # colours of lesions and of the brain mask
DASH = 4  # length of a dash and of a gap, in pixels

Window = tuple[float, float]  # intensities that are drawn black and white
Box = tuple[float, ...]


class Line(NamedTuple):
    """How an outline is drawn: its colour, whether it is broken into dashes, its opacity."""

    colour: str
    dashed: bool = False
    opacity: float = 1.0


def greys(plane: np.ndarray, window: Window) -> np.ndarray:
    """Grey values, uint8, of a plane: black up to the lower end of the window and for NaN, white from the upper end on."""
    black, white = window
    scaled = (plane - black) / (white - black) * 255 if white > black else np.zeros(plane.shape)
    return np.fmin(np.fmax(scaled, 0), 255).astype(np.uint8)


def panel(
    plane: np.ndarray,
    spacing_mm: np.ndarray | Sequence[float],
    size: tuple[int, int] = (WIDTH, HEIGHT),
) -> Image.Image:
    """The image of a plane, as large as ``size`` (width, height) allows.

    Parameters
    ----------
    plane
        Grey (x, y) or red, green and blue (x, y, 3), uint8.
    spacing_mm
        Voxel size along x and y, which gives the proportions of a voxel; further values are ignored.
    size
        Largest width and height.

    Returns
    -------
    PIL.Image.Image
        RGB. Voxels have sharp edges; a pixel that covers several is their mean.
    """
    sides_mm = np.array(plane.shape[:2]) * spacing_mm[:2]
    scale = min(np.array(size) / sides_mm)
    width, height = np.maximum((sides_mm * scale).round().astype(int), 1)
    return resized(plane, (width, height)).convert("RGB")


def resized(plane: np.ndarray, size: tuple[int, int], box: Box | None = None) -> Image.Image:
    """The image of a plane (x, y), uint8, as seen from above.

    Parameters
    ----------
    plane
        Grey (x, y) or red, green and blue (x, y, 3).
    size
        Of the image: width and height.
    box
        The part of the plane that is shown: the lower ends of x and y, and the upper ends, in voxels from the plane's
        corner. By default the whole plane.

    Returns
    -------
    PIL.Image.Image
        Voxels have sharp edges; a pixel that covers several is their mean.
    """
    left, low, right, high = box or (0, 0, *plane.shape[:2])
    rows = plane.shape[1]  # rows of an image run down, from the front of the head
    from_above = Image.fromarray(np.ascontiguousarray(plane.swapaxes(0, 1)[::-1]))
    place = left, rows - high, right, rows - low
    return from_above.resize(size, Image.Resampling.BOX, place)


def covered_pixels(mask: np.ndarray, size: tuple[int, int], box: Box | None = None) -> np.ndarray:
    """Bool array (rows, columns): the pixels that show at least a part of a voxel of a bool plane (x, y).

    So a voxel that is smaller than a pixel is not lost; parameters as for ``resized``.
    """
    pixels = np.array(resized(mask.astype(np.uint8) * 255, size, box)) > 0
    # Pillow leaves out a voxel whose centre is between two pixels
    left, low, right, high = box or (0, 0, *mask.shape)
    x, y = np.nonzero(mask)
    columns = np.floor((x + 0.5 - left) / (right - left) * size[0]).astype(int)
    rows = np.floor((high - y - 0.5) / (high - low) * size[1]).astype(int)
    in_box = (columns >= 0) & (columns < size[0]) & (rows >= 0) & (rows < size[1])
    pixels[rows[in_box], columns[in_box]] = True
    return pixels


def draw_outline(image: Image.Image, inside: np.ndarray, line: Line) -> None:
    """Draw a line one pixel wide just outside of the pixels of a bool array (rows, columns) as large as the image.

    A dashed line alternates with black, so that it differs from a solid one by more than its colour, and is visible on
    bright as well as dark tissue.
    """
    contour = _dilated(inside) & ~inside
    if line.dashed:
        rows, columns = np.ogrid[: inside.shape[0], : inside.shape[1]]
        # no horizontal, vertical or diagonal line stays in one dash or gap
        gaps = (columns + 2 * rows) // DASH % 2 == 1
        image.paste("black", mask=_opacity(contour & gaps))
        contour &= ~gaps
    image.paste(line.colour, mask=_opacity(contour * line.opacity))


def _dilated(mask: np.ndarray) -> np.ndarray:
    """A bool array of pixels, dilated by one pixel with 4-connectivity."""
    grown = mask.copy()
    grown[1:] |= mask[:-1]
    grown[:-1] |= mask[1:]
    grown[:, 1:] |= mask[:, :-1]
    grown[:, :-1] |= mask[:, 1:]
    return grown


def _opacity(share: np.ndarray) -> Image.Image:
    """Opacity of each pixel, from 0 to 1, as a mask for ``Image.paste``."""
    return Image.fromarray((share * 255).astype(np.uint8))


def label_left(image: Image.Image) -> None:
    """Write an L at the left edge of a panel, for the left of the head."""
    position = 4, image.height // 2
    ImageDraw.Draw(image).text(
        position, "L", "white", font(LETTER), "lm", stroke_width=1, stroke_fill="black"
    )
