"""Checks of the voxels and the position of an image."""

import nibabel as nib
import numpy as np
import pytest

from lesionflow.base.errors import ScanError
from lesionflow.imaging.grids import Grid
from lesionflow.imaging.image_checks import check_finite_in_brain, check_overlap, finite_values

SHAPE = (4, 5, 6)
AFFINE = np.diag([2.0, 1.0, 3.0, 1.0])


def image(data, affine=AFFINE):
    return nib.Nifti1Image(np.asarray(data, np.float32), affine)


def ramp(nonfinite=()):
    data = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)
    for index, value in nonfinite:
        data[index] = value
    return data


def test_values_that_are_not_finite_become_0_and_are_counted():
    data = ramp([((0, 0, 1), np.nan), ((3, 4, 5), np.inf), ((1, 2, 3), -np.inf)])
    values, n_nonfinite = finite_values(image(data), "a.nii")
    assert n_nonfinite == 3
    expected = ramp([((0, 0, 1), 0), ((3, 4, 5), 0), ((1, 2, 3), 0)])
    np.testing.assert_array_equal(values, expected)


def test_finite_values_are_unchanged():
    values, n_nonfinite = finite_values(image(ramp()), "a.nii")
    assert n_nonfinite == 0
    np.testing.assert_array_equal(values, ramp())


@pytest.mark.parametrize(
    ("value", "text"), [(7.0, "every voxel is 7"), (np.nan, "every voxel is not a number")]
)
def test_an_image_of_one_value_is_refused(value, text):
    with pytest.raises(ScanError, match=f"a.nii is not an image: {text}"):
        finite_values(image(np.full(SHAPE, value)), "a.nii")


def test_an_image_of_one_value_and_nan_is_refused():
    data = np.full(SHAPE, 3.0)
    data[0, 0, 0] = np.nan
    with pytest.raises(ScanError, match="every voxel is 3"):
        finite_values(image(data), "a.nii")


def test_images_that_touch_by_one_voxel_overlap():
    grid = Grid(AFFINE, SHAPE)
    shifted = AFFINE.copy()
    shifted[0, 3] = 6  # the first plane of the image is the last one of the grid
    check_overlap(image(ramp(), shifted), "a.nii", grid, "b.nii", grid)
    shifted[0, 3] = 8
    with pytest.raises(
        ScanError, match=r"a.nii and b.nii do not overlap .* x 7.0 to 15.0"
    ) as error:
        check_overlap(image(ramp(), shifted), "a.nii", grid, "b.nii", grid)
    assert "x -1.0 to 7.0, y -0.5 to 4.5, z -1.5 to 16.5 mm" in str(error.value)


def test_only_voxels_inside_the_brain_have_to_be_finite():
    grid = Grid(np.diag([-1.0, 1.0, 1.0, 1.0]), (7, 5, 18))  # flipped, and finer than the image
    brain = np.zeros(grid.shape, bool)
    brain[2, 3, 6] = True  # at x -2 mm, y 3 mm, z 6 mm: voxel 1, 3, 2 of the image
    affine = np.diag([-2.0, 1.0, 3.0, 1.0])
    outside = image(ramp([((0, 3, 2), np.nan), ((1, 3, 1), np.nan)]), affine)
    check_finite_in_brain(outside, "a.nii", brain, grid)
    inside = image(ramp([((1, 3, 2), np.nan), ((0, 0, 0), np.nan)]), affine)
    with pytest.raises(ScanError, match="a.nii: 1 voxels inside the brain mask are not finite"):
        check_finite_in_brain(inside, "a.nii", brain, grid)
