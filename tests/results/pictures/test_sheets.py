"""Sheets: where text, panels and the legend are."""

import numpy as np
from PIL import Image

from lesionflow.results.pictures.figure_panels import WIDTH
from lesionflow.results.pictures.sheets import GAP, HEAD, LINE, Cell, in_rows, sheet


def black(width, height):
    """A black image."""
    return Image.new("RGB", (width, height))


def pixels(image):
    return np.asarray(image).astype(int)


def drawn_pixels(image):
    """Rows and columns of the pixels that are not black."""
    return np.nonzero(pixels(image).any(axis=2))


def test_rows_are_as_high_as_their_cells():
    low, high = black(204, 100), black(150, 240)
    cells = [Cell(low, ["a"], "red")] * 6 + [Cell(high, ["a", "b", "c"], "red")]
    image = sheet("title", in_rows(cells))
    assert image.size == (1266, HEAD + (LINE + 100 + 12) + (3 * LINE + 240 + 12) + 6)
    assert sheet("title", in_rows(cells[:6])).size == (1266, HEAD + (LINE + 100 + 12) + 6)


def test_text_does_not_overlap_other_cells_or_leave_the_sheet():
    lines = ["a line that is far too long for the width that it has " * 3] * 4
    image = sheet("a title without an end " * 30, in_rows([Cell(black(204, 20), lines, "red")] * 6))
    rows, columns = drawn_pixels(image)
    assert set(columns[rows >= HEAD] // (WIDTH + GAP)) == set(range(6))
    assert ((columns[rows >= HEAD] + 1) % (WIDTH + GAP) >= GAP).all()  # gaps are black
    assert columns.min() >= GAP - 1 and columns.max() <= 1266 - GAP
    assert set(rows[rows >= HEAD]) <= set(range(HEAD, HEAD + 4 * LINE))


def test_panels_are_centred_below_their_text():
    cells = [Cell(Image.new("RGB", (100, 50), "blue"), ["word"], "red")] * 3
    drawn = pixels(sheet("", in_rows(cells)))
    rows, columns = np.nonzero(drawn[..., 2] == 255)
    assert (rows.min(), rows.max()) == (HEAD + LINE, HEAD + LINE + 49)
    assert sorted(set(columns)) == [6 + 210 * n + 52 + k for n in range(3) for k in range(100)]
    rows, columns = np.nonzero(drawn[..., 0])
    assert rows.min() >= HEAD and rows.max() < HEAD + LINE
    assert abs(np.mean([columns.min(), columns.max()]) - (6 + 210 + 102)) < 3


def test_the_legend_has_every_colour():
    legend = [(f"structure-{n}" * (1 + n % 4), (n, 255 - n, 7)) for n in range(1, 101)]
    image = sheet("", in_rows([Cell(black(204, 100), ["a"], "red")]), legend=legend)
    top = HEAD + LINE + 100 + 12
    assert image.size == (1266, top + 17 * LINE + 6)
    for number, (_, colour) in enumerate(legend):
        position = 6 + 210 * (number % 6) + 8, top + LINE * (number // 6) + 6
        assert image.getpixel(position) == colour
    columns = drawn_pixels(image.crop((0, top, 1266, image.height)))[1]
    assert ((columns + 1) % (WIDTH + GAP) >= GAP).all()


def test_notes_are_below_the_title_and_rows_can_have_fewer_columns():
    cells = in_rows([Cell(Image.new("RGB", (414, 50), "blue"), ["word"], "red")] * 4, columns=3)
    drawn = pixels(sheet("", cells, ["a note", "another note"]))
    rows, columns = np.nonzero(drawn[..., 2] == 255)
    top = HEAD + 2 * LINE + LINE
    assert sorted(set(rows)) == [top + k for k in (*range(50), *range(76, 126))]
    assert sorted(set(columns)) == [6 + 420 * n + k for n in range(3) for k in range(414)]
    notes = drawn[HEAD : HEAD + 2 * LINE].any(axis=(1, 2))
    assert notes[:LINE].any() and notes[LINE:].any() and not drawn[:HEAD].any()
