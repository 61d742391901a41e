"""Grids: numbers worked out by hand, and properties that hold for every scan."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.affines import apply_affine
from nibabel.orientations import aff2axcodes

from lesionflow.base.errors import LesionflowError
from lesionflow.imaging.cropping import crop_grid
from lesionflow.imaging.grids import (
    Grid,
    corners,
    index_map,
    largest_shift_mm,
    model_grid,
    nearest_voxels,
    paste,
    reorder,
)
from lesionflow.imaging.resampling import inside_image, resample
from support.volumes import CODES, oriented

affines = st.builds(
    lambda code, spacing, rotation, shear, origin, shape: (
        oriented(code, spacing, shape, rotation, shear, origin),
        shape,
    ),
    st.sampled_from(CODES),
    st.tuples(*[st.floats(0.3, 6.0)] * 3),
    st.tuples(*[st.floats(-20, 20)] * 3),
    st.sampled_from([0.0, 0.0, 0.1]),
    st.tuples(*[st.floats(-200, 200)] * 3),
    st.tuples(*[st.integers(2, 24)] * 3),
)


def test_there_are_48_orientations():
    assert len(set(CODES)) == 48


@pytest.mark.parametrize("code", CODES)
def test_the_model_grid_with_the_spacing_of_the_scan_is_the_scan_in_ras_order(code):
    affine = oriented(code, (0.5, 1.0, 2.0), (4, 5, 6))
    grid = model_grid(affine, (4, 5, 6), "RAS", None)
    assert aff2axcodes(grid.affine) == ("R", "A", "S")
    data = np.arange(120).reshape(4, 5, 6)
    reordered = reorder(data, affine, grid)
    for voxel in [(0, 0, 0), (3, 1, 5), (1, 4, 2)]:
        xyz = apply_affine(affine, voxel)
        assert reordered[tuple(nearest_voxels(xyz, grid.affine, grid.shape)[0])] == data[voxel]


def test_the_model_grid_worked_out_by_hand():
    # 10 voxels of 2 mm from 100 mm: centres 100..118, edges 99..119; 20 voxels of 1 mm from 99.5
    affine = np.diag([2.0, 1.0, 1.0, 1.0])
    affine[0, 3] = 100
    grid = model_grid(affine, (10, 5, 5))
    assert grid.shape == (20, 5, 5)
    assert grid.affine[:3, 3].tolist() == [99.5, 0, 0]
    assert grid.voxel_mm3 == 1


def test_an_oblique_scan_keeps_its_axes():
    affine = oriented("RAS", (1, 1, 1), (9, 9, 9), (10, 5, -8))
    grid = model_grid(affine, (9, 9, 9))
    assert largest_shift_mm(grid.affine, affine, (9, 9, 9)) < 1e-9


@settings(max_examples=80, deadline=None)
@given(affines, st.sampled_from(CODES))
def test_the_model_grid_is_orthogonal_and_contains_the_field_of_view(scan, code):
    affine, shape = scan
    grid = model_grid(affine, shape, code, (1.0, 1.0, 1.0))
    assert np.allclose(grid.affine[:3, :3].T @ grid.affine[:3, :3], np.eye(3), atol=1e-9)
    assert "".join(aff2axcodes(grid.affine)) == code
    index = apply_affine(np.linalg.inv(grid.affine), corners(affine, shape))
    assert (index > -0.5 - 2e-3).all()
    assert (index < np.array(grid.shape) - 0.5 + 2e-3).all()


@settings(max_examples=60, deadline=None)
@given(affines, st.data())
def test_a_voxel_has_the_same_position_after_resampling_cropping_and_restoring(scan, data):
    affine, shape = scan
    voxel = np.array([data.draw(st.integers(0, n - 1)) for n in shape])
    world = apply_affine(affine, voxel)
    grid = model_grid(affine, shape)
    field_of_view = inside_image(affine, shape, grid)
    box = crop_grid(field_of_view, grid.affine, (40, 40, 40))
    in_box = apply_affine(index_map(box.affine, affine), voxel)
    assert np.allclose(apply_affine(box.affine, in_box), world, atol=1e-6)
    assert np.allclose(apply_affine(index_map(affine, box.affine), in_box), voxel, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(affines)
def test_linear_resampling_keeps_world_coordinates(scan):
    """Linear interpolation of an image of its world coordinates returns those of each voxel."""
    affine, shape = scan
    index = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), -1)
    for axis in range(3):
        image = apply_affine(affine, index)[..., axis]
        grid = model_grid(affine, shape)
        resampled = resample(image, affine, grid, "linear")
        target = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), -1)
        source = apply_affine(index_map(affine, grid.affine), target)
        inside = ((source >= 0) & (source <= np.array(shape) - 1)).all(-1)
        expected = apply_affine(grid.affine, target)[..., axis]
        assert np.allclose(resampled[inside], expected[inside], atol=2e-3)


@pytest.mark.parametrize("interpolation", ["linear", "bspline", "welch", "nearest"])
def test_every_interpolation_keeps_a_smooth_image(interpolation):
    affine = oriented("LIA", (0.8, 1.1, 1.6), (30, 28, 24), (6, -4, 9))
    index = np.stack(np.meshgrid(*[np.arange(n) for n in (30, 28, 24)], indexing="ij"), -1)
    centre = apply_affine(affine, [15, 14, 12])

    def blob(xyz):
        return 100 * np.exp(-((xyz - centre) ** 2).sum(-1) / (2 * 5.0**2))

    grid = model_grid(affine, (30, 28, 24))
    resampled = resample(blob(apply_affine(affine, index)), affine, grid, interpolation)
    target = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), -1)
    xyz = apply_affine(grid.affine, target)
    near = np.linalg.norm(xyz - centre, axis=-1) < 6
    bound = {"linear": 2.5, "bspline": 0.2, "welch": 0.5, "nearest": 15}[interpolation]
    assert np.abs(resampled - blob(xyz))[near].max() < bound


def test_the_box_is_centred_on_the_rounded_up_centre_of_mass():
    mask = np.zeros((20, 20, 20), bool)
    mask[4:8, 5:8, 6:10] = True  # centres 5.5, 6, 7.5 -> 6, 6, 8
    box = crop_grid(mask, np.eye(4), (10, 8, 10))
    assert box.affine[:3, 3].tolist() == [1, 2, 3]


def test_the_box_moves_up_if_it_would_cut_the_top_of_the_brain():
    mask = np.zeros((8, 8, 60), bool)
    mask[:, :, 0:10] = True  # a heavy base
    mask[4, 4, 10:40] = True  # and a thin neck up to slice 39
    centre = int(np.ceil(np.nonzero(mask)[2].mean()))
    box = crop_grid(mask, np.eye(4), (8, 8, 20))
    start, end = centre - 10, centre + 10
    assert end <= 39
    assert box.affine[2, 3] == start + (39 - end + 5)


def test_the_box_moves_to_superior_in_an_image_stored_upside_down():
    mask = np.zeros((8, 8, 60), bool)
    mask[:, :, 0:10] = True
    mask[4, 4, 10:40] = True
    flipped_affine = np.diag([1.0, 1, -1, 1])
    flipped_affine[2, 3] = 59
    box = crop_grid(mask, np.eye(4), (8, 8, 21))
    flipped = crop_grid(mask[:, :, ::-1], flipped_affine, (8, 8, 21))
    top = corners(box.affine, box.shape)[:, 2].max()
    assert corners(flipped.affine, flipped.shape)[:, 2].max() == top


def test_an_empty_mask_is_refused():
    with pytest.raises(LesionflowError, match="empty"):
        crop_grid(np.zeros((3, 3, 3), bool), np.eye(4), (2, 2, 2))


def test_paste_pads_with_zeros_and_keeps_world_positions():
    data = np.arange(27.0).reshape(3, 3, 3) + 1
    shifted = np.eye(4)
    shifted[:3, 3] = [-1, 1, 0]
    box = paste(data, np.eye(4), Grid(shifted, (5, 2, 3)))
    assert box[0].max() == 0
    assert box[1, 0, 0] == data[0, 1, 0]
    assert box[4].max() == 0


def test_pasting_into_a_grid_inside_the_image_is_a_view():
    data = np.arange(27.0).reshape(3, 3, 3)
    shifted = np.eye(4)
    shifted[:3, 3] = [1, 0, 1]
    box = paste(data, np.eye(4), Grid(shifted, (2, 3, 2)), np.nan)
    assert np.shares_memory(box, data)
    assert box.tolist() == data[1:, :, 1:].tolist()


def test_paste_refuses_a_flipped_grid():
    with pytest.raises(ValueError, match="whole voxels"):
        paste(np.zeros((3, 3, 3)), np.eye(4), Grid(np.diag([-1.0, 1, 1, 1]), (3, 3, 3)))


def test_the_nearest_voxel_is_inside_the_image():
    assert nearest_voxels(np.array([[-9.0, 1.4, 99]]), np.eye(4), (3, 3, 3)).tolist() == [[0, 1, 2]]
