"""The quality-control figure of a scan: overview slices, and a close-up of each lesion."""

from collections.abc import Mapping, Sequence
from colorsys import hsv_to_rgb
from math import gcd
from typing import Any

import nibabel as nib
import numpy as np
from PIL import Image

from lesionflow.base.label_channels import decides_by_argmax
from lesionflow.imaging.grids import bounding_box
from lesionflow.results.pictures.figure_panels import (
    COLUMNS,
    DROPPED,
    KEPT,
    Cell,
    greys,
    label_left,
    outline,
    panel,
    rings,
    sheet,
)

OVERVIEW_ROWS = 2
LESION_ROWS = 3
HALF_MM = 16.0  # half the side of a close-up
BRAIN, SLICE = "#4fc3f7", "#9e9e9e"
OPACITY = 0.55  # of the colour of a structure


def shows_structures(output: Mapping[str, Any]) -> bool:
    """Whether the figure of a model with this ``output`` shows structures (softmax over several labels) or lesions."""
    return decides_by_argmax(output["activation"], len(output["labels"]))


def structure_figure(
    name: str,
    image: nib.Nifti1Image,
    labels: nib.Nifti1Image,
    names: Mapping[int, str],
    flags: str = "",
) -> Image.Image:
    """Figure of a scan and its structures: ``draw_structures`` with their number in the title.

    Parameters
    ----------
    name
        Start of the title.
    image, labels
        Reference channel and label map on one grid, axes in any order.
    names
        Name of each structure by its label value.
    flags
        Of the scan, for the title.
    """
    values = _canonical(labels)
    present = np.count_nonzero(np.bincount(values.ravel("K"))[1:])
    title = _title(name, f"{present} of {len(names)} structures found", flags)
    return draw_structures(_canonical(image), values, names, _spacing(image), title)


def lesion_figure(
    name: str,
    image: nib.Nifti1Image,
    brain: nib.Nifti1Image,
    lesion_map: nib.Nifti1Image,
    lesions: Sequence[Mapping[str, Any]],
    flags: str = "",
) -> Image.Image:
    """Figure of a scan and its lesions: ``draw_lesions`` with their number in the title.

    Parameters
    ----------
    name
        Start of the title.
    image, brain, lesion_map
        Reference channel, brain mask and lesion numbers on one grid, axes in any order.
    lesions
        Rows of the scan's lesion table (``tables_io.read_lesions``).
    flags
        Of the scan, for the title.
    """
    kept = sum(row["kept"] for row in lesions)
    title = _title(name, f"{kept} lesions kept, {len(lesions) - kept} dropped", flags)
    arrays = _canonical(image), _canonical(brain) > 0, _canonical(lesion_map)
    return draw_lesions(*arrays, lesions, _spacing(image), title)


def _title(name: str, summary: str, flags: str) -> str:
    return f"{name}: {summary}" + (f" [{flags}]" if flags else "")


def _spacing(image: nib.Nifti1Image) -> tuple[float, ...]:
    """Voxel size in mm of an image with its axes in RAS order."""
    return nib.as_closest_canonical(image).header.get_zooms()[:3]


def _canonical(image: nib.Nifti1Image) -> np.ndarray:
    """Data of an image with its axes in RAS order."""
    return np.asanyarray(nib.as_closest_canonical(image).dataobj)


def draw_lesions(
    image: np.ndarray,
    brain: np.ndarray,
    lesion_map: np.ndarray,
    lesions: Sequence[Mapping[str, Any]],
    spacing_mm: Sequence[float],
    title: str,
) -> Image.Image:
    """Figure with axial slices through the brain and a close-up of each lesion.

    Upper rows: evenly spaced axial slices with the outline of the brain mask and a ring around each lesion whose centre
    is within 3 mm. Lower rows: up to 18 lesions, each outlined on the slice through its centre: kept ones before
    dropped ones, the most probable first.

    Parameters
    ----------
    image, brain, lesion_map : arrays (x, y, z)
        Intensities, brain mask and lesion numbers. Axes run to the right, anterior and superior (RAS). Slices are
        drawn as seen from above: the left of the head is on the left, labelled L.
    lesions
        Rows of the scan's lesion table (``tables_io.read_lesions``).
    spacing_mm
        Voxel size.
    title
        Of the figure.

    Returns
    -------
    PIL.Image.Image
        RGB.
    """
    order = sorted(lesions, key=lambda row: (not row["kept"], -row["max_probability"]))
    centres = central_voxels(lesion_map, [row["lesion"] for row in order])
    kept = np.array([row["kept"] for row in order], bool)
    inside = image.T[brain.T]  # transposed: fast, in the order of voxels in a file
    white = float(np.percentile(inside, 99.5)) if inside.size else float(image.max())

    box = _bounds(brain if brain.any() else np.ones_like(brain), margin=6)
    corner = [axis.start for axis in box[:2]]
    cells = []
    for z in _slices(box[2], COLUMNS * OVERVIEW_ROWS):
        plane = greys(_plane(image, box, z), white)
        panel_image = panel(plane, spacing_mm)
        outline(panel_image, _plane(brain, box, z), BRAIN)
        near = np.abs(centres[:, 2] - z) * spacing_mm[2] <= 3
        voxels = centres[:, :2] - corner
        rings(panel_image, voxels[near & ~kept], plane.shape, DROPPED, edged=True)
        rings(panel_image, voxels[near & kept], plane.shape, KEPT)
        cells.append(Cell(panel_image, [f"slice {z}"], SLICE))
    label_left(cells[0].panel)

    for row, (x, y, z) in zip(order[: COLUMNS * LESION_ROWS], centres, strict=False):
        around = tuple(
            slice(max(int(c - HALF_MM / s), 0), min(int(c + HALF_MM / s) + 1, n))
            for c, s, n in zip((x, y), spacing_mm, image.shape, strict=False)
        )
        panel_image = panel(greys(_plane(image, around, z), white), spacing_mm)
        lesion = _plane(lesion_map, around, z) == row["lesion"]
        colour = KEPT if row["kept"] else DROPPED
        outline(panel_image, lesion, colour, edged=not row["kept"])
        caption = "{lesion}: {label} p {max_probability:.2f}, {volume_mm3:.0f} mm³".format(**row)
        reasons = [] if row["kept"] else row["dropped_because"].split("; ")
        cells.append(Cell(panel_image, [caption, *reasons], colour))
    return sheet(title, cells)


def draw_structures(
    image: np.ndarray,
    labels: np.ndarray,
    names: Mapping[int, str],
    spacing_mm: Sequence[float],
    title: str,
) -> Image.Image:
    """Figure with axial slices of a scan, its structures in colour, and a legend.

    Parameters
    ----------
    image : array (x, y, z)
        As for ``draw_lesions``.
    labels : array (x, y, z), int
        Label values, 0 for none.
    names
        Name of each structure by its label value.
    spacing_mm, title
        As for ``draw_lesions``.

    Returns
    -------
    PIL.Image.Image
        RGB.
    """
    colours = distinct_colours(len(names))
    paint = np.zeros((max([*names, int(labels.max())]) + 1, 3))
    paint[list(names)] = colours
    opacity = np.zeros((len(paint), 1))
    opacity[list(names)] = OPACITY
    box = _bounds(labels > 0 if labels.any() else np.ones(labels.shape, bool), margin=6)
    white = float(np.percentile(image[box], 99.5))
    cells = []
    for z in _slices(box[2], COLUMNS * (OVERVIEW_ROWS + 1)):
        values = _plane(labels, box, z)
        grey = greys(_plane(image, box, z), white)[..., None]
        mixed = opacity[values] * paint[values] + (1 - opacity[values]) * grey
        panel_image = panel(mixed.round().astype(np.uint8), spacing_mm)
        cells.append(Cell(panel_image, [f"slice {z}"], SLICE))
    label_left(cells[0].panel)
    return sheet(title, cells, list(zip(names.values(), map(tuple, colours.tolist()), strict=True)))


def distinct_colours(count: int) -> np.ndarray:
    """Colours (count, 3), red, green and blue from 0 to 255: evenly spaced hues, far apart for consecutive labels."""
    golden = (step for step in range(round(0.382 * count), 1, -1) if gcd(step, count) == 1)
    hues = np.arange(count) * next(golden, 1) % count / count
    return np.array([np.multiply(hsv_to_rgb(hue, 1, 1), 255) for hue in hues]).round().astype(int)


def _slices(axis: slice, count: int) -> list[int]:
    """Indices of evenly spaced slices, without the first and the last of the range."""
    return np.linspace(axis.start, axis.stop - 1, count + 2)[1:-1].round().astype(int).tolist()


def _plane(volume: np.ndarray, box: tuple[slice, ...], z: int) -> np.ndarray:
    return volume[box[0], box[1], z]


def _bounds(mask: np.ndarray, margin: int) -> tuple[slice, ...]:
    return tuple(
        slice(max(axis.start - margin, 0), min(axis.stop + margin, n))
        for axis, n in zip(bounding_box(mask), mask.shape, strict=True)
    )


def central_voxels(lesion_map: np.ndarray, numbers: Sequence[int]) -> np.ndarray:
    """The voxel (n, 3) of each lesion that is nearest to its centroid.

    Parameters
    ----------
    lesion_map : array (x, y, z), int
        Lesion numbers, 0 for none.
    numbers
        Of the lesions that are asked for.

    Raises
    ------
    KeyError
        If a lesion has no voxel.
    """
    flat = lesion_map.T.ravel()  # transposed: fast, in the order of voxels in a file
    inside = np.flatnonzero(flat)
    lesion = flat[inside]
    voxels = np.stack(np.unravel_index(inside, lesion_map.T.shape)[::-1], axis=1)
    counts = np.maximum(np.bincount(lesion), 1)
    centroids = np.stack([np.bincount(lesion, axis) / counts for axis in voxels.T], axis=1)
    distance = ((voxels - centroids[lesion]) ** 2).sum(axis=1)
    order = np.lexsort((distance, lesion))
    first = order[np.flatnonzero(np.diff(lesion[order], prepend=0))]
    nearest = dict(zip(lesion[first].tolist(), voxels[first], strict=True))
    return np.array([nearest[number] for number in numbers], int).reshape(-1, 3)
