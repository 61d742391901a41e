"""Convolutions of upsampled maps as sums of transposed convolutions of small maps, in NumPy."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lesionflow.networks.importing import upsampling_algebra
from lesionflow.networks.importing.upsampling_algebra import (
    crop_of_doubled,
    may_be_doubled,
    tap_sums,
    terms,
)
from support.upsampled_places import (
    ENDS,
    assert_convolved,
    convolved,
    cropped,
    doubled,
    places,
    random,
)


def summed(small, kernel, crop):
    """Sum of the terms for an array (1, in, *n), computed tap by tap."""
    total = 0
    for term in terms(kernel, small.shape[2:], crop):
        x = small[(..., *(slice(*ends) for ends in term.planes))]
        k, strides = term.kernel.shape[2:], term.strides
        n = x.shape[2:]
        whole = [(a - 1) * s + b for a, s, b in zip(n, strides, k, strict=True)]
        result = np.zeros((1, term.kernel.shape[1], *whole))
        for tap in product(*map(range, k)):
            at = [slice(t, t + a * s, s) for t, a, s in zip(tap, n, strides, strict=True)]
            taps = term.kernel[(..., *tap)].astype(float)
            result[(..., *at)] += np.einsum("bi...,io->bo...", x.astype(float), taps)
        total = total + np.pad(cropped(result, term.cropping), [(0, 0), (0, 0), *term.padding])
    return total


def test_tap_sums_by_hand():
    whole, first, last = tap_sums(3)
    assert whole.tolist() == [[0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]]
    assert first.tolist() == [[1, 0, 0]]
    assert last.tolist() == [[0, 0, 1]]
    assert tap_sums(1)[0].tolist() == [[1], [1]]
    assert [ends.size for ends in tap_sums(1)[1:]] == [0, 0]


@pytest.mark.parametrize(
    ("crop", "expected"),
    [
        # 1 1 10 10 by 1 2 4: 2 + 4, 1 + 2 + 40, 1 + 20 + 40, 10 + 20
        ((0, 0), [6, 43, 61, 30]),
        ((0, 1), [6, 43, 21]),  # 1 1 10: the last one is 1 + 20
        ((1, 0), [42, 61, 30]),  # 1 10 10: the first one is 2 + 40
        ((1, 1), [42, 21]),
    ],
)
def test_rows_by_hand(crop, expected):
    kernel = np.array([1, 2, 4]).reshape(1, 1, 3)
    assert summed(np.array([[[1, 10]]]), kernel, [crop])[0, 0].tolist() == expected


@settings(max_examples=100, deadline=None)
@given(places(), st.integers(0, 99))
def test_the_terms_sum_to_the_convolution_of_the_upsampled_map(place, seed):
    small = random(1, 2, *place.n, seed=seed)
    kernel = random(3, 2, *place.sides[0], seed=seed + 1)
    upsampled = cropped(doubled(small), place.crop)
    assert_convolved(summed(small, kernel, place.crop), upsampled, kernel)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(lambda whole, first, last: (whole, first, 0 * last), id="row beside the cut"),
        pytest.param(lambda whole, first, last: (whole[::-1], first, last), id="taps reversed"),
        pytest.param(lambda whole, first, last: (whole, first, first), id="other side's taps"),
    ],
)
def test_wrong_taps_are_detected(monkeypatch, wrong):
    monkeypatch.setattr(upsampling_algebra, "tap_sums", lambda size: wrong(*tap_sums(size)))
    small, kernel, crop = random(1, 2, 4, 5), random(3, 2, 3, 3, seed=1), [(0, 0), (0, 1)]
    expected = convolved(cropped(doubled(small), crop), kernel)
    assert np.abs(summed(small, kernel, crop) - expected).max() > 1e-2


@given(
    st.lists(st.tuples(st.integers(1, 4), st.sampled_from(ENDS)), min_size=1, max_size=3),
    st.integers(0, 99),
)
def test_the_crop_is_recovered(axes, seed):
    axes = [(n + (sum(ends) == 2), ends) for n, ends in axes]  # a plane is left
    n, crop = zip(*axes, strict=True)
    small = np.random.default_rng(seed).permutation(np.prod(n)).reshape(1, 1, *n)
    large = cropped(doubled(small), crop)
    assert may_be_doubled(n, large.shape[2:], 1)
    recovered = crop_of_doubled(small, large)
    assert np.array_equal(cropped(doubled(small), recovered), large)
    if min(n) > 1:  # of one plane, doubled, either may be missing
        assert recovered == crop


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda x: np.concatenate([x, x], 2).repeat(2, 3), id="tiled"),
        pytest.param(lambda x: doubled(x)[:, :, ::-1], id="reversed"),
        pytest.param(lambda x: doubled(x)[:, :, 2:], id="two planes cut on one side"),
        pytest.param(lambda x: doubled(x) + (np.arange(12) == 5)[:, None], id="one plane changed"),
    ],
)
def test_maps_that_are_not_upsampled_have_no_crop(make):
    small = np.random.default_rng(0).permutation(6 * 4).reshape(1, 1, 6, 4)
    assert crop_of_doubled(small, make(small)) is None


def test_sizes_that_cannot_be_upsampled():
    assert may_be_doubled([3, 4], [6, 6], 12)
    assert not may_be_doubled([3, 4], [6, 6], 13)  # too few voxels to gain by it
    assert not may_be_doubled([3, 4], [7, 8], 1)
    assert not may_be_doubled([3, 4], [6, 5], 1)
