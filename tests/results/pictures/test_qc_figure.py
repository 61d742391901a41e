"""The quality-control figure: what is drawn where, worked out by hand on small volumes."""

import numpy as np
import pytest
from PIL import ImageColor

from lesionflow.results.pictures.figure_panels import GAP, HEAD, LINE, WIDTH
from lesionflow.results.pictures.qc_figure import (
    BRAIN,
    DROPPED,
    KEPT,
    central_voxels,
    distinct_colours,
    draw_lesions,
    draw_structures,
)

SHAPE = (40, 50, 30)  # a panel of 192 x 240 pixels: 4.8 per voxel of 1 mm
SLICES = [2, 4, 7, 9, 11, 13, 16, 18, 20, 22, 25, 27]  # of the overview
ROW = LINE + 240 + 2 * GAP
CLOSE_UPS = HEAD + 2 * ROW  # top of the first row of close-ups


def row(lesion, probability=0.9, reason="", volume=1.0):
    """A row of the lesion table; dropped if there is a reason."""
    return {
        **{"lesion": lesion, "label": "cmb", "max_probability": probability},
        **{"volume_mm3": volume, "kept": not reason, "dropped_because": reason},
    }


def scan(lesions=(), shape=SHAPE, brain=True, value=100):
    """A uniform image, a brain mask and a map of lesions of one voxel each."""
    image = np.full(shape, value, np.float32)
    lesion_map = np.zeros(shape, np.int32)
    for number, voxel in enumerate(lesions, start=1):
        lesion_map[voxel] = number
    return image, np.full(shape, brain), lesion_map


def overview(figure, number):
    """Pixels (rows, columns, 3) of a panel of the overview."""
    left = GAP + number % 6 * (WIDTH + GAP) + (WIDTH - 192) // 2
    top = HEAD + number // 6 * ROW + LINE
    return np.asarray(figure.crop((left, top, left + 192, top + 240))).astype(int)


def close_up(figure, number, top):
    """Pixels of a close-up whose row of panels starts at ``top``."""
    left = GAP + number * (WIDTH + GAP)
    return np.asarray(figure.crop((left, top, left + WIDTH, top + 240))).astype(int)


def of_colour(pixels, colour, within=0):
    """Rows and columns of the pixels of a colour, up to a difference ``within`` in each channel."""
    difference = np.abs(pixels - ImageColor.getrgb(colour)).max(axis=2)
    return np.nonzero(difference <= within)


def test_slices_are_seen_from_above():
    image, brain, lesions = scan(value=0)
    image[:20, 25:] = 100  # left front
    image[30:, :10, :] = 50  # right back
    figure = draw_lesions(image, brain, lesions, [], (1, 1, 1), "title")
    assert figure.size == (1266, CLOSE_UPS + GAP)
    for number in range(12):
        pixels = overview(figure, number)[..., 0]
        assert pixels[:118, 20:94].min() == 255
        assert set(pixels[195:, 146:].ravel()) == {127}
        assert not pixels[:118, 98:].any() and not pixels[125:, 20:140].any()
    first, fourth = overview(figure, 0)[:, :20], overview(figure, 3)[:, :20]
    rows = np.nonzero((first != fourth).any(axis=(1, 2)))[0]  # the L, in the first panel only
    assert rows.min() > 110 and rows.max() < 130


def test_slices_are_evenly_spaced():
    image, brain, lesions = scan()
    image[:] = np.arange(30)  # a different grey in each slice
    white = np.percentile(image, 99.5)
    figure = draw_lesions(image, brain, lesions, [], (1, 1, 1), "")
    greys = [overview(figure, n)[10, 100, 0] for n in range(12)]
    assert greys == [int(z / white * 255) for z in SLICES]


def test_anisotropic_voxels_keep_their_proportions():
    image, brain, lesions = scan()
    figure = draw_lesions(image, brain, lesions, [], (1.6, 1, 5), "")  # 64 x 50 mm
    rows, columns = np.nonzero(np.asarray(figure)[HEAD + LINE :, :210, 0][:170] == 255)
    assert (np.ptp(columns) + 1, rows.max() + 1) == (204, 159)  # 50 / 64 of 204


def test_slices_are_cropped_to_the_brain_and_six_voxels_around_it():
    image, brain, lesions = scan([(32, 36, 9)], shape=(60, 60, 30), brain=False)
    brain[20:36, 30:40] = True  # cropped to 14:42, 24:46: 28 x 22 mm in 204 x 160 pixels
    image[14:42, 24:46] = 200
    figure = draw_lesions(image, brain, lesions, [row(1)], (1, 1, 1), "")
    pixels = np.asarray(figure)[HEAD + LINE : HEAD + LINE + 160, GAP : GAP + WIDTH].astype(int)
    assert pixels[..., 0][:, 30:].min() > 70 and (pixels[0, :, 0] == 255).all()
    rows, columns = of_colour(pixels, BRAIN)
    scale = 204 / 28
    assert columns.min() == pytest.approx(6 * scale - 1, abs=1)
    assert columns.max() == pytest.approx(22 * scale, abs=1)
    assert rows.min() == pytest.approx(6 * scale - 1, abs=1)
    assert rows.max() == pytest.approx(16 * scale, abs=1)
    assert len(rows) == pytest.approx(2 * (16 + 10) * scale, abs=6)  # a line of one pixel
    left = GAP + 3 * (WIDTH + GAP)
    fourth = figure.crop((left, HEAD + LINE, left + WIDTH, HEAD + LINE + 160))
    rows, columns = of_colour(np.asarray(fourth).astype(int), KEPT, within=40)
    assert columns.mean() == pytest.approx((32.5 - 14) * scale, abs=1)
    assert rows.mean() == pytest.approx(160 - (36.5 - 24) * scale, abs=1)


def test_an_empty_mask_shows_the_whole_scan_without_an_outline():
    image, brain, lesions = scan([(10, 40, 9)], brain=False)
    figure = draw_lesions(image, brain, lesions, [row(1)], (1, 1, 1), "")
    assert not len(of_colour(np.asarray(figure).astype(int), BRAIN)[0])
    assert (overview(figure, 5)[..., 0] == 255).all()


@pytest.mark.parametrize("value", [0, -3])
def test_an_image_without_positive_values_is_black(value):
    image, brain, lesions = scan(value=value)
    figure = draw_lesions(image, brain, lesions, [], (1, 1, 1), "")
    assert not overview(figure, 5).any()


@pytest.mark.parametrize(
    ("voxel", "spacing_z", "panels"),
    [((10, 40, 9), 1, [2, 3, 4]), ((10, 40, 9), 2, [3]), ((33, 5, 27), 1, [10, 11])],
)
def test_a_ring_is_drawn_on_slices_within_3_mm_of_its_lesion(voxel, spacing_z, panels):
    image, brain, lesions = scan([voxel], value=0)
    figure = draw_lesions(image, brain, lesions, [row(1)], (1, 1, spacing_z), "")
    contours = [of_colour(overview(figure, n), KEPT, within=40) for n in range(12)]
    assert [n for n, (rows, _) in enumerate(contours) if len(rows)] == panels
    for rows, columns in (contours[n] for n in panels):
        assert (rows.min() + rows.max() + 1) / 2 == pytest.approx(
            240 - 4.8 * (voxel[1] + 0.5), abs=1
        )
        assert (columns.min() + columns.max() + 1) / 2 == pytest.approx(
            4.8 * (voxel[0] + 0.5), abs=1
        )


def test_colours_and_order_of_kept_and_dropped_lesions():
    voxels = [(10, 40, 9), (30, 40, 9), (10, 10, 9), (30, 10, 9)]
    image, brain, lesions = scan(voxels, value=30)
    image[0] = 100
    reasons = "not the largest of its label; volume under 5 mm3; 100% outside the brain mask"
    table = [row(1, 0.99, reasons), row(2, 0.6), row(3, 0.5, "volume under 5 mm3"), row(4, 0.8)]
    figure = draw_lesions(image, brain, lesions, table, (1, 1, 1), "")
    pixels = overview(figure, 3)
    for voxel, colour in zip(voxels, (DROPPED, KEPT, DROPPED, KEPT), strict=True):
        x, y = (int(4.8 * (voxel[0] + 0.5)), int(240 - 4.8 * (voxel[1] + 0.5)))
        near = pixels[y - 9 : y + 9, x - 9 : x + 9]
        wrong = DROPPED if colour == KEPT else KEPT
        assert len(of_colour(near, colour, 30)[0]) > 20
        assert not len(of_colour(near, wrong, 30)[0])
    top = CLOSE_UPS + 4 * LINE  # below a caption and three reasons
    colours = [
        [c for c in (KEPT, DROPPED) if len(of_colour(close_up(figure, n, top), c)[0])]
        for n in range(4)
    ]
    assert colours == [[KEPT], [KEPT], [DROPPED], [DROPPED]]
    text = np.asarray(figure)[CLOSE_UPS:top]
    for number, lines in enumerate([1, 1, 4, 2]):  # 4 and 2 are kept; then 1, more probable than 3
        ink = text[:, GAP + number * 210 : GAP + number * 210 + WIDTH].any(axis=(1, 2))
        assert [bool(ink[n * LINE : (n + 1) * LINE].any()) for n in range(4)] == (
            [False] * (4 - lines) + [True] * lines
        )


def test_a_close_up_has_the_proportions_of_the_voxels():
    image, brain, lesions = scan([(50, 40, 5)], shape=(100, 80, 10))
    image[50, 40, 5] = 0
    figure = draw_lesions(image, brain, lesions, [row(1)], (0.5, 2, 3), "")
    # 65 x 0.5 mm and 17 x 2 mm in 204 x 213 pixels: 6.28 per mm
    top = figure.height - GAP - 2 * GAP - 213
    pixels = close_up(figure, 0, top)[:213]
    rows, columns = of_colour(pixels, KEPT)
    assert np.ptp(columns) - 1 == pytest.approx(0.5 * 6.28, abs=1)
    assert np.ptp(rows) - 1 == pytest.approx(2 * 6.28, abs=1)
    dark = np.nonzero(pixels[..., 0] == 0)
    assert (dark[0].min(), dark[0].max()) == (rows.min() + 1, rows.max() - 1)
    assert (dark[1].min(), dark[1].max()) == (columns.min() + 1, columns.max() - 1)
    assert dark[1].mean() == pytest.approx(102, abs=1) and dark[0].mean() == pytest.approx(
        106, abs=1
    )


def test_a_close_up_at_the_edge_of_the_scan_is_cut_there():
    image, brain, lesions = scan([(2, 3, 5)], shape=(100, 80, 10))
    image[2, 3, 5] = 0
    figure = draw_lesions(image, brain, lesions, [row(1)], (1, 1, 1), "")
    pixels = close_up(figure, 0, figure.height - 3 * GAP - 215)  # 0:19 and 0:20 in 204 x 215
    rows, columns = np.nonzero(pixels[:215, :, 0] == 0)
    scale = 204 / 19
    assert columns.mean() == pytest.approx(2.5 * scale, abs=1)
    assert rows.mean() == pytest.approx(215 - 3.5 * scale, abs=1)


def test_central_voxels_belong_to_their_lesions():
    lesions = np.zeros((9, 9, 9), np.int32)
    lesions[1:8, 1, 4] = 3
    lesions[1, 1:8, 4] = lesions[7, 1:8, 4] = 3  # a horseshoe, open to the front
    lesions[4, 5, 2:7] = 1
    lesions[8, 8, 8] = 7
    for order in "CF":
        centres = central_voxels(np.array(lesions, order=order), [7, 1, 3])
        assert centres[:2].tolist() == [[8, 8, 8], [4, 5, 4]]
        assert lesions[tuple(centres[2])] == 3
    assert central_voxels(lesions, []).shape == (0, 3)
    with pytest.raises(KeyError):  # rather than the centre of another lesion
        central_voxels(lesions, [2])


class Compared(np.ndarray):
    """An array that counts comparisons with a number."""

    count = 0

    def __eq__(self, other):
        Compared.count += 1
        return np.asarray(self) == other


def test_of_many_lesions_only_eighteen_are_looked_for_in_the_map():
    shape = (64, 64, 64)
    lesions = np.zeros(shape, np.int32, order="F")
    places = np.random.default_rng(0).choice(lesions.size, 25_000, replace=False)
    lesions[np.unravel_index(places, shape)] = np.arange(1, 25_001)
    image, brain, _ = scan(shape=shape)
    table = [row(n, 1 / n, "" if n % 2 else "volume under 5 mm3") for n in range(1, 25_001)]
    many = draw_lesions(image, brain, lesions.view(Compared), table, (1, 1, 1), "many")
    assert Compared.count == 18
    few = draw_lesions(image, brain, lesions, table[:35], (1, 1, 1), "few")  # 18 of them kept
    assert many.size == few.size


BLOCKS = np.zeros(SHAPE, np.uint8)
BLOCKS[5:20, 5:25] = 1  # left back
BLOCKS[20:35, 5:25] = 5  # right back
BLOCKS[5:20, 25:45] = 9  # left front


def structures(image, labels, names, spacing=(1, 1, 1)):
    """The figure, and its eighth panel: 40 x 50 voxels in 192 x 240 pixels."""
    figure = draw_structures(image, labels, names, spacing, "title")
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
