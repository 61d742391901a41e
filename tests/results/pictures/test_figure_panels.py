"""Panels and outlines, pixel by pixel."""

import numpy as np
import pytest
from PIL import Image

from lesionflow.results.pictures.figure_panels import (
    Line,
    covered_pixels,
    draw_outline,
    greys,
    label_left,
    panel,
)

RED = (255, 0, 0)


def black(width, height):
    """A black image."""
    return Image.new("RGB", (width, height))


def pixels(image):
    return np.asarray(image).astype(int)


def drawn_pixels(image):
    """Rows and columns of the pixels that are not black."""
    return np.nonzero(pixels(image).any(axis=2))


def test_left_of_the_head_is_on_the_left_and_the_front_at_the_top():
    plane = np.array([[10, 20], [30, 40]], np.uint8)  # (x, y): left back, left front; right ...
    image = panel(plane, (1, 1))
    assert image.size == (204, 204)
    corners = [(0, 0), (203, 0), (0, 203), (203, 203)]
    assert [image.getpixel(corner)[0] for corner in corners] == [20, 40, 10, 30]
    assert set(pixels(image).ravel()) == {
        10,
        20,
        30,
        40,
    }  # no value in between: voxels have sharp edges
    assert [image.getpixel(place)[0] for place in ((101, 101), (102, 102))] == [20, 30]


@pytest.mark.parametrize(
    ("shape", "spacing", "size"),
    [
        ((10, 5), (1, 3, 9), (160, 240)),  # 10 x 15 mm: maximum height
        ((20, 5), (0.5, 2, 1), (204, 204)),  # 10 x 10 mm
        ((40, 10), (1, 2, 1), (204, 102)),  # 40 x 20 mm: maximum width
        ((1, 400), (0.1, 1, 1), (1, 240)),  # at least one pixel
    ],
)
def test_voxels_keep_their_proportions(shape, spacing, size):
    assert panel(np.zeros(shape, np.uint8), spacing).size == size
    assert panel(np.zeros((*shape, 3), np.uint8), spacing).size == size


def test_a_pixel_that_covers_several_voxels_is_their_mean():
    plane = np.zeros((408, 408), np.uint8)
    plane[::2] = 200
    assert set(pixels(panel(plane, (1, 1))).ravel()) == {100}


def test_greys():
    plane = np.array([[-5, 0, 100], [200, 400, np.nan]])
    assert greys(plane, (0, 200)).tolist() == [[0, 0, 127], [255, 255, 0]]
    assert greys(plane, (-100, 200)).tolist() == [[80, 85, 170], [255, 255, 0]]
    assert greys(plane, (0, 0)).tolist() == [[0, 0, 0], [0, 0, 0]]
    assert greys(np.array([[7, 14]], np.int16), (0, 14)).tolist() == [[127, 255]]


def outlined(image, mask, line):
    """Outline the voxels of a plane on its panel."""
    draw_outline(image, covered_pixels(mask, image.size), line)


def test_an_outline_runs_around_its_voxels():
    mask = np.zeros((3, 3), bool)
    mask[1, 1] = True
    image = panel(mask.astype(np.uint8), (1, 1))  # 68 pixels per voxel
    before = pixels(image)
    outlined(image, mask, Line("red"))
    drawn = (pixels(image) != before).any(axis=2)
    expected = np.zeros((204, 204), bool)
    expected[67, 68:136] = expected[136, 68:136] = True
    expected[68:136, 67] = expected[68:136, 136] = True
    assert (drawn == expected).all()
    assert (pixels(image)[drawn] == RED).all()


def test_an_outline_is_not_drawn_at_the_edge_of_the_panel():
    mask = np.zeros((3, 3), bool)
    mask[0, 2] = True  # left, front
    image = black(204, 204)
    outlined(image, mask, Line("red"))
    rows, columns = drawn_pixels(image)
    assert sorted(set(zip(rows.tolist(), columns.tolist(), strict=True))) == sorted(
        [(68, column) for column in range(68)] + [(row, 68) for row in range(68)]
    )


@pytest.mark.parametrize("value", [False, True])
def test_an_empty_or_full_mask_has_no_outline(value):
    image = black(40, 50)
    outlined(image, np.full((4, 5), value), Line("red", dashed=True))
    assert not pixels(image).any()


def test_a_dashed_line_alternates_with_black_in_every_direction():
    for angle in np.arange(0, 180, 15):
        x, y = np.meshgrid(np.arange(200) - 100, np.arange(200) - 100)
        inside = x * np.sin(np.radians(angle)) > y * np.cos(np.radians(angle))
        image = Image.new("RGB", (200, 200), (100, 100, 100))
        draw_outline(image, inside, Line("#e0e0e0", dashed=True))
        values = pixels(image)[..., 0]
        bright, dark = (values == 0xE0).sum(), (values == 0).sum()
        assert bright + dark == (values != 100).sum() > 190
        assert 0.25 < bright / (bright + dark) < 0.75 or angle in (150, 165)


def test_a_line_can_be_faint():
    mask = np.zeros((3, 3), bool)
    mask[1, 1] = True
    image = Image.new("RGB", (204, 204), (100, 100, 100))
    outlined(image, mask, Line("white", opacity=0.4))
    assert set(pixels(image).ravel()) == {100, 162}  # 100 + 155 times 102 / 255


@pytest.mark.parametrize("pixels_aside", [5, 50, 99])
def test_no_voxel_is_too_small_to_cover_a_pixel(pixels_aside):
    for voxel in range(200):  # also those whose centre lies between two pixels
        mask = np.zeros((200, 200), bool)
        mask[voxel, 199 - voxel] = True
        rows, columns = np.nonzero(covered_pixels(mask, (pixels_aside, pixels_aside)))
        place = (voxel + 0.5) / 200 * pixels_aside - 0.5
        assert columns.size and np.abs(columns - place).max() <= 1
        assert np.abs(rows - place).max() <= 1


def test_only_voxels_in_the_box_are_covered():
    mask = np.zeros((10, 10), bool)
    mask[2, 3] = mask[9, 9] = True
    rows, columns = np.nonzero(covered_pixels(mask, (20, 20), (1.5, 2.5, 6.5, 7.5)))
    # 4 pixels per voxel: 2.0 to 6.0 from the left, 2.0 to 6.0 from below
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (2, 5, 14, 17)


@pytest.mark.parametrize("grey", [0, 255])
def test_the_left_label_is_readable_on_black_and_on_white(grey):
    image = Image.new("RGB", (100, 100), (grey,) * 3)
    label_left(image)
    drawn = pixels(image)[..., 0]
    rows, columns = np.nonzero(drawn != grey)
    assert columns.max() < 16 and rows.min() > 40 and rows.max() < 60
    assert drawn[40:60, :16].max() == 255 and drawn[40:60, :16].min() < 60
