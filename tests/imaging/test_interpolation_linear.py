"""Computations axis by axis, compared with ITK, SciPy and direct formulas."""

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from lesionflow.imaging.brain_mask import edge_share
from lesionflow.imaging.grids import Grid, bounding_box, index_map
from lesionflow.imaging.interpolation import linear, nearest
from lesionflow.imaging.nifti import is_integer_image
from lesionflow.imaging.resampling import inside_image
from support.volumes import CODES, noise, oriented, save_scan

SIDES = st.tuples(*[st.integers(3, 14)] * 3)
SPACINGS = st.tuples(*[st.sampled_from([0.5, 0.7, 1.0, 2.5])] * 3)


def by_itk(data, matrix, shape, method):
    image = sitk.GetImageFromArray(np.ascontiguousarray(data.T))
    transform = sitk.AffineTransform(matrix[:3, :3].ravel().tolist(), matrix[:3, 3].tolist())
    size, identity = [int(n) for n in shape], np.eye(3).ravel().tolist()
    resampled = sitk.Resample(image, size, transform, method, (0.0,) * 3, (1.0,) * 3, identity)
    return sitk.GetArrayFromImage(resampled).T


@settings(max_examples=80, deadline=None)
@given(SIDES, SIDES, SPACINGS, SPACINGS, st.sampled_from(CODES), st.integers(0, 2**32 - 1))
def test_nearest_and_linear_have_the_values_of_itk(
    source_shape, shape, source_spacing, spacing, code, seed
):
    rng = np.random.default_rng(seed)
    source_affine = oriented(code, source_spacing, source_shape, origin=rng.normal(0, 4, 3))
    affine = oriented("RAS", spacing, shape, origin=rng.normal(0, 4, 3))
    matrix = index_map(source_affine, affine)
    labels = np.asfortranarray(rng.integers(0, 10**6, source_shape).astype(np.int32))
    resampled = nearest(labels, matrix, shape)
    assert resampled is not None and resampled.dtype == np.int32
    assert np.array_equal(resampled, by_itk(labels, matrix, shape, sitk.sitkNearestNeighbor))
    values = rng.random(source_shape).astype(np.float32)
    expected = by_itk(values, matrix, shape, sitk.sitkLinear)
    assert np.abs(linear(values, matrix, shape) - expected).max() < 2e-7


def test_positions_half_way_between_voxels_and_rotated_axes_are_left_to_itk():
    data = noise((8, 8, 8))
    half_way = np.diag([2.0, 2, 2, 1])
    half_way[:3, 3] = 0.5
    assert nearest(data, half_way, (4, 4, 4)) is None
    rotated = oriented("RAS", (1, 1, 1), (8, 8, 8), rotation=(5, 0, 0))
    assert nearest(data, rotated, (8, 8, 8)) is None
    assert linear(data, rotated, (8, 8, 8)) is None


@settings(max_examples=80, deadline=None)
@given(
    SIDES, SIDES, st.sampled_from(CODES), st.sampled_from([0, 1e-6, 0.01, 20]), st.integers(0, 99)
)
def test_voxels_inside_an_image_have_indices_inside_it_for_any_rotation(
    image_shape, shape, code, angle, seed
):
    rng = np.random.default_rng(seed)
    affine = oriented(code, (0.7, 1, 2), image_shape, rotation=rng.normal(0, angle, 3))
    grid = Grid(oriented("RAS", (1, 1, 1), shape, origin=rng.integers(-5, 9, 3)), shape)
    matrix = index_map(affine, grid.affine)
    index = np.einsum("ab,bxyz->axyz", matrix[:3, :3], np.indices(shape))
    index = index + matrix[:3, 3].reshape(3, 1, 1, 1)
    ends = np.reshape(image_shape, (3, 1, 1, 1)) - 0.5 + 1e-6
    expected = ((index >= -0.5 - 1e-6) & (index <= ends)).all(0)
    assert np.array_equal(inside_image(affine, image_shape, grid), expected)


@given(st.tuples(*[st.integers(1, 6)] * 3), st.integers(0, 2**32 - 1))
def test_the_surface_is_removed_by_an_erosion_and_the_bounding_box_is_that_of_scipy(shape, seed):
    rng = np.random.default_rng(seed)
    brain, field_of_view = (rng.random((2, *shape)) < rng.random()).view(bool)
    surface, edge = (mask & ~ndimage.binary_erosion(mask) for mask in (brain, field_of_view))
    assert edge_share(brain, field_of_view) == (surface & edge).sum() / max(surface.sum(), 1)
    if brain.any():
        assert bounding_box(brain) == ndimage.find_objects(brain.astype(int))[0]


@pytest.mark.parametrize(
    "dtype, slope, expected",
    [(np.int16, None, True), (np.int16, (2, 0), False), (np.float32, None, False)],
)
def test_only_integers_without_scaling_are_known_to_be_finite(tmp_path, dtype, slope, expected):
    path = save_scan(tmp_path / "a.nii.gz", noise(dtype=dtype), slope=slope)
    assert isinstance(nib.load(path), nib.Nifti1Image)
    assert is_integer_image(path) is expected
