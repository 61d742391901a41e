"""Parts of a figure: panels of slices with outlines, rings and text, on a black sheet.

A plane is an axial slice of a volume, an array (x, y) whose axes run to the right and to the front of the head. A panel is
the image of a plane as seen from above: the left of the head is on the left, the front at the top.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

COLUMNS = 6
WIDTH, HEIGHT = 204, 240  # largest panel, in pixels
GAP = 6
LINE = 14  # pixels from one line of text to the next
HEAD = 34  # height of the title, in pixels
TITLE_SIZE, TEXT_SIZE, SMALLEST = 15, 12, 8  # font sizes in pixels
RADIUS = 6.25  # of a ring, in pixels
EDGE = 0.45  # opacity of the dark edge of a line
KEPT, DROPPED = "#ff5a36", "#e0e0e0"  # colours of lesions
DASH = 4  # length of a dash and of a gap, in pixels


class Line(NamedTuple):
    """How an outline is drawn: its colour, whether it is broken into dashes, whether it has a dark edge, its opacity."""

    colour: str
    dashed: bool = False
    edged: bool = False
    opacity: float = 1.0


class Cell(NamedTuple):
    """A panel, the lines of text above it, and the colour of the text."""

    panel: Image.Image
    lines: list[str]
    colour: str


def greys(plane: np.ndarray, white: float) -> np.ndarray:
    """Grey values, uint8, of a plane (x, y): black at 0 and below and for NaN, white at ``white`` and above."""
    scaled = plane / white * 255 if white > 0 else np.zeros(plane.shape)
    return np.fmin(np.fmax(scaled, 0), 255).astype(np.uint8)


def panel(plane: np.ndarray, spacing_mm: Sequence[float]) -> Image.Image:
    """The image of a plane, as large as WIDTH and HEIGHT allow.

    Parameters
    ----------
    plane
        Grey (x, y) or red, green and blue (x, y, 3), uint8.
    spacing_mm
        Voxel size along x and y, which gives the proportions of a voxel; further values are ignored.

    Returns
    -------
    PIL.Image.Image
        RGB. Voxels have sharp edges; a pixel that covers several is their mean.
    """
    sides_mm = np.array(plane.shape[:2]) * spacing_mm[:2]
    scale = min(WIDTH / sides_mm[0], HEIGHT / sides_mm[1])
    width, height = np.maximum((sides_mm * scale).round().astype(int), 1)
    return resized(plane, (width, height)).convert("RGB")


Box = tuple[float, ...]


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


def outline(image: Image.Image, mask: np.ndarray, colour: str, edged: bool = False) -> None:
    """Draw a line one pixel wide on a panel, around the voxels of a bool plane (x, y).

    The line runs just outside of the voxels, so that a lesion of one voxel is not hidden. With ``edged`` it has a dark
    edge, without which a grey line is hardly seen on grey tissue.
    """
    shares = resized(mask.astype(np.uint8) * 255, image.size)
    draw_outline(image, np.asarray(shares) > 127, Line(colour, edged=edged))


def draw_outline(image: Image.Image, inside: np.ndarray, line: Line) -> None:
    """Draw a line one pixel wide just outside of the pixels of a bool array (rows, columns) as large as the image.

    A dashed line alternates with black, so that it differs from a solid one by more than its colour, and is visible on
    bright as well as dark tissue. The dark edge makes a grey line visible on grey tissue.
    """
    contour = _dilated(inside) & ~inside
    if line.dashed:
        rows, columns = np.ogrid[: inside.shape[0], : inside.shape[1]]
        # no horizontal, vertical or diagonal line stays in one dash or gap
        gaps = (columns + 2 * rows) // DASH % 2 == 1
        image.paste("black", mask=_opacity(contour & gaps))
        contour &= ~gaps
    if line.edged:
        image.paste("black", mask=_opacity((_dilated(contour) & ~inside) * EDGE))
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


def rings(
    image: Image.Image,
    voxels: np.ndarray,
    shape: Sequence[int],
    colour: str,
    edged: bool = False,
) -> None:
    """Draw rings around voxels (n, 2) of a plane of ``shape`` on its panel; ``edged`` as for ``outline``."""
    offsets = np.arange(-int(RADIUS) - 3, int(RADIUS) + 4)
    distance = np.abs(np.hypot(offsets, offsets[:, None]) - RADIUS)
    layers = [(colour, _opacity(np.clip(1.2 - distance, 0, 1)))]
    if edged:
        layers.insert(0, ("black", _opacity(np.clip(2.2 - distance, 0, 1) * EDGE)))
    x, y = ((voxels + 0.5) / shape[:2] * image.size).T
    corners = np.stack([x, image.height - y], axis=1) - len(offsets) / 2
    for left, top in corners.round().astype(int).tolist():
        for layer_colour, opacity in layers:
            image.paste(layer_colour, (left, top), opacity)


def label_left(image: Image.Image) -> None:
    """Write an L at the left edge of a panel, for the left of the head."""
    position = 4, image.height // 2
    ImageDraw.Draw(image).text(
        position, "L", "white", font(TITLE_SIZE), "lm", stroke_width=1, stroke_fill="black"
    )


def sheet(
    title: str, cells: Sequence[Cell], legend: Sequence[tuple[str, tuple[int, ...]]] = ()
) -> Image.Image:
    """A title, cells in rows of COLUMNS, and a legend, on black.

    A row is as high as its text and panels need. Text that is too long is written smaller, then cut.

    Parameters
    ----------
    title
        Of the sheet.
    cells
        In reading order.
    legend
        Names and their colours (red, green and blue, 0 to 255).

    Returns
    -------
    PIL.Image.Image
        RGB, of the same width whatever is on it.
    """
    rows = [cells[n : n + COLUMNS] for n in range(0, len(cells), COLUMNS)]
    text_heights = [LINE * max(len(cell.lines) for cell in row) for row in rows]
    panel_heights = [max(cell.panel.height for cell in row) + 2 * GAP for row in rows]
    legend_height = LINE * -(-len(legend) // COLUMNS) + GAP
    width = GAP + COLUMNS * (WIDTH + GAP)
    height = HEAD + sum(text_heights) + sum(panel_heights) + legend_height
    canvas = Image.new("RGB", (width, height))
    write(canvas, (width / 2, HEAD / 2 + 5), title, TITLE_SIZE, "white", width - 2 * GAP)
    top = HEAD
    for row, text_height, panel_height in zip(rows, text_heights, panel_heights, strict=True):
        top += text_height
        for column, cell in enumerate(row):
            middle = GAP + column * (WIDTH + GAP) + WIDTH / 2
            canvas.paste(cell.panel, (int(middle - cell.panel.width / 2), top))
            for number, line in enumerate(reversed(cell.lines)):
                baseline = top - 4 - number * LINE
                write(canvas, (middle, baseline), line, TEXT_SIZE, cell.colour, WIDTH)
        top += panel_height
    for number, (name, colour) in enumerate(legend):
        left = GAP + number % COLUMNS * (WIDTH + GAP)
        bottom = top + (number // COLUMNS + 1) * LINE
        ImageDraw.Draw(canvas).rectangle((left, bottom - 12, left + 16, bottom - 4), colour)
        position = left + 22, bottom - 4
        write(canvas, position, name, TEXT_SIZE, "white", WIDTH - 22, centred=False)
    return canvas


def write(
    image: Image.Image,
    position: tuple[float, float],
    line: str,
    size: int,
    colour: str,
    width: float,
    centred: bool = True,
) -> None:
    """Write a line of text on an image.

    Parameters
    ----------
    position
        Pixels from the left, of the middle of the line or (not ``centred``) of its start, and from the top, of its
        baseline.
    size
        Font size in pixels.
    width
        Maximum length in pixels. A line that is too long is written smaller, then cut.
    """
    line, size = fitted(line, size, width)
    left, baseline = position
    if centred:
        left -= length(line, size) / 2
    draw = ImageDraw.Draw(image)
    for text, font, raised in _runs(line, size):
        draw.text((left, baseline - raised), text, colour, font, "ls")
        left += font.getlength(text)


def fitted(line: str, size: int, width: float) -> tuple[str, int]:
    """A line, cut if need be, and a font size (at most ``size``) with which it is at most ``width`` pixels long."""
    while size > SMALLEST and length(line, size) > width:
        size -= 1
    if length(line, size) <= width:
        return line, size
    cuts = (line[:end].rstrip() + "…" for end in range(len(line) - 1, -1, -1))
    return next((cut for cut in cuts if length(cut, size) <= width), ""), size


def length(line: str, size: int) -> float:
    """Length of a line in pixels."""
    return sum(font.getlength(text) for text, font, _ in _runs(line, size))


def _runs(line: str, size: int) -> Iterator[tuple[str, Any, float]]:
    """Runs of a line, each with its font and how far it is raised: Pillow's default font has no superscript three."""
    for text in re.split("(³)", line):
        yield ("3", font(0.7 * size), 0.35 * size) if text == "³" else (text, font(size), 0)


@cache
def font(size: float) -> Any:
    """Pillow's default font at a size in pixels."""
    return ImageFont.load_default(size)
