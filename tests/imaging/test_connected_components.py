"""Largest components, with results worked out by hand."""

import numpy as np
import pytest

from lesionflow.imaging.connected_components import (
    fill_holes,
    keep_largest_components,
    largest_component,
    map_numbers,
)

LABELS = [2, 41]
COMPONENTS = {"threshold": 0.25, "connectivity": 6, "overall": True, "classes": [[2], [41]]}


def line(*labels):
    """Probabilities along one axis; that of the background completes the sum of the labels to 1."""
    maps = np.array(labels, np.float32).T.reshape(-1, 1, 1, len(labels))
    return np.concatenate([1 - maps.sum(axis=3, keepdims=True), maps], axis=3)


def test_only_the_largest_component_of_all_and_then_of_each_class_is_kept():
    left = [0.6, 0.7, 0.8, 0.0, 0.3, 0.0, 0.9, 0.0]
    right = [0.0, 0.0, 0.1, 0.9, 0.5, 0.0, 0.0, 0.2]
    kept = keep_largest_components(line(left, right), LABELS, COMPONENTS)[:, 0, 0]
    # The largest component of both labels is the first five voxels, that of the left label the first three:
    # its fifth voxel is a component of one voxel.
    np.testing.assert_allclose(kept[:, 1], [0.6, 0.7, 0.8 / 0.9, 0, 0, 0, 0, 0], atol=1e-6)
    # 0.1 is not above the threshold and becomes 0; the probabilities of a voxel sum to 1 again.
    np.testing.assert_allclose(kept[:, 2], [0, 0, 0, 0.9, 0.5 / 0.7, 0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(kept.sum(axis=1), 1, atol=1e-6)


def test_a_voxel_without_any_probability_left_is_background():
    maps = line([0.0, 0.9, 0.9, 0.0, 1.0], [0.0] * 5)
    assert maps[4, 0, 0, 0] == 0
    kept = keep_largest_components(maps, LABELS, COMPONENTS)
    assert kept[4, 0, 0].tolist() == [1, 0, 0]
    assert np.isfinite(kept).all()


def test_a_class_of_several_labels_is_one_structure():
    maps = line([0.9, 0.0, 0.9, 0.0], [0.0, 0.9, 0.0, 0.0])
    one_class = keep_largest_components(maps.copy(), LABELS, {**COMPONENTS, "classes": [[2, 41]]})
    np.testing.assert_allclose(one_class, maps)
    two_classes = keep_largest_components(maps.copy(), LABELS, COMPONENTS)
    assert two_classes[:, 0, 0, 1].tolist() != maps[:, 0, 0, 1].tolist()


def test_without_overall_only_the_classes_count():
    maps = line([0.9, 0.9, 0.0, 0.0], [0.0, 0.0, 0.0, 0.9])
    kept = keep_largest_components(maps.copy(), LABELS, {**COMPONENTS, "overall": False})
    np.testing.assert_allclose(kept, maps)
    kept = keep_largest_components(maps.copy(), LABELS, COMPONENTS)
    assert kept[3, 0, 0].tolist() != maps[3, 0, 0].tolist()


def test_the_threshold_is_strict_and_the_connectivity_counts():
    diagonal = np.zeros((3, 3, 3), bool)
    diagonal[0, 0, 0] = diagonal[1, 1, 1] = diagonal[2, 2, 2] = True
    assert largest_component(diagonal, 6).sum() == 1
    assert largest_component(diagonal, 26).sum() == 3
    assert not largest_component(diagonal & False, 6).any()
    maps = line([0.25, 0.25, 0.0, 0.0], [0.0, 0.0, 0.0, 0.75])
    assert keep_largest_components(maps, LABELS, COMPONENTS)[0, 0, 0].tolist() == [1, 0, 0]


@pytest.mark.parametrize("size", [5, 80])
def test_a_hole_is_not_connected_to_the_outside_by_shared_faces(size):
    solid = np.ones((size,) * 3, bool)
    solid[0, 0, 2] = False
    holed = solid.copy()
    holed[1, 1, 2] = False  # shares an edge with the outside
    assert (fill_holes(holed) == solid).all()
    holed[0, 1, 2] = False  # shares a face
    assert (fill_holes(holed) == holed).all()


@pytest.mark.parametrize("order", ["C", "F"])
def test_numbers_are_mapped_to_their_values(order):
    numbers = np.array([0, 1, 2, 2, 0, 1, 0, 2], np.int32).reshape((2, 2, 2), order=order)
    values = np.array([0, 41, 0], np.int16)
    assert map_numbers(numbers, values).tolist() == values[numbers].tolist()
    assert map_numbers(numbers, values).dtype == np.int16
