"""What is computed axis by axis, held against ITK, SciPy and plain formulas."""

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
from lesionflow.imaging.resampling import field_of_view
from support.volumes import CODES, noise, oriented, save_scan

SIDES = st.tuples(*[st.integers(3, 14)] * 3)
SPACINGS = st.tuples(*[st.sampled_from([0.5, 0.7, 1.0, 2.5])] * 3)


def itks(data, matrix, shape, method):
    image = sitk.GetImageFromArray(np.ascontiguousarray(data.T))
    turn = sitk.AffineTransform(matrix[:3, :3].ravel().tolist(), matrix[:3, 3].tolist())
    grid = [int(n) for n in shape], turn, method, (0.0,) * 3, (1.0,) * 3, np.eye(3).ravel().tolist()
    return sitk.GetArrayFromImage(sitk.Resample(image, *grid)).T


@settings(max_examples=80, deadline=None)
@given(SIDES, SIDES, SPACINGS, SPACINGS, st.sampled_from(CODES), st.integers(0, 2**32 - 1))
def test_itks_nearest_and_linear(sides, wanted, mm, wanted_mm, code, seed):
    rng = np.random.default_rng(seed)
    own = oriented(code, mm, sides, origin=rng.normal(0, 4, 3))
    matrix = index_map(own, oriented("RAS", wanted_mm, wanted, origin=rng.normal(0, 4, 3)))
    numbers = np.asfortranarray(rng.integers(0, 10**6, sides).astype(np.int32))
    ours = nearest(numbers, matrix, wanted)
    assert ours is not None and ours.dtype == np.int32
    assert np.array_equal(ours, itks(numbers, matrix, wanted, sitk.sitkNearestNeighbor))
    values = rng.random(sides).astype(np.float32)
    theirs = itks(values, matrix, wanted, sitk.sitkLinear)
    assert np.abs(linear(values, matrix, wanted) - theirs).max() < 2e-7


def test_half_way_between_two_voxels_and_on_turned_axes_itk_is_asked():
    data = noise((8, 8, 8))
    half = np.diag([2.0, 2, 2, 1])
    half[:3, 3] = 0.5
    assert nearest(data, half, (4, 4, 4)) is None
    turned = oriented("RAS", (1, 1, 1), (8, 8, 8), rotation=(5, 0, 0))
    assert nearest(data, turned, (8, 8, 8)) is None
    assert linear(data, turned, (8, 8, 8)) is None


@settings(max_examples=80, deadline=None)
@given(
    SIDES, SIDES, st.sampled_from(CODES), st.sampled_from([0, 1e-6, 0.01, 20]), st.integers(0, 99)
)
def test_the_field_of_view_is_where_an_index_is_inside_however_little_the_axes_turn(
    sides, wanted, code, angle, seed
):
    rng = np.random.default_rng(seed)
    own = oriented(code, (0.7, 1, 2), sides, rotation=rng.normal(0, angle, 3))
    grid = Grid(oriented("RAS", (1, 1, 1), wanted, origin=rng.integers(-5, 9, 3)), wanted)
    matrix = index_map(own, grid.affine)
    index = np.einsum("ab,bxyz->axyz", matrix[:3, :3], np.indices(wanted)) + matrix[:3, 3].reshape(
        3, 1, 1, 1
    )
    ends = np.reshape(sides, (3, 1, 1, 1)) - 0.5 + 1e-6
    assert np.array_equal(
        field_of_view(own, sides, grid), ((index >= -0.5 - 1e-6) & (index <= ends)).all(0)
    )


@given(st.tuples(*[st.integers(1, 6)] * 3), st.integers(0, 2**32 - 1))
def test_the_surface_is_what_an_erosion_takes_and_the_box_what_scipy_finds(sides, seed):
    rng = np.random.default_rng(seed)
    brain, view = (rng.random((2, *sides)) < rng.random()).view(bool)
    surface, edge = (part & ~ndimage.binary_erosion(part) for part in (brain, view))
    assert edge_share(brain, view) == (surface & edge).sum() / max(surface.sum(), 1)
    if brain.any():
        assert bounding_box(brain) == ndimage.find_objects(brain.astype(int))[0]


@pytest.mark.parametrize(
    "dtype, slope, sure",
    [(np.int16, None, True), (np.int16, (2, 0), False), (np.float32, None, False)],
)
def test_only_plain_integers_are_surely_finite(tmp_path, dtype, slope, sure):
    path = save_scan(tmp_path / "a.nii.gz", noise(dtype=dtype), slope=slope)
    assert isinstance(nib.load(path), nib.Nifti1Image)
    assert is_integer_image(path) is sure
