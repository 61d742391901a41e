"""Boxes worked out by hand, and world positions, which cropping keeps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.affines import apply_affine
from scipy import ndimage

from lesionflow.base.errors import LesionflowError
from lesionflow.imaging import cropping
from lesionflow.imaging.cropping import crop_and_pad
from lesionflow.imaging.grids import Grid, corners
from lesionflow.imaging.intensity import normalize
from support.card_defaults import default
from support.volumes import CODES, oriented

NO_CROP = default("input", crop=None)


def ramp(shape, channels=1):
    return np.arange(1, np.prod(shape) * channels + 1, dtype=np.float32).reshape(*shape, channels)


def test_without_crop_and_padding_the_image_is_unchanged():
    image = ramp((3, 4, 5), 2)
    stack, inside, box = crop_and_pad(image, np.ones((3, 4, 5), bool), np.eye(4), NO_CROP)
    np.testing.assert_array_equal(stack, image)
    assert inside.all()
    np.testing.assert_array_equal(box.affine, np.eye(4))


def test_padding_has_the_size_for_the_poolings_and_does_not_enter_statistics():
    input_spec = default("input", crop=None, pad={"multiple_of": 8, "at_least": 12})
    image = ramp((3, 17, 9))
    stack, inside, box = crop_and_pad(image, np.ones((3, 17, 9), bool), np.eye(4), input_spec)
    assert box.shape == (16, 24, 16)
    assert box.affine[:3, 3].tolist() == [-6, -3, -3]  # floor((side - n) / 2) before
    assert np.isnan(stack[0]).all()
    np.testing.assert_array_equal(stack[6:9, 3:20, 3:12], image)
    normal = normalize(stack, [{"clip_below": 5}, {"z_score": True}], inside)
    clipped = np.maximum(image, 5)
    expected = (clipped - clipped.mean()) / clipped.std()
    np.testing.assert_allclose(normal[6:9, 3:20, 3:12], expected, atol=1e-5)
    assert np.count_nonzero(normal) == np.count_nonzero(expected)


@pytest.mark.parametrize(
    ("shape", "snap_start", "starts"),
    [
        ((240, 240, 155), 5, (48, 48, 5)),  # the shape of the Decathlon's images
        ((240, 153, 148), 5, (48, 0, 0)),  # starts of 4 and 2: a fifth of them is below 1
        ((240, 153, 148), 0, (48, 4, 2)),
        ((100, 143, 145), 5, (-22, 0, 0)),
    ],
)
def test_a_centred_box_starts_at_the_first_voxel_below_snap_start(shape, snap_start, starts):
    box = cropping.centred_box(Grid(np.eye(4), shape), (144, 144, 144), snap_start)
    assert box.affine[:3, 3].tolist() == list(starts)


def test_padding_with_zeros_before_or_after_the_normalization():
    image = ramp((2, 2, 2))
    brain = np.ones((2, 2, 2), bool)
    for padding, mean in (("before", 4.5 / 8), ("after", 4.5)):
        input_spec = default("input", crop="centre", shape=[4, 4, 4], padding=padding)
        stack, inside, _ = crop_and_pad(image, brain, np.eye(4), input_spec)
        assert np.nanmean(stack) == mean
        normal = normalize(stack, [{"divide_by_percentile": 100}], inside)
        assert normal[0, 0, 0, 0] == 0
        assert normal.max() == 1


def test_the_foreground_is_that_of_all_channels_after_the_steps_before_the_crop():
    image = np.zeros((6, 7, 8, 2), np.float32)
    image[1, 2:4, 3, 0] = 100
    image[4, 3, 6, 1] = 20
    image[5, 6, 7, 1] = 9  # below a tenth of the highest value of both channels
    steps = [{"zero_below_fraction_of_max": 0.1}]
    input_spec = default("input", crop="foreground", before_crop=steps)
    stack, _, box = crop_and_pad(image, np.ones(image.shape[:3], bool), np.eye(4), input_spec)
    assert box.affine[:3, 3].tolist() == [1, 2, 3]
    np.testing.assert_array_equal(stack, image[1:5, 2:4, 3:7])
    with pytest.raises(LesionflowError, match="no foreground"):
        crop_and_pad(0 * image, np.ones(image.shape[:3], bool), np.eye(4), input_spec)


def test_slices_are_dropped_first():
    image = ramp((2, 3, 5))
    input_spec = default("input", crop=None, drop_slices=[1, 2])
    stack, inside, box = crop_and_pad(image, np.ones((2, 3, 5), bool), np.eye(4), input_spec)
    np.testing.assert_array_equal(stack, image[:, :, 1:3])
    assert inside.shape == (2, 3, 2)
    assert box.affine[:3, 3].tolist() == [0, 0, 1]
    with pytest.raises(LesionflowError, match="has 5 slices, and the card drops 3 and 2"):
        crop_and_pad(image, inside, np.eye(4), default("input", crop=None, drop_slices=[3, 2]))


def test_a_resized_square_worked_out_by_hand():
    image = np.zeros((2, 4, 1, 1), np.float32)
    image[:, :, 0, 0] = [[1, 2, 3, 4], [5, 6, 7, 8]]
    input_spec = default("input", crop=None, resize=[8, 8], resize_order=1)
    stack, _, box = crop_and_pad(image, np.ones((2, 4, 1), bool), np.eye(4), input_spec)
    assert box.shape == (8, 8, 1)
    # a row of zeros on either side makes it square; voxels have half the size and the same outer edges
    np.testing.assert_allclose(box.affine @ [-0.5, -0.5, 0, 1], [-1.5, -0.5, 0, 1])
    np.testing.assert_allclose(box.affine @ [7.5, 7.5, 0, 1], [2.5, 3.5, 0, 1])
    assert stack[4, 4, 0, 0] == pytest.approx(0.75 * (0.75 * 7 + 0.25 * 6) + 0.25 * 2.75)
    assert stack.max() <= 8
    nearest = cropping.resize_planes(image, (4, 8), 0)[..., 0, 0]
    np.testing.assert_array_equal(nearest, image[..., 0, 0].repeat(2, 0).repeat(2, 1))


def test_resized_planes_are_the_spline_at_the_voxels_of_the_new_grid():
    image = np.random.default_rng(0).random((9, 13, 2, 3)).astype(np.float32)
    grid = cropping.resized_grid(Grid(np.eye(4), (9, 13, 2)), (16, 10))
    resized = cropping.resize_planes(image, (16, 10), 2)
    i, j = np.meshgrid(np.arange(16), np.arange(10), indexing="ij")
    positions = apply_affine(grid.affine, np.stack([i, j, 0 * i], -1))[..., :2]
    for z, c in np.ndindex(2, 3):
        plane = ndimage.map_coordinates(
            image[:, :, z, c],
            [positions[..., 0], positions[..., 1]],
            order=2,
            mode="grid-constant",
        )
        expected = plane.clip(0, image.max())
        np.testing.assert_allclose(resized[:, :, z, c], expected, atol=1e-5)


FAMILIES = {
    "shiva": {"shape": [40, 38, 36]},
    "synthseg": {"crop": None, "pad": {"multiple_of": 16, "at_least": 48}},
    "lgg": {"crop": "foreground", "resize": [48, 48], "drop_slices": [1, 1]},
    "brats": {"crop": "centre", "shape": [32, 32, 32], "snap_start": 5, "padding": "after"},
}


@settings(max_examples=40, deadline=None)
@given(
    code=st.sampled_from(CODES),
    family=st.sampled_from(sorted(FAMILIES)),
    offset=st.tuples(*[st.floats(-7, 7)] * 3),
    angle=st.floats(-30, 30),
)
def test_world_positions_are_kept_in_every_orientation(code, family, offset, angle):
    shape = (34, 36, 33)
    affine = oriented(code, (1.0, 1.1, 0.9), shape, (angle, 0, angle / 2))
    position = apply_affine(affine, (np.array(shape) - 1) / 2) + offset
    index = np.moveaxis(np.indices(shape), 0, -1)
    distance = np.linalg.norm(apply_affine(affine, index) - position, axis=-1)
    image = 1 + 50 * np.exp(-(distance**2) / 8)[..., None].astype(np.float32)
    input_spec = default("input", **FAMILIES[family])
    stack, inside, box = crop_and_pad(image, distance < 6, affine, input_spec)
    assert stack.shape[:3] == inside.shape == box.shape
    bright = np.nan_to_num(stack[..., 0] - 1).clip(0)
    bright[bright < 5] = 0
    centre = apply_affine(box.affine, ndimage.center_of_mass(bright))
    assert np.linalg.norm(centre - position) < 0.35
    brain_centre = apply_affine(box.affine, ndimage.center_of_mass(inside))
    assert np.linalg.norm(brain_centre - position) < 0.8
    if family == "synthseg":
        low, high = (getattr(corners(affine, shape), m)(axis=0) for m in ("min", "max"))
        box_corners = corners(box.affine, box.shape)
        assert (box_corners.min(axis=0) <= low + 1e-3).all()
        assert (box_corners.max(axis=0) >= high - 1e-3).all()
