"""Labelling compared with a flood fill, voxel by voxel."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lesionflow.imaging.connected_components import (
    bounding_boxes,
    label_lesions,
    largest_component,
)

SHAPES = st.tuples(*[st.integers(1, 7)] * 3)
SEEDS = st.integers(0, 2**32 - 1)
SHARED_AXES = {6: 1, 18: 2, 26: 3}


def flood_fill(mask, connectivity):
    """Components as sets of voxels, in the C order of their first voxels."""
    steps = [
        s for s in product((-1, 0, 1), repeat=3) if 0 < np.abs(s).sum() <= SHARED_AXES[connectivity]
    ]
    unvisited = {tuple(map(int, voxel)) for voxel in np.argwhere(mask)}
    components = []
    for first in sorted(unvisited):
        if first not in unvisited:
            continue
        component, waiting = set(), [first]
        unvisited.discard(first)
        while waiting:
            voxel = waiting.pop()
            component.add(voxel)
            neighbours = {tuple(a + b for a, b in zip(voxel, step, strict=True)) for step in steps}
            neighbours &= unvisited
            unvisited -= neighbours
            waiting += neighbours
        components.append(component)
    return components


def voxels(numbers):
    return [
        set(map(tuple, np.argwhere(numbers == n).tolist())) for n in range(1, numbers.max() + 1)
    ]


@settings(deadline=None)
@given(
    SHAPES, st.sampled_from([0.0, 0.05, 0.2, 0.5, 0.9, 1.0]), st.sampled_from([6, 18, 26]), SEEDS
)
def test_lesions_are_the_connected_components_with_the_largest_first(
    shape, share, connectivity, seed
):
    mask = np.random.default_rng(seed).random(shape) < share
    expected = flood_fill(mask, connectivity)
    lesions = voxels(label_lesions(mask.astype(np.int16), connectivity, np.eye(4)))
    assert sorted(map(sorted, lesions)) == sorted(map(sorted, expected))
    sizes = [len(lesion) for lesion in lesions]
    assert sizes == sorted(sizes, reverse=True)
    if expected:
        largest = max(expected, key=len)  # the first of equal ones
        assert voxels(largest_component(mask, connectivity).astype(int)) == [largest]


@given(SHAPES, st.integers(0, 6), SEEDS)
def test_a_bounding_box_is_the_smallest_around_its_number(shape, highest, seed):
    numbers = np.random.default_rng(seed).integers(0, highest + 1, shape)
    boxes = bounding_boxes(numbers)
    assert list(boxes) == [n for n in range(1, highest + 1) if (numbers == n).any()]
    for n, box in boxes.items():
        indices = np.argwhere(numbers == n)
        assert [axis.start for axis in box] == indices.min(axis=0).tolist()
        assert [axis.stop - 1 for axis in box] == indices.max(axis=0).tolist()


@pytest.mark.parametrize("connectivity", [6, 26])
def test_a_long_winding_component_is_one_lesion(connectivity):
    mask = np.zeros((9, 9, 9), bool)
    mask[::2] = True
    mask[1::4, 8, 8] = mask[3::4, 0, 0] = True  # connects the planes at alternating corners
    assert label_lesions(mask.astype(np.int16), connectivity, np.eye(4)).max() == 1
