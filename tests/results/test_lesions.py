"""Lesions of small maps, with numbers worked out by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.affines import apply_affine
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff

from lesionflow.imaging.connected_components import label_lesions
from lesionflow.results.lesion_filters import apply_filters, summarize
from lesionflow.results.lesions import claim_voxels, elongation, label_map, measure
from support.card_defaults import default
from support.volumes import CODES

RULES = default("postprocess", outside_brain=0.25)


def table_of(probability, affine=None, brain=None, folds=None, threshold=0.5, regions=None):
    """Filtered lesions of a one-label sigmoid map (x, y, z)."""
    affine = np.eye(4) if affine is None else affine
    brain = np.ones(probability.shape, bool) if brain is None else brain
    labels = label_map(probability[..., None], "sigmoid", threshold)
    numbered = label_lesions(labels, 26, affine)
    folds = labels[None] if folds is None else folds
    measured = measure(
        numbered,
        labels,
        probability[..., None],
        folds,
        affine,
        brain,
        {1: "cmb"},
        regions,
    )
    return numbered, apply_filters(measured, RULES)


def test_threshold_is_strict():
    assert label_map(np.full((1, 1, 1, 1), 0.5), "sigmoid", 0.5).max() == 0
    assert label_map(np.full((1, 1, 1, 1), 0.500001), "sigmoid", 0.5).max() == 1


def test_sigmoid_takes_the_most_probable_label_above_the_threshold():
    probability = np.array([[[[0.6, 0.9]]], [[[0.6, 0.2]]], [[[0.1, 0.2]]]])
    assert label_map(probability, "sigmoid", 0.5).ravel().tolist() == [2, 1, 0]


def test_softmax_takes_the_most_probable_channel():
    probability = np.array([[[[0.3, 0.4, 0.3]]], [[[0.5, 0.2, 0.3]]]])
    assert label_map(probability, "softmax", 0.5).ravel().tolist() == [1, 0]


def test_volume_is_in_mm3_by_the_affine():
    probability = np.zeros((9, 9, 9))
    probability[1:3, 1:4, 1] = 0.9
    sheared = np.array([[0.5, 0.2, 0, 0], [0, 1, 0, 0], [0, 0, 3, 0], [0, 0, 0, 1.0]])
    _, table = table_of(probability, sheared)
    assert table.volume_mm3.tolist() == [pytest.approx(6 * 1.5)]
    assert table.equivalent_diameter_mm[0] == pytest.approx((6 * 9 / np.pi) ** (1 / 3))


def test_centroid_peak_and_probabilities():
    probability = np.zeros((9, 9, 9))
    probability[2:5, 4, 5] = [0.6, 0.7, 0.8]
    affine = np.array([[-1, 0, 0, 90], [0, 1, 0, -120], [0, 0, 2, -70], [0, 0, 0, 1.0]])
    _, table = table_of(probability, affine)
    row = table.iloc[0]
    assert (row.x_mm, row.y_mm, row.z_mm) == (87, -116, -60)
    assert row.peak.tolist() == [4, 4, 5]
    assert row.max_probability == pytest.approx(0.8)
    assert row.mean_probability == pytest.approx(0.7)


def test_connectivity_of_voxels_that_share_corners_and_edges():
    labels = np.zeros((4, 4, 4), int)
    labels[1, 1, 1] = labels[2, 2, 2] = 1
    assert [label_lesions(labels, c, np.eye(4)).max() for c in (6, 18, 26)] == [2, 2, 1]
    labels = np.zeros((4, 4, 4), int)
    labels[1, 1, 1] = labels[2, 2, 1] = 1
    assert [label_lesions(labels, c, np.eye(4)).max() for c in (6, 18, 26)] == [2, 1, 1]


def test_touching_lesions_of_two_labels_are_separate():
    labels = np.zeros((4, 4, 4), int)
    labels[1], labels[2] = 1, 2
    assert label_lesions(labels, 26, np.eye(4)).max() == 2


def test_the_largest_lesion_is_number_one():
    probability = np.zeros((9, 9, 9))
    probability[0, 0, 0] = probability[4:7, 4:7, 4:7] = 0.9
    numbered, table = table_of(probability)
    assert numbered[5, 5, 5] == 1
    assert table.volume_mm3.tolist() == [27, 1]


def test_elongation_of_a_voxel_and_of_a_rod():
    assert elongation(np.zeros((1, 3)), np.eye(4)) == pytest.approx(1)
    rod = np.array([[x, 0, 0] for x in range(5)], float)
    # five unit cells in a row: variance 2 + 1/12 along, 1/12 across
    assert elongation(rod, np.eye(4)) == pytest.approx(5)


def test_fold_agreement_is_the_fraction_of_folds_that_overlap():
    probability = np.zeros((5, 5, 5))
    probability[2, 2, 2:4] = 0.9
    folds = np.zeros((3, 5, 5, 5), int)
    folds[0, 2, 2, 3] = 1
    folds[1, 0, 0, 0] = 1
    folds[2, 2, 2, 2] = 1
    _, table = table_of(probability, folds=folds)
    assert table.fold_agreement[0] == pytest.approx(2 / 3)


def test_region_is_the_most_frequent_one_and_the_lowest_in_a_tie():
    probability = np.zeros((5, 5, 5))
    probability[0:4, 0, 0] = 0.9
    regions = np.zeros((5, 5, 5), int)
    regions[0:4, 0, 0] = [7, 3, 0, 0]
    _, table = table_of(probability, regions=regions)
    assert table.region.tolist() == ["3"]


def test_a_dropped_lesion_keeps_its_row_with_a_reason():
    probability = np.zeros((9, 9, 9))
    probability[1, 1, 1] = probability[5:8, 5:8, 5:8] = 0.9
    brain = np.ones((9, 9, 9), bool)
    brain[5:8, 5:8, 5] = False  # a third of the second lesion
    numbered, table = table_of(probability, brain=brain)
    filtered = apply_filters(table, default("postprocess", min_volume_mm3=2, outside_brain=0.25))
    assert filtered.kept.tolist() == [False, False]
    assert filtered.dropped_because.tolist() == [
        "33% outside the brain mask",
        "volume under 2 mm3",
    ]
    assert numbered.max() == 2


def test_without_lesions_the_count_is_0_and_the_mean_is_missing():
    probability = np.full((4, 4, 4), 0.2)
    numbered, table = table_of(probability)
    assert len(table) == 0
    volumes = summarize(table, probability[..., None], {1: "cmb"}).iloc[0]
    assert (volumes["count"], volumes.volume_mm3) == (0, 0)
    assert np.isnan(volumes.mean_volume_mm3)
    assert volumes.max_probability == pytest.approx(0.2)


def test_summary_counts_kept_lesions_only():
    probability = np.zeros((9, 9, 9))
    probability[0, 0, 0] = probability[2, 2, 2:4] = probability[5:8, 5:8, 5:8] = 0.9
    _, table = table_of(probability)
    filtered = apply_filters(table, default("postprocess", min_volume_mm3=2, outside_brain=0.25))
    volumes = summarize(filtered, probability[..., None], {1: "cmb"}).iloc[0]
    assert volumes["count"] == 2
    assert volumes.volume_mm3 == 29
    assert volumes.mean_volume_mm3 == volumes.median_volume_mm3 == 14.5
    assert volumes.max_volume_mm3 == 27


@pytest.mark.parametrize("code", CODES)
def test_the_table_does_not_depend_on_the_orientation(code):
    rng = np.random.default_rng(3)
    probability = np.round(rng.random((7, 8, 9)) ** 4, 3)
    affine = np.diag([0.7, 1.1, 1.6, 1])
    affine[:3, 3] = [-20, 5, 8]
    _, expected = table_of(probability, affine)
    turn = axcodes2ornt(tuple(code))
    turned = apply_orientation(probability, turn)
    moved = affine @ inv_ornt_aff(turn, probability.shape)
    _, table = table_of(turned, moved)
    assert len(table) > 5
    for name in table.columns.drop("peak"):
        if table[name].dtype.kind == "f":
            assert np.allclose(table[name], expected[name], atol=1e-6), name
        else:
            assert table[name].tolist() == expected[name].tolist(), name
    peaks = apply_affine(moved, np.array(table.peak.tolist()))
    expected_peaks = apply_affine(affine, np.array(expected.peak.tolist()))
    assert np.allclose(peaks, expected_peaks, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(*[st.floats(0, 12)] * 3), min_size=1, max_size=20),
    st.integers(0, 2**32 - 1),
)
def test_lesions_get_different_voxels_however_thick_the_slices(peaks, seed):
    affine = np.diag([1.0, 1.0, 6.0, 1])
    shape = (13, 13, 3)
    strengths = np.random.default_rng(seed).random(len(peaks))
    voxels = claim_voxels(np.array(peaks), strengths, affine, shape)
    assert len({tuple(v) for v in voxels}) == len(peaks)
    assert ((voxels >= 0) & (voxels < shape)).all()
    strongest = int(np.argmax(strengths))
    at_peak = np.rint(np.array(peaks[strongest]) / [1, 1, 6]).clip(0, np.array(shape) - 1)
    assert voxels[strongest].tolist() == at_peak.tolist()


def test_a_lesion_does_not_get_the_voxel_at_the_peak_of_another():
    peaks = np.array([[5, 5, 12.0], [5, 5.4, 13], [5, 6, 12]])
    voxels = claim_voxels(peaks, np.array([0.9, 0.8, 0.7]), np.diag([1, 1, 6.0, 1]), (13, 13, 5))
    assert voxels[0].tolist() == [5, 5, 2]
    assert voxels[2].tolist() == [5, 6, 2]
    assert len({tuple(v) for v in voxels}) == 3
