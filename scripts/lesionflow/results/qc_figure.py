"""The quality-control picture of a scan: overview slices, and every lesion close up."""

from collections.abc import Mapping, Sequence
from colorsys import hsv_to_rgb
from math import gcd
from typing import Any

import numpy as np
from PIL import Image

from lesionflow.imaging.grids import bounding_box
from lesionflow.results.figure_panels import (
    COLUMNS,
    Cell,
    greys,
    mark_left,
    outline,
    panel,
    rings,
    sheet,
)

OVERVIEW_ROWS = 2
LESION_ROWS = 3
HALF_MM = 16.0  # half the side of a close-up
KEPT, DROPPED, BRAIN, SLICE = "#ff5a36", "#b0b0b0", "#4fc3f7", "#9e9e9e"
ALPHA = 0.55  # of a structure's colour


def draw_scan(
    image: np.ndarray,
    brain: np.ndarray,
    lesions: np.ndarray,
    table: Sequence[Mapping[str, Any]],
    spacing_mm: Sequence[float],
    title: str,
) -> Image.Image:
    """Picture with axial slices through the brain and a close-up of each lesion.

    Upper rows: evenly spaced axial slices with the outline of the brain mask and a ring around each
    lesion within three millimetres. Lower rows: up to 18 lesions, the most probable first, kept ones
    before dropped ones, each outlined on the slice through its middle.

    Parameters
    ----------
    image, brain, lesions : arrays (x, y, z)
        Axes running to right, anterior and superior (RAS). Pictures are drawn as seen from above:
        the left of the head is on the left (L marks it).
    table
        The scan's rows of lesions.csv (``lesion_rows.read_lesions``).
    spacing_mm
        Voxel size.
    title
        Above the picture.

    Returns
    -------
    PIL.Image.Image
        RGB.
    """
    order = sorted(table, key=lambda row: (not row["kept"], -row["max_probability"]))
    centres = _centres(lesions, [row["lesion"] for row in order])
    kept = np.array([row["kept"] for row in order], bool)
    seen = image.T[brain.T]  # in the order in which files hold voxels
    top = float(np.percentile(seen, 99.5)) if seen.size else float(image.max())

    box = _bounds(brain if brain.any() else np.ones_like(brain), margin=6)
    corner = [axis.start for axis in box[:2]]
    cells = []
    for height in _heights(box[2], COLUMNS * OVERVIEW_ROWS):
        plane = greys(_plane(image, box, height), top)
        picture = panel(plane, spacing_mm)
        outline(picture, _plane(brain, box, height), BRAIN)
        near = np.abs(centres[:, 2] - height) * spacing_mm[2] <= 3
        voxels = centres[:, :2] - corner
        rings(picture, voxels[near & ~kept], plane.shape, DROPPED, edged=True)
        rings(picture, voxels[near & kept], plane.shape, KEPT)
        cells.append(Cell(picture, [f"slice {height}"], SLICE))
    mark_left(cells[0].panel)

    for row, (x, y, z) in zip(order[: COLUMNS * LESION_ROWS], centres, strict=False):
        around = tuple(
            slice(max(int(c - HALF_MM / s), 0), min(int(c + HALF_MM / s) + 1, n))
            for c, s, n in zip((x, y), spacing_mm, image.shape, strict=False)
        )
        picture = panel(greys(_plane(image, around, z), top), spacing_mm)
        own = _plane(lesions, around, z) == row["lesion"]
        colour = KEPT if row["kept"] else DROPPED
        outline(picture, own, colour, edged=not row["kept"])
        words = "{lesion}: {label} p {max_probability:.2f}, {volume_mm3:.0f} mm³".format(**row)
        reasons = [] if row["kept"] else row["dropped_because"].split("; ")
        cells.append(Cell(picture, [words, *reasons], colour))
    return sheet(title, cells)


def draw_structures(
    image: np.ndarray,
    labels: np.ndarray,
    names: Mapping[int, str],
    spacing_mm: Sequence[float],
    title: str,
) -> Image.Image:
    """Picture with axial slices of a scan whose structures are coloured, and the colours' names.

    Parameters
    ----------
    image : array (x, y, z)
        As for ``draw_scan``.
    labels : array (x, y, z), int
        Label values; 0 is none.
    names
        Label value to name.
    spacing_mm, title
        As for ``draw_scan``.

    Returns
    -------
    PIL.Image.Image
        RGB.
    """
    colours = _colours(len(names))
    paint = np.zeros((max([*names, int(labels.max())]) + 1, 3))
    paint[list(names)] = colours
    cover = np.zeros((len(paint), 1))
    cover[list(names)] = ALPHA
    box = _bounds(labels > 0 if labels.any() else np.ones(labels.shape, bool), margin=6)
    top = float(np.percentile(image[box], 99.5))
    cells = []
    for height in _heights(box[2], COLUMNS * (OVERVIEW_ROWS + 1)):
        found = _plane(labels, box, height)
        grey = greys(_plane(image, box, height), top)[..., None]
        mixed = cover[found] * paint[found] + (1 - cover[found]) * grey
        picture = panel(mixed.round().astype(np.uint8), spacing_mm)
        cells.append(Cell(picture, [f"slice {height}"], SLICE))
    mark_left(cells[0].panel)
    return sheet(title, cells, list(zip(names.values(), map(tuple, colours.tolist()), strict=True)))


def _colours(count: int) -> np.ndarray:
    """Hues all round the circle (count, 3), 0 to 255, those of labels that follow each other far apart."""
    golden = (step for step in range(round(0.382 * count), 1, -1) if gcd(step, count) == 1)
    hues = np.arange(count) * next(golden, 1) % count / count
    return np.array([np.multiply(hsv_to_rgb(hue, 1, 1), 255) for hue in hues]).round().astype(int)


def _heights(axis: slice, count: int) -> list[int]:
    """Slices at even distances, without the first and the last."""
    return np.linspace(axis.start, axis.stop - 1, count + 2)[1:-1].round().astype(int).tolist()


def _plane(volume: np.ndarray, box: tuple[slice, ...], height: int) -> np.ndarray:
    return volume[box[0], box[1], height]


def _bounds(mask: np.ndarray, margin: int) -> tuple[slice, ...]:
    return tuple(
        slice(max(axis.start - margin, 0), min(axis.stop + margin, n))
        for axis, n in zip(bounding_box(mask), mask.shape, strict=True)
    )


def _centres(lesions: np.ndarray, numbers: Sequence[int]) -> np.ndarray:
    """Of each lesion the voxel (n, 3) that is nearest to its middle."""
    flat = lesions.T.ravel()  # in the order in which files hold voxels
    found = np.flatnonzero(flat)
    owner = flat[found]
    voxels = np.stack(np.unravel_index(found, lesions.T.shape)[::-1], axis=1)
    counts = np.maximum(np.bincount(owner), 1)
    middles = np.stack([np.bincount(owner, axis) / counts for axis in voxels.T], axis=1)
    away = ((voxels - middles[owner]) ** 2).sum(axis=1)
    order = np.lexsort((away, owner))
    first = order[np.flatnonzero(np.diff(owner[order], prepend=0))]
    nearest = dict(zip(owner[first].tolist(), voxels[first], strict=True))
    return np.array([nearest[number] for number in numbers], int).reshape(-1, 3)
