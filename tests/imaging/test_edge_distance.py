"""Distances of lesions from the edge of the brain."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.affines import apply_affine

from lesionflow.imaging.edge_distance import edge_distances_mm
from support.volumes import oriented


def box_of_brain(shape=(20, 20, 20)):
    """A brain of 16 voxels a side: indices 2 to 17."""
    brain = np.zeros(shape, bool)
    brain[2:18, 2:18, 2:18] = True
    return brain


def lesions_at(*voxels, shape=(20, 20, 20)):
    """A map with one lesion per list of voxels."""
    lesions = np.zeros(shape, np.int32)
    for number, of_lesion in enumerate(voxels, start=1):
        for voxel in of_lesion:
            lesions[voxel] = number
    return lesions


def test_distance_from_the_nearest_voxel_of_the_lesion():
    lesions = lesions_at([(8, 9, 10), (5, 9, 10)], [(9, 9, 17)], [(9, 9, 9)])
    # voxel 1 is the last one outside along x, voxel 18 the first one along z
    distances = edge_distances_mm(lesions, box_of_brain(), np.diag([0.5, 1, 3, 1]))
    assert distances.tolist() == [pytest.approx(4 * 0.5), 3, pytest.approx(8 * 0.5)]


def test_a_lesion_partly_outside_the_brain_has_distance_0():
    lesions = lesions_at([(2, 9, 9), (1, 9, 9)], [(2, 9, 9 + 3)])
    assert edge_distances_mm(lesions, box_of_brain(), np.eye(4)).tolist() == [0, 1]


def test_what_lies_beyond_the_box_is_outside():
    brain = np.ones((9, 9, 9), bool)
    lesions = lesions_at([(4, 4, 4)], [(4, 1, 4)], shape=(9, 9, 9))
    assert edge_distances_mm(lesions, brain, np.eye(4)).tolist() == [5, 2]


def test_without_lesions_or_brain():
    assert len(edge_distances_mm(lesions_at(), box_of_brain(), np.eye(4))) == 0
    no_brain = np.zeros((20, 20, 20), bool)
    assert edge_distances_mm(lesions_at([(4, 4, 4)]), no_brain, np.eye(4)).tolist() == [0]


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(["RAS", "LPS", "PIR", "SLA"]),
    st.tuples(*[st.floats(0.4, 4)] * 3),
    st.tuples(*[st.floats(-40, 40)] * 3),
)
def test_distances_are_those_of_all_pairs_of_voxels(seed, code, spacing, rotation):
    rng = np.random.default_rng(seed)
    shape = (13, 11, 9)
    affine = oriented(code, spacing, shape, rotation)
    brain = np.linalg.norm(np.moveaxis(np.indices(shape), 0, -1) - [6, 5, 4], axis=-1) < 4.5
    brain &= rng.random(shape) > 0.02
    lesions = np.zeros(shape, np.int32)
    lesions[4:9, 4:7, 3:6] = 1
    lesions[6, 5, 7] = 2
    around = np.pad(brain, 1)
    outside = apply_affine(affine, np.argwhere(~around) - 1)
    expected = []
    for number in (1, 2):
        voxels = np.argwhere(lesions == number)
        apart = apply_affine(affine, voxels)[:, None] - outside
        inside = brain[tuple(voxels.T)].all()
        expected.append(np.linalg.norm(apart, axis=2).min() if inside else 0)
    assert np.allclose(edge_distances_mm(lesions, brain, affine), expected)


def test_a_large_lesion_has_the_distance_of_its_nearest_voxel():
    shape = (40, 44, 48)
    centre = np.array([20, 21, 24])
    place = np.moveaxis(np.indices(shape), 0, -1) - centre
    brain = np.linalg.norm(place / [19, 20, 22], axis=-1) < 1
    lesions = (np.linalg.norm(place - [1, 0, 0], axis=-1) < 12).astype(np.int32)
    affine = np.diag([1.0, 1.2, 0.8, 1])
    outside = apply_affine(affine, np.argwhere(~np.pad(brain, 1)) - 1)
    voxels = apply_affine(affine, np.argwhere(lesions))
    expected = min(np.linalg.norm(outside - voxel, axis=1).min() for voxel in voxels)
    assert edge_distances_mm(lesions, brain, affine)[0] == pytest.approx(expected)
