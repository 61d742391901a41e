"""The pages of lesions: what is shown where, worked out by hand on small volumes."""

from collections import Counter

import numpy as np
import pytest
from PIL import ImageColor

from lesionflow.results.pictures import qc_figure
from lesionflow.results.pictures.figure_panels import BRAIN, DROPPED, KEPT, WIDTH
from lesionflow.results.pictures.lesion_views import SIZE
from lesionflow.results.pictures.qc_figure import lesion_pages
from lesionflow.results.pictures.sheets import GAP, HEAD, LINE
from lesionflow.results.pictures.viewed_scan import ViewedScan, in_ras
from support.volumes import oriented

SHAPE = (40, 50, 30)  # a panel of 192 x 240 pixels: 4.8 per voxel of 1 mm
SLICES = [2, 4, 7, 9, 11, 13, 16, 18, 20, 22, 25, 27]  # of the overview
ROW = LINE + 240 + 2 * GAP


def row(lesion, voxel, probability=0.9, reason="", **values):
    """A row of the lesion table; dropped if there is a reason."""
    return {
        **{"lesion": lesion, "label": "cmb", "i": voxel[0], "j": voxel[1], "k": voxel[2]},
        **{"max_probability": probability, "volume_mm3": 1.0, "fold_agreement": 1.0},
        **{"region": "", "kept": not reason, "dropped_because": reason, **values},
    }


def pages(voxels=(), table=None, shape=SHAPE, value=100, affine=None, brain=None, change=None):
    """The pages of a uniform image with lesions of one voxel each; ``change`` may alter the image and the map."""
    affine = np.eye(4) if affine is None else affine
    image, lesions = np.full(shape, value, np.float32), np.zeros(shape, np.int32)
    for number, voxel in enumerate(voxels, start=1):
        lesions[voxel] = number
    if change:
        change(image, lesions)
    brain = np.ones(shape, bool) if brain is None else brain
    table = [row(n, v) for n, v in enumerate(voxels, 1)] if table is None else table
    scan = ViewedScan.from_stored(image, lesions, affine, (0, 100))
    return lesion_pages("sub-1", scan, in_ras(brain, affine), table, pages_file="all.pdf")


def overview(page, number, notes=1):
    """Pixels (rows, columns, 3) of a panel of the overview."""
    left = GAP + number % 6 * (WIDTH + GAP) + (WIDTH - 192) // 2
    top = HEAD + notes * LINE + number // 6 * ROW + LINE
    return np.asarray(page.crop((left, top, left + 192, top + 240))).astype(int)


def of_colour(pixels, colour, within=0):
    """Rows and columns of the pixels of a colour, up to a difference ``within`` in each channel."""
    difference = np.asarray(pixels).astype(int) - ImageColor.getrgb(colour)
    return np.nonzero((np.abs(difference) <= within).all(axis=2))


@pytest.fixture
def sheets(monkeypatch):
    """What is on each page: title, rows of cells, notes."""
    contents, real = [], qc_figure.sheet

    def sheet(title, rows, notes):
        contents.append((title, rows, notes))
        return real(title, rows, notes)

    monkeypatch.setattr(qc_figure, "sheet", sheet)
    return contents


def lesion_cells(sheets):
    """The cells of lesions of each page."""
    return [[cell for r in rows if r.columns == 3 for cell in r.cells] for _, rows, _ in sheets]


def test_slices_of_the_overview_are_seen_from_above_and_evenly_spaced(sheets):
    def change(image, lesions):
        image[:] = 0
        image[:20, 25:] = np.arange(1, 31) * 3  # left front, another grey in each slice
        image[30:, :10] = 50  # right back

    (page,) = pages(change=change)
    for number, z in enumerate(SLICES):
        pixels = overview(page, number)[..., 0]
        assert set(pixels[:118, 20:94].ravel()) == {int((z + 1) * 3 * 255 / 100)}
        assert set(pixels[195:, 146:].ravel()) == {127}
        assert not pixels[:118, 98:].any() and not pixels[125:, 20:140].any()
    captions = [cell.lines for r in sheets[0][1] for cell in r.cells]
    assert captions == [[f"axial slice {z}"] for z in SLICES]


def test_slices_are_numbered_as_stored(sheets):
    pages(shape=(30, 40, 50), affine=oriented("IRA", (1, 1, 1), (30, 40, 50)))
    captions = [cell.lines for r in sheets[0][1] for cell in r.cells]
    assert captions == [[f"axial slice {29 - z}"] for z in SLICES]


def test_the_overview_is_cropped_to_the_brain_and_6_mm_around_it():
    brain = np.zeros((60, 60, 30), bool)
    brain[20:36, 30:40] = True  # cropped to 14:42, 24:46: 28 x 22 mm in 204 x 160 pixels
    (page,) = pages(shape=brain.shape, brain=brain)
    left, top = GAP, HEAD + 2 * LINE
    pixels = page.crop((left, top, left + 204, top + 160))
    rows, columns = of_colour(pixels, BRAIN)
    scale = 204 / 28
    assert columns.min() == pytest.approx(6 * scale - 1, abs=1)
    assert columns.max() == pytest.approx(22 * scale, abs=1)
    assert rows.min() == pytest.approx(6 * scale - 1, abs=1)
    assert rows.max() == pytest.approx(16 * scale, abs=1)
    assert len(rows) == pytest.approx(2 * (16 + 10) * scale, abs=6)  # a line of one pixel


def test_an_empty_mask_shows_the_whole_scan_without_an_outline():
    (page,) = pages(brain=np.zeros(SHAPE, bool))
    assert not len(of_colour(page, BRAIN)[0])
    assert (overview(page, 5)[..., 0] == 255).all()


def test_lesions_are_outlined_in_the_slices_where_they_have_voxels_and_in_no_other():
    """Slices 9 and 11 are of the overview, 10 is not; dropped lesions have a dashed line and a number in brackets."""

    def change(image, lesions):
        image[:] = 30
        lesions[5:11, 35:41, 9:12] = 1
        lesions[25:31, 5:11, 11] = 2

    table = [row(1, (7, 37, 10)), row(2, (27, 7, 11), reason="volume under 5 mm3")]
    (page,) = pages(table=table, change=change)
    kept, dropped = ([], [])
    for number in range(12):
        pixels = overview(page, number, notes=2)
        kept.append(len(of_colour(pixels, KEPT)[0]) > 0)
        dropped.append(len(of_colour(pixels, DROPPED)[0]) > 0)
    assert [SLICES[n] for n in np.flatnonzero(kept)] == [9, 11]
    assert [SLICES[n] for n in np.flatnonzero(dropped)] == [11]
    pixels = overview(page, 4, notes=2)
    for colour, (x, y), share in ((KEPT, (5, 35), 1), (DROPPED, (25, 5), 0.5)):
        left, upper, side = round(4.8 * x), round(240 - 4.8 * (y + 6)), round(4.8 * 6)
        around = pixels[upper - 1 : upper + side + 1, left - 1 : left + side + 1]
        assert len(of_colour(around, colour)[0]) == pytest.approx(share * 4 * side, abs=12)
        assert (around[2:-2, 2:-2] == 76).all()  # nothing is drawn on the lesion
        beside = pixels[upper:, left + side + 2 : left + side + 30]
        assert len(of_colour(beside[: side + 1], colour, within=60)[0]) > 5  # its number


@pytest.mark.parametrize(("voxel", "on_the_right"), [((20, 25, 9), True), ((39, 25, 9), False)])
def test_a_number_is_beside_its_lesion_where_there_is_room(voxel, on_the_right):
    (page,) = pages([voxel])
    rows, columns = of_colour(overview(page, 3, notes=2), KEPT, within=90)
    left, lower = 4.8 * voxel[0], 240 - 4.8 * voxel[1]
    assert abs(rows - lower).max() < 16
    if on_the_right:
        assert left - 2 <= columns.min() and columns.max() > left + 9
    else:
        assert columns.min() < left - 6


def test_a_number_without_room_is_left_out_of_the_overview_only(sheets):
    voxels = [(x, y, 9) for x in range(0, 40, 2) for y in range(0, 50, 2)]
    (first, *_) = pages(voxels)
    pixels = overview(first, 3, notes=2)
    outlines = len(of_colour(pixels, KEPT)[0])
    assert outlines == pytest.approx(500 * 4 * 5, rel=0.1)  # and hardly anything else
    assert sum(map(len, lesion_cells(sheets))) == 500


def test_forty_lesions_are_on_two_more_pages_and_each_in_one_cell(sheets):
    voxels = [(4 + 4 * (n % 8), 5 + 8 * (n // 8), 3 + (7 * n) % 24) for n in range(40)]
    reasons = "not the largest of its label; volume under 5 mm3"
    table = [
        row(n, v, round(0.5 + n / 100, 2), "" if n % 3 else reasons)
        for n, v in enumerate(voxels, start=1)
    ]

    def change(image, lesions):
        for number, voxel in enumerate(voxels, start=1):
            image[voxel] = number  # tells in the middle of a view which lesion it is

    drawn = pages(voxels, table, change=change)
    assert len(drawn) == len(sheets) == 3
    cells = lesion_cells(sheets)
    assert [len(page) for page in cells] == [12, 24, 4]
    titles = [cell.lines[0].split(":")[0] for page in cells for cell in page]
    kept = [str(n) for n in range(40, 0, -1) if n % 3]
    assert titles == kept + [f"({n})" for n in range(39, 0, -3)]
    numbers = [int(title.strip("()")) for title in titles]
    assert Counter(numbers) == Counter(range(1, 41))
    for number, cell in zip(numbers, [c for page in cells for c in page], strict=True):
        middle = np.asarray(cell.panel)[LINE + SIZE // 2]
        for view in range(3):  # int(): a grey of 255 / 100 per unit
            assert middle[view * (SIZE + 4) + SIZE // 2].tolist() == [int(number * 2.55)] * 3
        assert cell.lines[2:] == (
            []
            if number % 3
            else ["dropped: not the largest of its label", "dropped: volume under 5 mm3"]
        )
        assert cell.colour == (KEPT if number % 3 else DROPPED)
    assert [notes[0].split(",")[0] for _, _, notes in sheets] == [
        "Lesions 1 to 12 of 40",
        "Lesions 13 to 36 of 40",
        "Lesions 37 to 40 of 40",
    ]
    assert all("all pages: all.pdf" in notes[0] for _, _, notes in sheets)
    assert {title for title, _, _ in sheets} == {"sub-1: 27 lesions kept, 13 dropped"}


def test_what_is_said_of_a_lesion(sheets):
    affine = oriented("LPS", (0.5, 0.5, 3), SHAPE, origin=(10, 20, -30))
    values = {"volume_mm3": 12.34, "fold_agreement": 2 / 3, "region": "17"}
    pages([(12, 30, 4)], [row(1, (12, 30, 4), 0.876, **values)], affine=affine)
    ((cell,),) = lesion_cells(sheets)
    assert cell.lines == [
        "1: cmb, right, x 4.0, y 5.0, z -18.0 mm, region 17",
        "p 0.88, 12.3 mm³, agreement of folds 0.67",
    ]
    assert sheets[0][2][0] == "The lesion is on this page."


def test_more_lesions_than_pages_have_room_for_are_counted(sheets, monkeypatch):
    monkeypatch.setattr(qc_figure, "MOST", 14)
    voxels = [(x, 10, 9) for x in range(20)]
    assert len(pages(voxels)) == 2
    assert [len(page) for page in lesion_cells(sheets)] == [12, 2]
    for _, _, notes in sheets:
        assert "The last 6 lesions are on no page; lesions.csv lists them." in notes[0]


def test_a_lesion_that_is_not_where_the_table_says_is_an_error():
    with pytest.raises(ValueError, match="lesion 1 is not at voxel"):
        pages([(10, 40, 9)], [row(1, (10, 40, 8))])


def test_without_a_lesion_there_is_an_overview(sheets):
    (page,) = pages()
    assert page.height == HEAD + LINE + 2 * ROW + GAP
    assert lesion_cells(sheets) == [[]] and sheets[0][0] == "sub-1: 0 lesions kept, 0 dropped"
