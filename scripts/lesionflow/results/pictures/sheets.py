"""A sheet: lines of text, panels with captions in rows, and a legend, on black."""

from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw

from lesionflow.results.pictures.figure_panels import WIDTH
from lesionflow.results.pictures.text import write

COLUMNS = 6
GAP = 6
LINE = 14  # pixels from one line of text to the next
HEAD = 34  # height of the title, in pixels
TITLE_SIZE, TEXT_SIZE = 15, 12  # font sizes in pixels
NOTE = "#c8c8c8"  # colour
SHEET_WIDTH = GAP + COLUMNS * (WIDTH + GAP)


class Cell(NamedTuple):
    """A panel, the lines of text above it, and the colour of the text."""

    panel: Image.Image
    lines: list[str]
    colour: str


class Row(NamedTuple):
    """Cells side by side, and how many have room."""

    cells: Sequence[Cell]
    columns: int


def in_rows(cells: Sequence[Cell], columns: int = COLUMNS) -> list[Row]:
    """Cells in rows of ``columns``, in reading order."""
    return [Row(cells[n : n + columns], columns) for n in range(0, len(cells), columns)]


def cell_width(columns: int) -> int:
    """Largest width in pixels of a panel in a row of ``columns`` cells."""
    return (SHEET_WIDTH - GAP) // columns - GAP


def sheet(
    title: str,
    rows: Sequence[Row],
    notes: Sequence[str] = (),
    legend: Sequence[tuple[str, tuple[int, ...]]] = (),
) -> Image.Image:
    """A title, notes, rows of cells, and a legend, on black.

    A row is as high as its text and panels need. Text that is too long is written smaller, then cut.

    Parameters
    ----------
    title
        Of the sheet.
    rows
        Cells in reading order, from ``in_rows``.
    notes
        Lines below the title.
    legend
        Names and their colours (red, green and blue, 0 to 255).

    Returns
    -------
    PIL.Image.Image
        RGB, of the same width whatever is on it.
    """
    text_heights = [LINE * max(len(cell.lines) for cell in row.cells) for row in rows]
    panel_heights = [max(cell.panel.height for cell in row.cells) + 2 * GAP for row in rows]
    legend_height = LINE * -(-len(legend) // COLUMNS) + GAP
    top = HEAD + LINE * len(notes)
    canvas = Image.new(
        "RGB", (SHEET_WIDTH, top + sum(text_heights) + sum(panel_heights) + legend_height)
    )
    longest = SHEET_WIDTH - 2 * GAP
    write(canvas, (SHEET_WIDTH / 2, HEAD / 2 + 5), title, TITLE_SIZE, "white", longest)
    for number, note in enumerate(notes):
        baseline = HEAD + (number + 1) * LINE - 4
        write(canvas, (SHEET_WIDTH / 2, baseline), note, TEXT_SIZE, NOTE, longest)
    for row, text_height, panel_height in zip(rows, text_heights, panel_heights, strict=True):
        top += text_height
        width = cell_width(row.columns)
        for column, cell in enumerate(row.cells):
            middle = GAP + column * (width + GAP) + width / 2
            canvas.paste(cell.panel, (int(middle - cell.panel.width / 2), top))
            for number, line in enumerate(reversed(cell.lines)):
                baseline = top - 4 - number * LINE
                write(canvas, (middle, baseline), line, TEXT_SIZE, cell.colour, width)
        top += panel_height
    for number, (name, colour) in enumerate(legend):
        left = GAP + number % COLUMNS * (WIDTH + GAP)
        bottom = top + (number // COLUMNS + 1) * LINE
        ImageDraw.Draw(canvas).rectangle((left, bottom - 12, left + 16, bottom - 4), colour)
        position = left + 22, bottom - 4
        write(canvas, position, name, TEXT_SIZE, "white", WIDTH - 22, centred=False)
    return canvas
