"""The figure of structures: their colours, places and legend."""

import numpy as np
import pytest

from lesionflow.results.pictures.figure_panels import WIDTH
from lesionflow.results.pictures.sheets import GAP, HEAD, LINE
from lesionflow.results.pictures.structure_figure import distinct_colours, structure_figure
from lesionflow.results.pictures.viewed_scan import ViewedScan

SHAPE = (40, 50, 30)  # a panel of 192 x 240 pixels: 4.8 per voxel of 1 mm
ROW = LINE + 240 + 2 * GAP


def overview(figure, number):
    """Pixels (rows, columns, 3) of a panel."""
    left = GAP + number % 6 * (WIDTH + GAP) + (WIDTH - 192) // 2
    top = HEAD + number // 6 * ROW + LINE
    return np.asarray(figure.crop((left, top, left + 192, top + 240))).astype(int)


BLOCKS = np.zeros(SHAPE, np.uint8)
BLOCKS[5:20, 5:25] = 1  # left back
BLOCKS[20:35, 5:25] = 5  # right back
BLOCKS[5:20, 25:45] = 9  # left front


def structures(image, labels, names, spacing=(1, 1, 1)):
    """The figure, and its eighth panel: 40 x 50 voxels in 192 x 240 pixels."""
    scan = ViewedScan.from_stored(image, labels, np.diag([*spacing, 1]), (0, image.max()))
    figure = structure_figure("title", scan, names)
    return figure, overview(figure, 7)


def legend(figure, count):
    """Colours of the legend."""
    lines = -(-count // 6)
    places = [
        (GAP + n % 6 * (WIDTH + GAP) + 8, figure.height - GAP - LINE * lines + n // 6 * LINE + 6)
        for n in range(count)
    ]
    return [figure.getpixel(place) for place in places]


def test_structures_have_the_colours_of_the_legend():
    names = {1: "left-back", 5: "right-back", 7: "absent"}
    figure, pixels = structures(np.zeros(SHAPE, np.float32), BLOCKS, names)
    colours = legend(figure, 3)
    assert len(set(colours)) == 3
    mixed = [tuple(round(0.55 * channel) for channel in colour) for colour in colours]
    assert tuple(pixels[180, 60]) == mixed[0]  # back is down
    assert tuple(pixels[180, 140]) == mixed[1]
    assert not pixels[60].any()  # a label without a name
    assert not pixels[235].any()  # no label
    bright = structures(np.full(SHAPE, 9, np.float32), BLOCKS, names)[1]
    assert tuple(bright[180, 60]) == tuple(
        round(0.55 * channel + 0.45 * 255) for channel in colours[0]
    )
    assert (bright[60] == 255).all()


@pytest.mark.parametrize("count", [1, 2, 7, 33, 100])
def test_every_structure_is_in_the_legend(count):
    names = {n: f"Left-Cerebellum-White-Matter-{n}" for n in range(1, count + 1)}
    figure, _ = structures(np.zeros(SHAPE, np.float32), BLOCKS, names)
    assert figure.size == (1266, HEAD + 3 * ROW + -(-count // 6) * LINE + GAP)
    colours = legend(figure, count)
    assert len(set(colours)) == count
    assert all(max(colour) == 255 and min(colour) == 0 for colour in colours)
    assert colours[0] == (255, 0, 0)


@pytest.mark.parametrize("count", [7, 14, 33, 100])
def test_consecutive_labels_have_different_colours(count):
    colours = distinct_colours(count)
    assert np.abs(np.diff(colours, axis=0)).max(axis=1).min() > 200


def test_without_a_structure_the_whole_scan_is_shown():
    figure, pixels = structures(np.full(SHAPE, 3.0), np.zeros(SHAPE, np.int16), {1: "a"})
    assert (pixels == 255).all()
    assert figure.height == HEAD + 3 * ROW + LINE + GAP
