"""Grids and sampling as the cards of the families ask for them, held against the published rules."""

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

from lesionflow.imaging.grids import axis_codes, largest_shift_mm, reach
from lesionflow.imaging.resampling import on_grid, resample, whole_grid
from support.card_defaults import default
from support.volumes import CODES, oriented

SYNTHSEG = default(
    "input", spacing_tolerance_mm=0.05, align="corner", blur=0.25, outside="edge", crop=None
)


def synthseg_way(volume, affine):
    """SynthSeg's resampling to 1 mm and its turn to RAS, by the contract's formulas (MODELS: its section 2)."""
    pixdim = np.linalg.norm(affine[:3, :3], axis=0)
    if ((pixdim >= 0.95) & (pixdim <= 1.05)).all():
        out, new = volume.astype(float), affine.copy()
    else:
        sigma = np.where(pixdim > 1, 0, 0.25 / pixdim)
        smooth = ndimage.gaussian_filter(volume.astype(float), sigma)
        axes = [np.arange(n) for n in volume.shape]
        sample = RegularGridInterpolator(axes, smooth)
        start = -(pixdim - 1) / (2 * pixdim)
        places = [
            (s + np.arange(np.ceil(n * f - 1e-9)) / f).clip(0, n - 1)
            for s, n, f in zip(start, volume.shape, pixdim, strict=True)
        ]
        out = sample(np.stack(np.meshgrid(*places, indexing="ij"), axis=-1))
        new = affine.copy()
        new[:3, :3] /= pixdim
        new[:3, 3] = apply_affine(affine, start)
    turn = ornt_transform(io_orientation(new), axcodes2ornt("RAS"))
    return apply_orientation(out, turn), new


@pytest.mark.parametrize("code", ["RAS", "LIA", "PSR", "ARI"])
@pytest.mark.parametrize("spacing", [(0.6, 0.7, 2.2), (0.88, 1.0, 1.3), (1.04, 0.96, 1.0)])
def test_synthsegs_resampling(code, spacing):
    volume = ndimage.gaussian_filter(np.random.default_rng(1).random((23, 19, 12)), 0.7)
    affine = oriented(code, spacing, (0, 0, 0))
    expected, _ = synthseg_way(volume, affine)
    grid = whole_grid(affine, volume.shape, SYNTHSEG)
    assert grid.shape == expected.shape
    assert aff2axcodes(grid.affine) == ("R", "A", "S")
    found = on_grid(volume.astype(np.float32), affine, grid, SYNTHSEG)
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_a_spacing_within_the_tolerance_is_kept():
    affine = np.diag([1.04, 0.96, 1.05, 1])
    grid = whole_grid(affine, (5, 6, 7), SYNTHSEG)
    assert largest_shift_mm(grid.affine, affine, (5, 6, 7)) < 1e-6
    assert grid.shape == (5, 6, 7)
    affine[2, 2] = 1.06
    assert whole_grid(affine, (5, 6, 7), SYNTHSEG).affine[0, 0] == pytest.approx(1)


@settings(max_examples=40, deadline=None)
@given(code=st.sampled_from(CODES), turns=st.integers(0, 3), angle=st.floats(-20, 20))
def test_quarter_turns_are_numpys(code, turns, angle):
    shape = (4, 5, 6)
    affine = oriented(code, (1.0, 1.5, 2.0), shape, (angle, 0, 0))
    wanted = default("input", orientation="stored", quarter_turns=turns, spacing_mm=None)
    data = np.arange(120.0).reshape(shape).astype(np.float32)
    grid = whole_grid(affine, shape, wanted)
    found = on_grid(data, affine, grid, wanted)
    np.testing.assert_array_equal(found, np.rot90(data, turns, (0, 1)))
    assert axis_codes(affine, "stored") == "".join(aff2axcodes(affine))


def test_the_blur_is_that_of_the_coarser_grid_only():
    data = np.zeros((21, 21, 21), np.float32)
    data[10, 10, 10] = 1
    coarse = whole_grid(np.eye(4), data.shape, default("input", spacing_mm=[0.5, 1, 3]))
    found = resample(data, np.eye(4), coarse, "nearest", blur=0.5)
    spread = ndimage.gaussian_filter(data, [0, 0.5, 1.5])
    assert found[:, 10, :].max() == pytest.approx(spread[10, 10, 9:12].max(), rel=1e-5)
    with pytest.raises(ValueError, match="edge goes with interpolation linear"):
        resample(data, np.eye(4), coarse, "welch", outside="edge")


def test_where_an_image_reaches():
    affine = np.diag([-1.0, 2, 3, 1])
    affine[:3, 3] = [10, 0, 0]
    assert reach(affine, (4, 5, 6)) == "x 6.5 to 10.5, y -1.0 to 9.0, z -1.5 to 16.5 mm"
