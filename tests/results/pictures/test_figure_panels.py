"""Panels, outlines, rings and text, pixel by pixel."""

import string

import numpy as np
import pytest
from PIL import Image, ImageFont

from lesionflow.results.pictures.figure_panels import (
    GAP,
    HEAD,
    LINE,
    TEXT_SIZE,
    WIDTH,
    Cell,
    fitted,
    greys,
    label_left,
    length,
    outline,
    panel,
    rings,
    sheet,
    write,
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
    assert greys(plane, 200).tolist() == [[0, 0, 127], [255, 255, 0]]
    assert greys(plane, 0).tolist() == [[0, 0, 0], [0, 0, 0]]
    assert greys(np.array([[7, 14]], np.int16), 14).tolist() == [[127, 255]]


def test_an_outline_runs_around_its_voxels():
    mask = np.zeros((3, 3), bool)
    mask[1, 1] = True
    image = panel(mask.astype(np.uint8), (1, 1))  # 68 pixels per voxel
    before = pixels(image)
    outline(image, mask, "red")
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
    outline(image, mask, "red")
    rows, columns = drawn_pixels(image)
    assert sorted(set(zip(rows.tolist(), columns.tolist(), strict=True))) == sorted(
        [(68, column) for column in range(68)] + [(row, 68) for row in range(68)]
    )


@pytest.mark.parametrize("value", [False, True])
def test_an_empty_or_full_mask_has_no_outline(value):
    image = black(40, 50)
    outline(image, np.full((4, 5), value), "red", edged=True)
    assert not pixels(image).any()


def test_the_dark_edge_is_outside_of_the_line():
    mask = np.zeros((3, 3), bool)
    mask[1, 1] = True
    image = Image.new("RGB", (204, 204), (200, 200, 200))
    outline(image, mask, "red", edged=True)
    row = pixels(image)[102, 60:72]
    assert row[:, 1].tolist() == [200] * 6 + [111] + [0] + [200] * 4  # 200 times 1 - 114 / 255
    assert (row[7] == RED).all()


def test_a_ring_is_around_its_voxel():
    image = black(204, 240)
    rings(image, np.array([[10, 20]]), (51, 60), "red")  # 4 pixels per voxel
    rows, columns = drawn_pixels(image)
    assert ((rows.min() + rows.max() + 1) / 2, (columns.min() + columns.max() + 1) / 2) == (
        pytest.approx(240 - 4 * 20.5, abs=0.5),
        pytest.approx(4 * 10.5, abs=0.5),
    )
    distance = np.hypot(rows + 0.5 - 158, columns + 0.5 - 42)
    assert distance.min() > 4 and distance.max() < 9
    assert np.ptp(rows) == np.ptp(columns) == 14  # 12.5 pixels, and half of the line on each side
    assert image.getpixel((41 + 6, 157))[0] > 200 and image.getpixel((41, 157)) == (0, 0, 0)


def test_rings_are_cut_at_the_edge_of_the_panel():
    image = black(204, 240)
    rings(image, np.zeros((0, 2), int), (51, 60), "red", edged=True)
    assert not pixels(image).any()
    rings(image, np.array([[0, 0], [50, 59]]), (51, 60), "red", edged=True)
    rows, columns = drawn_pixels(image)
    assert set(zip(rows // 120, columns // 102, strict=True)) == {(1, 0), (0, 1)}


def test_long_text_is_written_smaller_and_then_cut():
    assert fitted("slice 7", 12, 204) == ("slice 7", 12)
    line, size = fitted("23: haemorrhage p 0.93, 171234 mm³, at the edge", 12, 204)
    assert line.endswith("edge") and size < 12
    assert length(line, size) <= 204 < length(line, size + 1)
    line, size = fitted("not the largest of its label; " * 9, 12, 204)
    assert line.startswith("not the largest of its label; n") and line.endswith("…")
    assert 190 < length(line, size) <= 204
    assert fitted("words", 12, 1)[0] == ""


def test_a_line_stays_within_its_width():
    image = black(400, 40)
    write(image, (200, 25), "a very long title " * 9, 15, "white", 300)
    rows, columns = drawn_pixels(image)
    assert columns.min() >= 49 and columns.max() <= 351
    assert rows.min() >= 8 and rows.max() < 30
    image = black(400, 40)
    write(image, (100, 25), "name", 12, "red", 300, centred=False)
    assert 99 <= drawn_pixels(image)[1].min() <= 102


def test_the_font_has_all_characters_but_the_superscript_three():
    font = ImageFont.load_default(TEXT_SIZE)
    missing = bytes(font.getmask("\uffff"))
    for character in string.digits + string.ascii_letters + "-_.,:;%[]()…":
        assert bytes(font.getmask(character)) != missing, character
    assert bytes(font.getmask("³")) == missing  # so ``write`` raises a small 3


def test_the_superscript_three():
    image, plain = black(40, 40), black(40, 40)
    write(image, (5, 30), "³", 20, "white", 40, centred=False)
    write(plain, (5, 30), "3", 20, "white", 40, centred=False)
    raised, full = drawn_pixels(image)[0], drawn_pixels(plain)[0]
    assert raised.max() < 25 < full.max() and abs(int(raised.min()) - int(full.min())) <= 3
    assert np.ptp(raised) < 0.8 * np.ptp(full)
    assert length("mm³", 20) == pytest.approx(length("mm", 20) + length("3", 14), abs=1)


def test_rows_are_as_high_as_their_cells():
    low, high = black(204, 100), black(150, 240)
    cells = [Cell(low, ["a"], "red")] * 6 + [Cell(high, ["a", "b", "c"], "red")]
    image = sheet("title", cells)
    assert image.size == (1266, HEAD + (LINE + 100 + 12) + (3 * LINE + 240 + 12) + 6)
    assert sheet("title", cells[:6]).size == (1266, HEAD + (LINE + 100 + 12) + 6)


def test_text_does_not_overlap_other_cells_or_leave_the_sheet():
    lines = ["a line that is far too long for the width that it has " * 3] * 4
    image = sheet("a title without an end " * 30, [Cell(black(204, 20), lines, "red")] * 6)
    rows, columns = drawn_pixels(image)
    assert set(columns[rows >= HEAD] // (WIDTH + GAP)) == set(range(6))
    assert ((columns[rows >= HEAD] + 1) % (WIDTH + GAP) >= GAP).all()  # gaps are black
    assert columns.min() >= GAP - 1 and columns.max() <= 1266 - GAP
    assert set(rows[rows >= HEAD]) <= set(range(HEAD, HEAD + 4 * LINE))


def test_panels_are_centred_below_their_text():
    cells = [Cell(Image.new("RGB", (100, 50), "blue"), ["word"], "red")] * 3
    drawn = pixels(sheet("", cells))
    rows, columns = np.nonzero(drawn[..., 2] == 255)
    assert (rows.min(), rows.max()) == (HEAD + LINE, HEAD + LINE + 49)
    assert sorted(set(columns)) == [6 + 210 * n + 52 + k for n in range(3) for k in range(100)]
    rows, columns = np.nonzero(drawn[..., 0])
    assert rows.min() >= HEAD and rows.max() < HEAD + LINE
    assert abs(np.mean([columns.min(), columns.max()]) - (6 + 210 + 102)) < 3


def test_the_legend_has_every_colour():
    legend = [(f"structure-{n}" * (1 + n % 4), (n, 255 - n, 7)) for n in range(1, 101)]
    image = sheet("", [Cell(black(204, 100), ["a"], "red")], legend)
    top = HEAD + LINE + 100 + 12
    assert image.size == (1266, top + 17 * LINE + 6)
    for number, (_, colour) in enumerate(legend):
        position = 6 + 210 * (number % 6) + 8, top + LINE * (number // 6) + 6
        assert image.getpixel(position) == colour
    columns = drawn_pixels(image.crop((0, top, 1266, image.height)))[1]
    assert ((columns + 1) % (WIDTH + GAP) >= GAP).all()


@pytest.mark.parametrize("grey", [0, 255])
def test_the_left_label_is_readable_on_black_and_on_white(grey):
    image = Image.new("RGB", (100, 100), (grey,) * 3)
    label_left(image)
    drawn = pixels(image)[..., 0]
    rows, columns = np.nonzero(drawn != grey)
    assert columns.max() < 16 and rows.min() > 40 and rows.max() < 60
    assert drawn[40:60, :16].max() == 255 and drawn[40:60, :16].min() < 60
