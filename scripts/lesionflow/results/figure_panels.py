"""What pictures are put together of: slices, outlines, rings and words, on a black sheet.

A plane is an axial slice of a volume, an array (x, y) whose axes run to the right and to the front of
the head. A panel is its picture as seen from above: the left of the head on the left, the front up.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

COLUMNS = 6
WIDTH, HEIGHT = 204, 240  # most pixels of a panel
GAP = 6
LINE = 14  # pixels from one line of words to the next
HEAD = 34  # pixels that the title takes
TITLE, WORDS, SMALLEST = 15, 12, 8  # sizes of type in pixels
RADIUS = 6.25  # of a ring, in pixels
EDGE = 0.45  # how dark the edge of a line is


class Cell(NamedTuple):
    """A panel, the lines of words above it, and their colour."""

    panel: Image.Image
    words: list[str]
    colour: str


def greys(plane: np.ndarray, top: float) -> np.ndarray:
    """A plane (x, y) of intensities as uint8: 0 and below are black, ``top`` and above white."""
    scaled = plane / top * 255 if top > 0 else np.zeros(plane.shape)
    return np.fmin(np.fmax(scaled, 0), 255).astype(np.uint8)  # what is no number is black


def panel(plane: np.ndarray, spacing_mm: Sequence[float]) -> Image.Image:
    """The picture of a plane, as large as WIDTH and HEIGHT allow.

    Parameters
    ----------
    plane
        Grey (x, y) or red, green and blue (x, y, 3), uint8.
    spacing_mm
        Voxel size along x and y (what follows is not looked at): voxels have these proportions.

    Returns
    -------
    PIL.Image.Image
        RGB. Voxels have sharp edges; where several share a pixel, it is their mean.
    """
    sides_mm = np.array(plane.shape[:2]) * spacing_mm[:2]
    scale = min(WIDTH / sides_mm[0], HEIGHT / sides_mm[1])
    width, height = np.maximum((sides_mm * scale).round().astype(int), 1)
    return _seen(plane).convert("RGB").resize((width, height), Image.Resampling.BOX)


def _seen(plane: np.ndarray) -> Image.Image:
    """A plane as seen from above, a pixel a voxel: a picture's rows run down, from the front."""
    return Image.fromarray(np.ascontiguousarray(plane.swapaxes(0, 1)[::-1]))


def outline(picture: Image.Image, mask: np.ndarray, colour: str, edged: bool = False) -> None:
    """Draw a line of one pixel on a panel, around the voxels of a bool plane (x, y).

    It runs along the borders of voxels, outside, so that nothing of a lesion of one voxel is hidden.
    With ``edged`` the line has a dark edge, without which grey is lost in grey tissue.
    """
    shares = _seen(mask.astype(np.uint8) * 255).resize(picture.size, Image.Resampling.BOX)
    inside = np.asarray(shares) > 127
    line = _grown(inside) & ~inside
    if edged:
        picture.paste("black", mask=_cover((_grown(line) & ~inside) * EDGE))
    picture.paste(colour, mask=_cover(line))


def _grown(mask: np.ndarray) -> np.ndarray:
    """A bool plane with the neighbours at its pixels' four sides."""
    grown = mask.copy()
    grown[1:] |= mask[:-1]
    grown[:-1] |= mask[1:]
    grown[:, 1:] |= mask[:, :-1]
    grown[:, :-1] |= mask[:, 1:]
    return grown


def _cover(share: np.ndarray) -> Image.Image:
    """How much of each pixel, from 0 to 1, a colour covers."""
    return Image.fromarray((share * 255).astype(np.uint8))


def rings(
    picture: Image.Image,
    voxels: np.ndarray,
    shape: Sequence[int],
    colour: str,
    edged: bool = False,
) -> None:
    """Draw rings on the panel of a plane of ``shape``, around voxels (n, 2) of it; ``edged`` as for ``outline``."""
    reach = np.arange(-int(RADIUS) - 3, int(RADIUS) + 4)
    away = np.abs(np.hypot(reach, reach[:, None]) - RADIUS)
    inks = [(colour, _cover(np.clip(1.2 - away, 0, 1)))]
    if edged:
        inks.insert(0, ("black", _cover(np.clip(2.2 - away, 0, 1) * EDGE)))
    across, up = ((voxels + 0.5) / shape[:2] * picture.size).T
    corners = np.stack([across, picture.height - up], axis=1) - len(reach) / 2
    for left, top in corners.round().astype(int).tolist():
        for ink, cover in inks:
            picture.paste(ink, (left, top), cover)


def mark_left(picture: Image.Image) -> None:
    """Write an L at the left edge of a panel: the left of the head."""
    place = 4, picture.height // 2
    ImageDraw.Draw(picture).text(
        place, "L", "white", _font(TITLE), "lm", stroke_width=1, stroke_fill="black"
    )


def sheet(
    title: str, cells: Sequence[Cell], legend: Sequence[tuple[str, tuple[int, ...]]] = ()
) -> Image.Image:
    """Title, cells in rows of COLUMNS, and names with their colours (red, green and blue), on black.

    A row is as high as its words and panels; words too long for their place are written smaller, then cut.

    Returns
    -------
    PIL.Image.Image
        RGB, always of the same width.
    """
    rows = [cells[n : n + COLUMNS] for n in range(0, len(cells), COLUMNS)]
    lines = [LINE * max(len(cell.words) for cell in row) for row in rows]
    tall = [max(cell.panel.height for cell in row) + 2 * GAP for row in rows]
    below = LINE * -(-len(legend) // COLUMNS) + GAP
    width, height = GAP + COLUMNS * (WIDTH + GAP), HEAD + sum(lines) + sum(tall) + below
    canvas = Image.new("RGB", (width, height))
    write(canvas, (width / 2, HEAD / 2 + 5), title, TITLE, "white", width - 2 * GAP)
    top = HEAD
    for row, above, under in zip(rows, lines, tall, strict=True):
        top += above
        for column, cell in enumerate(row):
            middle = GAP + column * (WIDTH + GAP) + WIDTH / 2
            canvas.paste(cell.panel, (int(middle - cell.panel.width / 2), top))
            for number, words in enumerate(reversed(cell.words)):
                foot = top - 4 - number * LINE
                write(canvas, (middle, foot), words, WORDS, cell.colour, WIDTH)
        top += under
    for number, (name, colour) in enumerate(legend):
        left, foot = GAP + number % COLUMNS * (WIDTH + GAP), top + (number // COLUMNS + 1) * LINE
        ImageDraw.Draw(canvas).rectangle((left, foot - 12, left + 16, foot - 4), colour)
        write(canvas, (left + 22, foot - 4), name, WORDS, "white", WIDTH - 22, middle=False)
    return canvas


def write(
    picture: Image.Image,
    place: tuple[float, float],
    words: str,
    size: int,
    colour: str,
    width: float,
    middle: bool = True,
) -> None:
    """Write a line on the picture, at most ``width`` pixels long.

    Parameters
    ----------
    place
        Pixels from the left, of the line's middle or its begin, and from the top, of its foot.
    size
        Of the type in pixels. A line that is too long is written smaller, then cut.
    """
    words, size = fitted(words, size, width)
    left, foot = place
    if middle:
        left -= length(words, size) / 2
    draw = ImageDraw.Draw(picture)
    for text, font, lift in _pieces(words, size):
        draw.text((left, foot - lift), text, colour, font, "ls")
        left += font.getlength(text)


def fitted(words: str, size: int, width: float) -> tuple[str, int]:
    """Words and a size of type (at most ``size``) with which they are no longer than ``width`` pixels."""
    while size > SMALLEST and length(words, size) > width:
        size -= 1
    if length(words, size) <= width:
        return words, size
    cuts = (words[:end].rstrip() + "…" for end in range(len(words) - 1, -1, -1))
    return next((cut for cut in cuts if length(cut, size) <= width), ""), size


def length(words: str, size: int) -> float:
    """Of a line, in pixels."""
    return sum(font.getlength(text) for text, font, _ in _pieces(words, size))


def _pieces(words: str, size: int) -> Iterator[tuple[str, Any, float]]:
    """Parts of a line, their fonts and how far they are lifted: Pillow's font lacks the raised three."""
    for text in re.split("(³)", words):
        yield ("3", _font(0.7 * size), 0.35 * size) if text == "³" else (text, _font(size), 0)


@cache
def _font(size: float) -> Any:
    return ImageFont.load_default(size)
