"""Slices through the whole brain, with the outlines of the lesions that lie in them."""

from collections.abc import Collection

import numpy as np
from PIL import Image, ImageDraw

from lesionflow.imaging.grids import bounding_box
from lesionflow.results.pictures.figure_panels import (
    BRAIN,
    Line,
    covered_pixels,
    draw_outline,
    greys,
    panel,
)
from lesionflow.results.pictures.lesion_views import LINES
from lesionflow.results.pictures.text import font
from lesionflow.results.pictures.viewed_scan import Plane, ViewedScan, slice_of

MARGIN_MM = 6.0  # around the brain
NUMBER = 11  # font size in pixels
SLICE = "#9e9e9e"  # colour of the number of a slice

Rectangle = tuple[int, int, int, int]  # left, top, right, bottom


def margin_box(mask: np.ndarray, scan: ViewedScan) -> tuple[slice, ...]:
    """Box around a mask in RAS order, with a margin; around everything if the mask is empty."""
    if not mask.any():
        return tuple(slice(0, n) for n in mask.shape)
    margins = np.ceil(MARGIN_MM / scan.spacing_mm).astype(int).tolist()
    return tuple(
        slice(max(axis.start - margin, 0), min(axis.stop + margin, n))
        for axis, margin, n in zip(bounding_box(mask), margins, mask.shape, strict=True)
    )


def slice_indices(axis: slice, count: int) -> list[int]:
    """Indices of evenly spaced slices, without the first and the last of the range."""
    return np.linspace(axis.start, axis.stop - 1, count + 2)[1:-1].round().astype(int).tolist()


def overview_panel(
    scan: ViewedScan,
    brain: np.ndarray,
    box: tuple[slice, ...],
    plane: Plane,
    index: int,
    kept: Collection[int],
    size: tuple[int, int],
    numbered: bool = True,
) -> Image.Image:
    """A slice with the outlines of the brain mask and of the lesions that have voxels in it.

    Parameters
    ----------
    scan
        The scan and its lesions.
    brain : array (x, y, z), bool
        Brain mask in RAS order.
    box
        What is shown of the slice, in RAS order.
    plane, index
        The slice.
    kept
        Numbers of the kept lesions. They have a solid outline; that of the others is dashed.
    size
        Largest width and height in pixels.
    numbered
        Whether the number of a lesion is written beside it, in brackets if it is dropped, where there is room.
    """
    spacing = scan.spacing_mm[[plane.right, plane.up]]
    grey = greys(slice_of(scan.image, plane, index, box), scan.window)
    image = panel(grey, spacing, size)
    inside = covered_pixels(slice_of(brain, plane, index, box), image.size)
    draw_outline(image, inside, Line(BRAIN))
    numbers = slice_of(scan.lesions, plane, index, box)
    present = np.unique(numbers[numbers > 0]).tolist()
    occupied: dict[int, Rectangle] = {}
    for is_kept in (False, True):
        of_kind = [number for number in present if (number in kept) == is_kept]
        if of_kind:
            mask = covered_pixels(np.isin(numbers, of_kind), image.size)
            draw_outline(image, mask, LINES[is_kept])
    if numbered:
        for number in present:
            rows, columns = np.nonzero(covered_pixels(numbers == number, image.size))
            occupied[number] = (
                *(int(columns.min()) - 1, int(rows.min()) - 1),
                *(int(columns.max()) + 2, int(rows.max()) + 2),
            )
        _write_numbers(image, occupied, kept)
    return image


def _write_numbers(
    image: Image.Image, lesions: dict[int, Rectangle], kept: Collection[int]
) -> None:
    """Write the number of each lesion beside its rectangle, unless something else is there on all four sides."""
    draw, taken = ImageDraw.Draw(image), list(lesions.values())
    for number, (left, top, right, bottom) in lesions.items():
        is_kept = number in kept
        text = str(number) if is_kept else f"({number})"
        width, height = round(font(NUMBER).getlength(text)), NUMBER - 2
        middle, centre = (top + bottom - height) // 2, (left + right - width) // 2
        places = (right + 2, middle), (left - 2 - width, middle), (centre, top - 2 - height)
        for x, y in (*places, (centre, bottom + 2)):
            place = (x - 1, y - 1, x + width + 1, y + height + 1)
            if _is_free(place, taken, image.size):
                taken.append(place)
                colour = LINES[is_kept].colour
                draw.text(
                    (x, y), text, colour, font(NUMBER), "lt", stroke_width=1, stroke_fill="black"
                )
                break


def _is_free(place: Rectangle, taken: list[Rectangle], size: tuple[int, int]) -> bool:
    left, top, right, bottom = place
    inside = left >= 0 and top >= 0 and right <= size[0] and bottom <= size[1]
    return inside and not any(
        left < other[2] and other[0] < right and top < other[3] and other[1] < bottom
        for other in taken
    )
