"""Largest pieces, by hand."""

import numpy as np
import pytest

from lesionflow.imaging.connected_components import (
    cleaned,
    largest_piece,
    with_values,
    without_holes,
)

LABELS = [2, 41]
HOW = {"threshold": 0.25, "connectivity": 6, "overall": True, "classes": [[2], [41]]}


def line(*labels):
    """Probabilities along one axis: background is what the labels leave."""
    maps = np.array(labels, np.float32).T.reshape(-1, 1, 1, len(labels))
    return np.concatenate([1 - maps.sum(axis=3, keepdims=True), maps], axis=3)


def test_only_the_largest_piece_of_all_and_then_of_each_class():
    left = [0.6, 0.7, 0.8, 0.0, 0.3, 0.0, 0.9, 0.0]
    right = [0.0, 0.0, 0.1, 0.9, 0.5, 0.0, 0.0, 0.2]
    found = cleaned(line(left, right), LABELS, HOW)[:, 0, 0]
    # the piece of both is the first five voxels; the left one's is then the first three: at the fifth the
    # right one is more, and the left one is a piece of one voxel
    np.testing.assert_allclose(found[:, 1], [0.6, 0.7, 0.8 / 0.9, 0, 0, 0, 0, 0], atol=1e-6)
    # 0.1 is not above the threshold: no piece, so 0; what is left of a voxel sums to 1
    np.testing.assert_allclose(found[:, 2], [0, 0, 0, 0.9, 0.5 / 0.7, 0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)


def test_a_voxel_that_loses_everything_is_background():
    maps = line([0.0, 0.9, 0.9, 0.0, 1.0], [0.0] * 5)
    assert maps[4, 0, 0, 0] == 0
    found = cleaned(maps, LABELS, HOW)
    assert found[4, 0, 0].tolist() == [1, 0, 0]
    assert np.isfinite(found).all()


def test_classes_of_several_labels_hang_together():
    maps = line([0.9, 0.0, 0.9, 0.0], [0.0, 0.9, 0.0, 0.0])
    both = cleaned(maps.copy(), LABELS, {**HOW, "classes": [[2, 41]]})
    np.testing.assert_allclose(both, maps)
    apart = cleaned(maps.copy(), LABELS, HOW)
    assert apart[:, 0, 0, 1].tolist() != maps[:, 0, 0, 1].tolist()


def test_without_the_whole_the_classes_alone_count():
    maps = line([0.9, 0.9, 0.0, 0.0], [0.0, 0.0, 0.0, 0.9])
    found = cleaned(maps.copy(), LABELS, {**HOW, "overall": False})
    np.testing.assert_allclose(found, maps)
    found = cleaned(maps.copy(), LABELS, HOW)
    assert found[3, 0, 0].tolist() != maps[3, 0, 0].tolist()


def test_the_threshold_is_strict_and_neighbours_count():
    inside = np.zeros((3, 3, 3), bool)
    inside[0, 0, 0] = inside[1, 1, 1] = inside[2, 2, 2] = True
    assert largest_piece(inside, 1).sum() == 1
    assert largest_piece(inside, 3).sum() == 3
    assert not largest_piece(inside & False, 1).any()
    maps = line([0.25, 0.25, 0.0, 0.0], [0.0, 0.0, 0.0, 0.75])
    assert cleaned(maps, LABELS, HOW)[0, 0, 0].tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    "size", [5, 80]
)  # few voxels around it are put together here, many by SciPy
def test_a_hole_is_what_no_way_of_shared_faces_leads_out_of(size):
    solid = np.ones((size,) * 3, bool)
    solid[0, 0, 2] = False
    holed = solid.copy()
    holed[1, 1, 2] = False  # shares an edge with the outside
    assert (without_holes(holed) == solid).all()
    holed[0, 1, 2] = False  # a face now
    assert (without_holes(holed) == holed).all()


@pytest.mark.parametrize("order", ["C", "F"])
def test_numbers_get_their_values(order):
    numbers = np.array([0, 1, 2, 2, 0, 1, 0, 2], np.int32).reshape((2, 2, 2), order=order)
    values = np.array([0, 41, 0], np.int16)
    assert with_values(numbers, values).tolist() == values[numbers].tolist()
    assert with_values(numbers, values).dtype == np.int16
