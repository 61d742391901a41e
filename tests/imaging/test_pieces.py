"""Pieces put together without SciPy, held against SciPy's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from lesionflow.imaging import connected_components
from lesionflow.imaging.connected_components import boxes, pieces


@settings(deadline=None)
@given(
    st.tuples(*[st.integers(1, 9)] * 3),
    st.sampled_from([0.0, 0.05, 0.2, 0.5, 0.9, 1.0]),
    st.sampled_from([1, 2, 3]),
    st.integers(0, 2**32 - 1),
)
def test_pieces_are_scipys_in_number_and_order(shape, share, rank, seed):
    inside = np.random.default_rng(seed).random(shape) < share
    numbered, count = pieces(inside, rank)
    theirs, many = ndimage.label(inside, ndimage.generate_binary_structure(3, rank))
    assert count == many
    assert np.array_equal(numbered, theirs)


@given(st.tuples(*[st.integers(1, 9)] * 3), st.integers(0, 6), st.integers(0, 2**32 - 1))
def test_boxes_are_scipys(shape, highest, seed):
    numbers = np.random.default_rng(seed).integers(0, highest + 1, shape)
    found = ndimage.find_objects(numbers)
    assert boxes(numbers) == {n: box for n, box in enumerate(found, start=1) if box}


@pytest.mark.parametrize("rank", [1, 3])
def test_many_voxels_go_to_scipy_with_the_same_result(monkeypatch, rank):
    snake = np.zeros((9, 9, 9), bool)
    snake[::2] = True
    snake[1::4, 8, 8] = snake[3::4, 0, 0] = True  # one long way through all
    here = pieces(snake, rank), boxes(snake.astype(np.int16))
    monkeypatch.setattr(connected_components, "FEW", 0)
    there = pieces(snake, rank), boxes(snake.astype(np.int16))
    assert here[0][1] == there[0][1] == 1
    assert np.array_equal(here[0][0], there[0][0]) and here[1] == there[1]
