"""The quality-control figure of a scan: slices of an overview, and each lesion in three planes, on as many pages as it takes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from lesionflow.results.pictures.figure_panels import HEIGHT, WIDTH, label_left
from lesionflow.results.pictures.lesion_views import LINES, SIZE, lesion_views
from lesionflow.results.pictures.overview import SLICE, margin_box, overview_panel, slice_indices
from lesionflow.results.pictures.sheets import COLUMNS, LINE, TEXT_SIZE, Cell, Row, in_rows, sheet
from lesionflow.results.pictures.text import write
from lesionflow.results.pictures.viewed_scan import PLANES, ViewedScan, place

OVERVIEW_ROWS = 2
LESIONS_ABREAST = 3
FIRST, LATER = 12, 24  # lesions on the first page and on each later one
MOST = 1000  # lesions that are shown of one scan
BETWEEN = 4  # pixels between the three planes of a lesion
LEGEND = (
    "Solid line: kept lesion. Dashed line, number in brackets: dropped lesion. Blue: brain mask. Thin white line: another lesion. "
    "Slices count from 0 as stored; x, y, z: voxel at the peak (RAS+)."
)


def by_importance(lesions: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Rows of the lesion table, the kept lesions before the dropped ones, the most probable first."""
    return sorted(lesions, key=lambda row: (not row["kept"], -row["max_probability"]))


def lesion_pages(
    name: str,
    scan: ViewedScan,
    brain: np.ndarray,
    lesions: Sequence[Mapping[str, Any]],
    flags: str = "",
    pages_file: str = "the PDF",
) -> list[Image.Image]:
    """Pages with slices of a scan and each of its lesions in three planes.

    The first page begins with evenly spaced axial slices with the outline of the brain mask and those of the lesions
    that have voxels in them. Then follow all lesions, kept ones before dropped ones, the most probable first, through
    their peaks. Of more than ``MOST`` lesions the pages show the first, and say how many are left out.

    Parameters
    ----------
    name
        Start of the title.
    scan
        The scan and its lesions.
    brain : array (x, y, z), bool
        Brain mask in RAS order.
    lesions
        Rows of the scan's lesion table (``tables_io.read_lesions``).
    flags
        Of the scan, for the title.
    pages_file
        Name of the file that has all pages.

    Raises
    ------
    ValueError
        If a lesion does not have the voxel that the table gives it.
    """
    order = by_importance(lesions)
    for row in order:
        x, y, z = scan.ras_voxels(np.array(_peak(row)))[0]
        if scan.lesions[x, y, z] != row["lesion"]:
            raise ValueError(
                f"lesion {row['lesion']} is not at voxel {_peak(row)} of the lesion map"
            )
    kept = sum(row["kept"] for row in order)
    title = f"{name}: {kept} lesions kept, {len(order) - kept} dropped"
    title += f" [{flags}]" if flags else ""
    shown = order[:MOST]
    ends = list(range(FIRST, len(shown), LATER)) + [len(shown)]
    starts = [0, *ends[:-1]]
    pages = []
    for start, end in zip(starts, ends, strict=True):
        cells = [_lesion_cell(scan, row) for row in shown[start:end]]
        rows = in_rows(cells, LESIONS_ABREAST)
        notes = [_page_note(start, end, len(order), pages_file)] if order else []
        if not start:
            rows = _overview_rows(scan, brain, order) + rows
            notes.append(LEGEND)
        pages.append(sheet(title, rows, notes))
    return pages


def _peak(row: Mapping[str, Any]) -> tuple[int, int, int]:
    return int(row["i"]), int(row["j"]), int(row["k"])


def _page_note(start: int, end: int, total: int, pages_file: str) -> str:
    """Which lesions of how many are on a page, and where the others are."""
    if end - start == total:
        return (
            f"All {total} lesions are on this page." if total > 1 else "The lesion is on this page."
        )
    note = f"Lesions {start + 1} to {end} of {total}, kept before dropped, the most probable first; all pages: {pages_file}."
    if total > MOST:
        note += f" The last {total - MOST} lesions are on no page; lesions.csv lists them."
    return note


def _overview_rows(
    scan: ViewedScan, brain: np.ndarray, lesions: Sequence[Mapping[str, Any]]
) -> list[Row]:
    box, kept = margin_box(brain, scan), {row["lesion"] for row in lesions if row["kept"]}
    cells = []
    for z in slice_indices(box[2], COLUMNS * OVERVIEW_ROWS):
        panel = overview_panel(scan, brain, box, PLANES["axial"], z, kept, (WIDTH, HEIGHT))
        cells.append(Cell(panel, [f"axial slice {scan.stored_index(2, z)}"], SLICE))
    label_left(cells[0].panel)
    return in_rows(cells)


def _lesion_cell(scan: ViewedScan, row: Mapping[str, Any]) -> Cell:
    """A lesion in three planes side by side, below what is known of it."""
    line, where = LINES[bool(row["kept"])], place(scan.affine, _peak(row))
    views = lesion_views(scan, row["lesion"], _peak(row), line)
    panel = Image.new("RGB", (3 * SIZE + 2 * BETWEEN, SIZE + LINE))
    for number, (plane, view) in enumerate(views._asdict().items()):
        left = number * (SIZE + BETWEEN)
        text = f"{plane} slice {getattr(where, plane)}"
        write(panel, (left + SIZE / 2, LINE - 4), text, TEXT_SIZE, SLICE, SIZE)
        panel.paste(view, (left, LINE))
    title = str(row["lesion"]) if row["kept"] else f"({row['lesion']})"
    position = "x {:.1f}, y {:.1f}, z {:.1f} mm".format(*where.xyz_mm)
    region = f", region {row['region']}" if row["region"] else ""
    lines = [
        f"{title}: {row['label']}, {where.side}, {position}{region}",
        f"p {row['max_probability']:.2f}, {row['volume_mm3']:.1f} mm³, agreement of folds {row['fold_agreement']:.2f}",
    ]
    if not row["kept"]:
        lines += [f"dropped: {reason}" for reason in row["dropped_because"].split("; ")]
    return Cell(panel, lines, line.colour)
