"""Text in pictures."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from PIL import Image, ImageDraw, ImageFont

SMALLEST = 8  # font size in pixels


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
