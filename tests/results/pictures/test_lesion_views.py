"""Lesions in three planes: where they are, on which side, in which slices, with which proportions."""

import base64
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.affines import apply_affine
from PIL import Image, ImageColor

from lesionflow.results.pictures.figure_panels import DROPPED, KEPT, Line
from lesionflow.results.pictures.lesion_views import LINES, SIZE, as_data_url, lesion_views
from lesionflow.results.pictures.viewed_scan import ViewedScan, place
from support.volumes import CODES, oriented

SHAPE = (24, 30, 18)


def viewed(image, lesions=None, affine=None):
    lesions = np.zeros(image.shape, np.int32) if lesions is None else lesions
    return ViewedScan.from_stored(image, lesions, np.eye(4) if affine is None else affine, (0, 200))


def pixels(panel):
    return np.asarray(panel).astype(int)


def coloured(panel, colour, margin=14):
    """Rows and columns of the pixels of a colour, not those at the edges, where the letters are."""
    found = (pixels(panel) == ImageColor.getrgb(colour)).all(axis=2)
    found[:margin] = found[-margin:] = found[:, :margin] = found[:, -margin:] = False
    return np.nonzero(found)


def inner(panel, margin=14):
    """The grey values of a panel without its edges, where the letters are."""
    return pixels(panel)[margin:-margin, margin:-margin, 2]  # blue, of which KEPT has little


@settings(max_examples=60, deadline=None)
@given(
    code=st.sampled_from(CODES),
    spacing=st.tuples(*[st.sampled_from([0.5, 0.8, 1.0, 3.0])] * 3),
    data=st.data(),
)
def test_a_lesion_is_in_the_middle_and_its_neighbours_on_their_sides(code, spacing, data):
    """Bright voxels right of, in front of and above a lesion's voxel are there in every plane, however it is stored."""
    affine = oriented(code, spacing, SHAPE)
    voxel = np.array([data.draw(st.integers(1, n - 2)) for n in SHAPE])
    world = apply_affine(affine, voxel)
    image, lesions = np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.int32)
    lesions[tuple(voxel)] = 7
    scan = viewed(image, lesions, affine)
    # (world axis, plane): the direction on the panel, (right, up)
    towards = {
        (0, "axial"): (1, 0),
        (1, "axial"): (0, 1),
        (0, "coronal"): (1, 0),
        (2, "coronal"): (0, 1),
        (1, "sagittal"): (-1, 0),
        (2, "sagittal"): (0, 1),
    }
    for axis in range(3):
        step = np.linalg.inv(affine[:3, :3]) @ np.eye(3)[axis]
        neighbour = voxel + np.rint(step / np.abs(step).max()).astype(int)
        assert apply_affine(affine, neighbour)[axis] > world[axis]
        image[:] = 0
        image[tuple(neighbour)] = 200
        views = lesion_views(scan, 7, voxel, LINES[True])
        for plane, panel in views._asdict().items():
            rows, columns = coloured(panel, KEPT)
            assert rows.mean() == pytest.approx(SIZE / 2 - 0.5, abs=1)
            assert columns.mean() == pytest.approx(SIZE / 2 - 0.5, abs=1)
            bright = np.array(np.nonzero(inner(panel) == 255))
            if (axis, plane) not in towards:
                assert not bright.size  # across the plane
                continue
            down, right = bright.mean(axis=1) - (SIZE / 2 - 0.5 - 14)
            scale = SIZE / 32 * spacing[np.abs(step).argmax()]
            expected = np.array(towards[axis, plane]) * scale
            assert (right, -down) == pytest.approx(expected, abs=1.5)


@settings(deadline=None)
@given(code=st.sampled_from(CODES), rotation=st.tuples(*[st.integers(-20, 20)] * 3))
def test_slices_count_along_the_stored_axes(code, rotation):
    affine = oriented(code, (0.7, 0.9, 2.5), SHAPE, rotation)
    voxel = (5, 11, 17)
    where = place(affine, voxel)
    letters = {axis: code.index(next(c for c in code if c in axis)) for axis in ("SI", "AP", "LR")}
    assert (where.axial, where.coronal, where.sagittal) == tuple(
        voxel[letters[axis]] for axis in ("SI", "AP", "LR")
    )
    assert where.xyz_mm == pytest.approx(tuple(apply_affine(affine, voxel)))


@pytest.mark.parametrize(
    ("x", "side"), [(-1.5, "left"), (-1, "midline"), (0, "midline"), (1, "midline"), (1.5, "right")]
)
def test_the_side_is_that_of_the_world(x, side):
    for sign in (1, -1):  # stored from left to right, or from right to left
        affine = np.diag([sign * 0.5, 1, 1, 1])
        affine[0, 3] = x - sign * 0.5 * 4
        assert place(affine, (4, 0, 0)).side == side


def test_voxels_have_their_proportions():
    image = np.zeros((40, 40, 40), np.float32)
    image[20, 20, 20] = 200
    affine = np.diag([0.5, 0.8, 3, 1])
    sides = {  # in pixels: right and up
        "axial": (0.5 * SIZE / 32, 0.8 * SIZE / 32),
        "coronal": (0.5 * SIZE / 32, 3 * SIZE / 32),
        "sagittal": (0.8 * SIZE / 32, 3 * SIZE / 32),
    }
    views = lesion_views(viewed(image, affine=affine), 0, (20, 20, 20), LINES[True])
    for plane, panel in views._asdict().items():
        rows, columns = np.nonzero(inner(panel))
        assert (np.ptp(columns) + 1, np.ptp(rows) + 1) == pytest.approx(sides[plane], abs=1)
        assert set(inner(panel).ravel()) == {0, 255}  # sharp edges


def test_the_window_is_16_mm_to_each_side_and_black_outside_of_the_scan():
    image = np.full((40, 60, 60), 200, np.float32)
    panel = lesion_views(viewed(image), 0, (3, 30, 30), LINES[True]).axial
    assert panel.size == (SIZE, SIZE)
    row = pixels(panel)[30, :, 0]
    assert not row[:52].any() and (row[53:] == 255).all()  # 16 - 3.5 of 32 mm are outside
    assert (pixels(panel)[-1, 60:, 0] == 255).any()


@pytest.mark.parametrize(("kept", "colour"), [(True, KEPT), (False, DROPPED)])
def test_outlines_run_outside_of_the_voxels_and_differ_in_shape(kept, colour):
    image, lesions = np.full((40, 50, 45), 100, np.float32), np.zeros((40, 50, 45), np.int32)
    lesions[18:24, 22:28, 16:22] = 2
    for panel in lesion_views(viewed(image, lesions), 2, (21, 25, 19), LINES[kept]):
        rows, columns = coloured(panel, colour)
        assert 24 <= np.ptp(rows) <= 26 and 24 <= np.ptp(columns) <= 26  # 6 voxels of 4.19 pixels
        solid = 4 * 25  # the line around it, without its corners
        black = len(coloured(panel, "black")[0])
        if kept:
            assert len(rows) == pytest.approx(solid, abs=8) and black == 0
        else:
            assert len(rows) == pytest.approx(solid / 2, abs=12)
            assert len(rows) + black == pytest.approx(solid, abs=8)
        inside = pixels(panel)[rows.min() + 1 : rows.max(), columns.min() + 1 : columns.max()]
        assert (inside == 127).all()


@pytest.mark.parametrize("size", [SIZE, 134])  # odd and even
def test_a_lesion_smaller_than_a_pixel_is_outlined(size):
    image, lesions = np.full((400, 400, 10), 100, np.float32), np.zeros((400, 400, 10), np.int32)
    lesions[200, 200, 5] = 1
    affine = np.diag([0.1, 0.1, 3, 1])
    for panel in lesion_views(viewed(image, lesions, affine), 1, (200, 200, 5), LINES[True], size):
        assert len(coloured(panel, KEPT)[0]) >= 4


def test_other_lesions_have_a_neutral_line():
    image, lesions = np.full(SHAPE, 100, np.float32), np.zeros(SHAPE, np.int32)
    lesions[10, 15, 9], lesions[16:19, 14:17, 9] = 1, 2
    panel = lesion_views(viewed(image, lesions), 1, (10, 15, 9), Line("#00ff00")).axial
    own = coloured(panel, "#00ff00")
    assert np.ptp(own[1]) <= 6
    colours = {tuple(c) for c in pixels(panel)[40:95, 80:110].reshape(-1, 3)}
    assert colours == {(127, 127, 127), (178, 178, 178)}  # white with an opacity of 0.4


class Reads(np.ndarray):
    """An array that counts the voxels that are taken out of it."""

    voxels = 0

    def __getitem__(self, index):
        part = np.asarray(self)[index]
        if part.ndim < 3:
            Reads.voxels += part.size
            return part
        return part.view(Reads)


def test_only_the_part_in_view_is_read():
    image = np.zeros((200, 200, 200), np.float32).view(Reads)
    scan = ViewedScan(image, image.astype(np.int32).view(Reads), np.eye(4), (0, 1))
    for axis in range(5):
        lesion_views(scan, 1, (100 + axis, 90, 80), LINES[True])
    assert Reads.voxels == 5 * 3 * 2 * 33**2


def test_a_data_url_is_lossless():
    panel = Image.fromarray(np.random.default_rng(0).integers(0, 255, (9, 8, 3), np.uint8))
    head, _, text = as_data_url(panel).partition(",")
    assert head == "data:image/webp;base64"
    with Image.open(io.BytesIO(base64.b64decode(text))) as read:
        assert np.array_equal(np.asarray(read.convert("RGB")), np.asarray(panel))
    assert as_data_url(panel) == as_data_url(panel.copy())
