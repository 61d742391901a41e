"""Grey values of a scan, and its indices in RAS order and as stored."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lesionflow.results.pictures.viewed_scan import ViewedScan, grey_window, in_ras
from support.volumes import CODES, oriented

SHAPE = (5, 6, 7)


@settings(deadline=None)
@given(code=st.sampled_from(CODES), voxel=st.tuples(*[st.integers(0, n - 1) for n in SHAPE]))
def test_stored_voxels_are_found_in_ras_order(code, voxel):
    affine = oriented(code, (0.5, 1, 2), SHAPE)
    image = np.arange(210).reshape(SHAPE)
    scan = ViewedScan.from_stored(image, image, affine, (0, 1))
    ras = scan.ras_voxels(np.array(voxel))[0]
    assert scan.image[tuple(ras)] == image[voxel]
    assert np.shares_memory(scan.image, image)
    assert np.array_equal(in_ras(image, affine), scan.lesions)
    for axis in range(3):
        stored = scan.stored_index(axis, int(ras[axis]))
        assert stored == voxel[scan.stored_axes[axis]]
    spacing = {code[0]: 0.5, code[1]: 1, code[2]: 2}
    expected = [next(spacing[c] for c in pair if c in spacing) for pair in ("LR", "PA", "IS")]
    assert scan.spacing_mm == pytest.approx(expected)


def test_the_window_is_that_of_the_brain():
    image = np.zeros((20, 20, 20), np.float32)
    image[:10] = np.linspace(50, 150, 4000).reshape(10, 20, 20)
    image[15] = 9000  # fat
    brain = np.zeros(image.shape, bool)
    brain[:10] = True
    assert grey_window(image, brain) == pytest.approx((50.1, 149.5), abs=0.1)
    image[3, 3, 3] = np.inf
    image[:3] = np.nan
    black, white = grey_window(image, brain)
    assert 79 < black < 81 and white == pytest.approx(149.7, abs=0.3)
    assert grey_window(np.zeros((0, 3, 3)), np.zeros((0, 3, 3), bool)) == (0, 0)


@pytest.mark.parametrize(("value", "window"), [(7, (0, 7)), (0, (0, 0)), (-3, (-3, -3))])
def test_an_image_of_one_intensity_is_white_above_zero(value, window):
    image = np.full((5, 5, 5), value, np.float32)
    for inside in (True, False):
        assert grey_window(image, np.full(image.shape, inside)) == window
