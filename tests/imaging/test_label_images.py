"""Label images are read with every digit."""

import nibabel as nib
import numpy as np
import pytest

from lesionflow.base.errors import ScanError
from lesionflow.imaging.grids import Grid
from lesionflow.imaging.nifti import read_label_image
from lesionflow.imaging.resampling import resample

AFFINE = np.diag([-2.0, 1.0, 3.0, 1.0])
SHAPE = (3, 4, 2)


def write(path, values, dtype, slope=None):
    image = nib.Nifti1Image(np.asarray(values, dtype).reshape(SHAPE), AFFINE, dtype=dtype)
    image.header.set_xyzt_units("mm")
    image.set_sform(AFFINE, 1)
    image.set_qform(AFFINE, 1)
    if slope:
        image.header.set_slope_inter(slope, 1)
    nib.save(image, path)
    return path


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("size", [24, 31, 32, 53])
@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "u4", "i8", "u8", "f4", "f8"])
def test_every_label_that_a_type_holds_is_exact(tmp_path, name, size, dtype):
    whole = np.dtype(dtype).kind in "iu"
    largest = int(np.iinfo(dtype).max) if whole else {"f4": 2**24, "f8": 2**53}[dtype]
    largest = min(largest, 2**63 - 1)
    labels = np.array([min(max(2**size + n, 0), largest) for n in range(-12, 12)])
    read, affine = read_label_image(write(tmp_path / name, labels, dtype))
    assert read.dtype == np.int64
    assert read.ravel().tolist() == labels.tolist()
    np.testing.assert_array_equal(affine, AFFINE)


def test_labels_stay_exact_on_another_grid(tmp_path):
    labels = np.arange(24) + 312_782_583
    read, affine = read_label_image(write(tmp_path / "a.nii", labels, "i4"))
    finer = Grid(affine @ np.diag([0.5, 0.5, 0.5, 1.0]), (6, 8, 4))
    for turn in (
        np.eye(4),
        np.array([[0.8, -0.6, 0, 0], [0.6, 0.8, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
    ):
        resampled = resample(read, affine, Grid(turn @ finer.affine, finer.shape), "nearest")
        assert resampled.dtype == np.int64
        assert set(np.unique(resampled)) <= {0, *labels}
        assert resampled.max() > 312_782_590


def test_rounding_of_floating_point_numbers_is_undone(tmp_path):
    values = np.arange(24) + 1e-5
    values[[0, 1]] = np.nan, np.inf
    read, _ = read_label_image(write(tmp_path / "a.nii", values, "f4"))
    assert read.ravel().tolist() == [0, 0, *range(2, 24)]


def test_scaled_labels_are_scaled(tmp_path):
    read, _ = read_label_image(write(tmp_path / "a.nii", np.arange(24), "i2", slope=3))
    assert read.ravel().tolist() == [3 * n + 1 for n in range(24)]


def test_interpolated_labels_are_refused(tmp_path):
    values = np.arange(24.0)
    values[5:8] += 0.25
    path = write(tmp_path / "a.nii", values, "f4")
    with pytest.raises(ScanError, match="3 voxels are not whole numbers, such as 5.25") as error:
        read_label_image(path)
    assert str(path) in str(error.value)


def test_labels_of_more_than_64_bits_are_refused(tmp_path):
    values = np.zeros(24)
    values[3] = 2.0**64
    with pytest.raises(ScanError, match="more than 64 bits"):
        read_label_image(write(tmp_path / "a.nii", values, "f8"))
