"""Windowed-sinc interpolation compared with ITK, and weights worked out by hand."""

import numpy as np
import pytest
import SimpleITK as sitk

from lesionflow.imaging.interpolation import axis_aligned, axis_weights, welch_sinc


def by_itk(data, matrix, shape):
    image = sitk.GetImageFromArray(np.ascontiguousarray(data.T))
    transform = sitk.AffineTransform(matrix[:3, :3].ravel().tolist(), matrix[:3, 3].tolist())
    identity = np.eye(3).ravel().tolist()
    resampled = sitk.Resample(
        image, list(shape), transform, sitk.sitkWelchWindowedSinc, (0.0,) * 3, (1.0,) * 3, identity
    )
    return sitk.GetArrayFromImage(resampled).T


MAPS = {
    "scaled": np.array([[0.7, 0, 0, 0.1], [0, 1.3, 0, -1.2], [0, 0, 0.41, 0.37], [0, 0, 0, 1]]),
    "permuted and flipped": np.array(
        [[0, 0, 0.8, -0.3], [-0.9, 0, 0, 13.2], [0, 1.1, 0, 0.5], [0, 0, 0, 1]]
    ),
    "whole voxels": np.array([[1.0, 0, 0, 2], [0, 1, 0, -1], [0, 0, 1, 0], [0, 0, 0, 1]]),
    "beyond the field of view": np.array(
        [[1.5, 0, 0, -4.3], [0, 1.5, 0, -4.1], [0, 0, 1.5, -3.7], [0, 0, 0, 1]]
    ),
}


@pytest.mark.parametrize("name", MAPS)
def test_welch_sinc_has_the_values_of_itk(name):
    data = np.random.default_rng(0).normal(100, 30, (15, 17, 13)).astype(np.float32)
    shape = (14, 12, 16)
    resampled = welch_sinc(data, MAPS[name], shape)
    assert resampled.shape == shape
    np.testing.assert_allclose(resampled, by_itk(data, MAPS[name], shape), atol=2e-3)


def test_weights_at_voxel_centres_are_those_of_one_voxel():
    weights = axis_weights(np.array([0.0, 3.0, 6.0]), 7)
    np.testing.assert_allclose(weights, np.eye(7)[[0, 3, 6]], atol=1e-12)


def test_weights_half_way_between_voxels_worked_out_by_hand():
    # sinc(1/2) = 2/pi under the window 1 - 0.1**2, on both sides
    weights = axis_weights(np.array([9.5]), 20)
    assert weights[0, 9] == weights[0, 10] == pytest.approx(2 / np.pi * 0.99)


def test_an_index_map_that_is_not_axis_aligned_is_refused():
    sheared = np.eye(4)
    sheared[0, 1] = 0.01
    assert not axis_aligned(sheared, (20, 20, 20))
    with pytest.raises(ValueError, match="rotates the axes"):
        welch_sinc(np.zeros((5, 5, 5)), sheared, (20, 20, 20))
