"""Model grids and resampling with the options of cards, compared with the published pipelines."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.affines import apply_affine
from nibabel.orientations import (
    aff2axcodes,
    apply_orientation,
    axcodes2ornt,
    io_orientation,
    ornt_transform,
)
from scipy import ndimage
from scipy.interpolate import RegularGridInterpolator

from lesionflow.imaging.grids import axis_codes, format_extent, largest_shift_mm
from lesionflow.imaging.resampling import full_grid, resample, resample_channel
from support.card_defaults import default
from support.volumes import CODES, oriented

SYNTHSEG = default(
    "input", spacing_tolerance_mm=0.05, align="corner", blur=0.25, outside="edge", crop=None
)


def resampled_by_synthseg(volume, affine):
    """A volume and its affine after SynthSeg's resampling to 1 mm and reorientation to RAS."""
    pixdim = np.linalg.norm(affine[:3, :3], axis=0)
    if ((pixdim >= 0.95) & (pixdim <= 1.05)).all():
        resampled, new_affine = volume.astype(float), affine.copy()
    else:
        sigma = np.where(pixdim > 1, 0, 0.25 / pixdim)
        smooth = ndimage.gaussian_filter(volume.astype(float), sigma)
        axes = [np.arange(n) for n in volume.shape]
        interpolate = RegularGridInterpolator(axes, smooth)
        start = -(pixdim - 1) / (2 * pixdim)
        positions = [
            (first + np.arange(np.ceil(n * factor - 1e-9)) / factor).clip(0, n - 1)
            for first, n, factor in zip(start, volume.shape, pixdim, strict=True)
        ]
        resampled = interpolate(np.stack(np.meshgrid(*positions, indexing="ij"), axis=-1))
        new_affine = affine.copy()
        new_affine[:3, :3] /= pixdim
        new_affine[:3, 3] = apply_affine(affine, start)
    reorientation = ornt_transform(io_orientation(new_affine), axcodes2ornt("RAS"))
    return apply_orientation(resampled, reorientation), new_affine


@pytest.mark.parametrize("code", ["RAS", "LIA", "PSR", "ARI"])
@pytest.mark.parametrize("spacing", [(0.6, 0.7, 2.2), (0.88, 1.0, 1.3), (1.04, 0.96, 1.0)])
def test_resampling_has_the_values_of_synthseg(code, spacing):
    volume = ndimage.gaussian_filter(np.random.default_rng(1).random((23, 19, 12)), 0.7)
    affine = oriented(code, spacing, (0, 0, 0))
    expected, _ = resampled_by_synthseg(volume, affine)
    grid = full_grid(affine, volume.shape, SYNTHSEG)
    assert grid.shape == expected.shape
    assert aff2axcodes(grid.affine) == ("R", "A", "S")
    resampled = resample_channel(volume.astype(np.float32), affine, grid, SYNTHSEG)
    np.testing.assert_allclose(resampled, expected, atol=2e-5)


def test_a_spacing_within_the_tolerance_is_kept():
    affine = np.diag([1.04, 0.96, 1.05, 1])
    grid = full_grid(affine, (5, 6, 7), SYNTHSEG)
    assert largest_shift_mm(grid.affine, affine, (5, 6, 7)) < 1e-6
    assert grid.shape == (5, 6, 7)
    affine[2, 2] = 1.06
    assert full_grid(affine, (5, 6, 7), SYNTHSEG).affine[0, 0] == pytest.approx(1)


@settings(max_examples=40, deadline=None)
@given(code=st.sampled_from(CODES), turns=st.integers(0, 3), angle=st.floats(-20, 20))
def test_quarter_turns_are_those_of_numpy(code, turns, angle):
    shape = (4, 5, 6)
    affine = oriented(code, (1.0, 1.5, 2.0), shape, (angle, 0, 0))
    input_spec = default("input", orientation="stored", quarter_turns=turns, spacing_mm=None)
    data = np.arange(120.0).reshape(shape).astype(np.float32)
    grid = full_grid(affine, shape, input_spec)
    resampled = resample_channel(data, affine, grid, input_spec)
    np.testing.assert_array_equal(resampled, np.rot90(data, turns, (0, 1)))
    assert axis_codes(affine, "stored") == "".join(aff2axcodes(affine))


def test_only_axes_with_coarser_voxels_are_blurred():
    data = np.zeros((21, 21, 21), np.float32)
    data[10, 10, 10] = 1
    coarse = full_grid(np.eye(4), data.shape, default("input", spacing_mm=[0.5, 1, 3]))
    resampled = resample(data, np.eye(4), coarse, "nearest", blur=0.5)
    blurred = ndimage.gaussian_filter(data, [0, 0.5, 1.5])
    assert resampled[:, 10, :].max() == pytest.approx(blurred[10, 10, 9:12].max(), rel=1e-5)
    with pytest.raises(ValueError, match="edge needs interpolation: linear"):
        resample(data, np.eye(4), coarse, "welch", outside="edge")


def test_the_extent_of_an_image_as_text():
    affine = np.diag([-1.0, 2, 3, 1])
    affine[:3, 3] = [10, 0, 0]
    assert format_extent(affine, (4, 5, 6)) == "x 6.5 to 10.5, y -1.0 to 9.0, z -1.5 to 16.5 mm"
