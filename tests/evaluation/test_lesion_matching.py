"""Matching of predicted and reference lesions, with counts computed by hand."""

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lesionflow.base.errors import ScanError
from lesionflow.evaluation.lesion_matching import SIZES_MM3, THRESHOLDS, sweep
from lesionflow.evaluation.reference_lesions import reference_lesions, voxel_correspondence
from lesionflow.evaluation.scan_comparison import comparison_summary
from lesionflow.imaging.connected_components import centroids_mm, label_lesions
from lesionflow.imaging.grids import Grid
from lesionflow.results.lesion_filters import apply_filters
from lesionflow.results.lesions import label_map, measure
from support.card_defaults import default
from support.volumes import CODES, oriented

ONE = {"activation": "sigmoid", "labels": {1: "cmb"}}
RULES = default("postprocess", outside_brain=0.25)
SHAPE = (10, 10, 10)
MM = np.eye(4)


def filled(*boxes, shape=SHAPE, value=1.0):
    """An image with boxes ((i, j), (k, l), (m, n)) of one value, or of a value that follows them."""
    data = np.zeros(shape, np.float32)
    for box in boxes:
        number = box[3] if len(box) > 3 else value
        data[tuple(slice(a, b) for a, b in box[:3])] = number
    return data


def drawn(data, affine=MM, labels=None, connectivity=26):
    return reference_lesions(nib.Nifti1Image(data, affine), labels or ONE["labels"], connectivity)


def swept(probability, truth, affine=MM, output=ONE, brain=None, **rules):
    if probability.ndim == 3:
        probability = probability[..., None]
    grid = Grid(affine, probability.shape[:3])
    brain = np.ones(grid.shape, bool) if brain is None else brain
    return sweep(probability, brain, grid, truth, output, {**RULES, **rules})


def at_card(table, label=1):
    (row,) = table[table.card & (table.label == label)].to_dict("records")
    return row


A, B, C = ((1, 3), (1, 3), (1, 3)), ((6, 8), (6, 8), (6, 8)), ((1, 2), (7, 8), (7, 8))


def test_only_the_largest_lesion_is_kept_if_the_card_says_so():
    row = at_card(swept(filled(A, C, value=0.9), drawn(filled(A, C)), keep_largest=True)[0])
    assert (row["lesions"], row["found"], row["count"]) == (2, 1, 1)


def test_detected_missed_and_false_positive_lesions():
    # truth: A (8 voxels) and B (8); predicted: A moved by one voxel (4 shared) and C (1), which is false
    moved = ((2, 4), (1, 3), (1, 3))
    row = at_card(swept(filled(moved, C, value=0.9), drawn(filled(A, B)))[0])
    wanted = {"lesions": 2, "found": 1, "count": 2, "true_detections": 1, "outside_truth": 0}
    wanted |= {"voxels": 9, "truth_voxels": 16, "voxels_both": 4}
    wanted |= {"volume_mm3": 9.0, "truth_volume_mm3": 16.0}
    assert {key: row[key] for key in wanted} == wanted


def test_one_prediction_may_detect_two_lesions_and_two_may_detect_one():
    long = ((1, 8), (1, 2), (1, 2))
    ends = [((1, 3), (1, 2), (1, 2)), ((6, 8), (1, 2), (1, 2))]
    row = at_card(swept(filled(long, value=0.9), drawn(filled(*ends)))[0])
    assert (row["lesions"], row["found"], row["count"], row["true_detections"]) == (2, 2, 1, 1)
    row = at_card(swept(filled(*ends, value=0.9), drawn(filled(long)))[0])
    assert (row["lesions"], row["found"], row["count"], row["true_detections"]) == (1, 1, 2, 2)


def test_thresholds_and_sizes():
    # a core of 0.9 (1 voxel) in a rim of 0.3 (27 voxels); another of 0.6 (8 voxels) that is false
    rim, core = ((1, 4), (1, 4), (1, 4), 0.3), ((2, 3), (2, 3), (2, 3), 0.9)
    table, _ = swept(filled(rim, core, (*B, 0.6)), drawn(filled(((2, 3), (2, 3), (2, 3)))))
    assert len(table) == len(THRESHOLDS) * len(SIZES_MM3)
    assert table.card.sum() == 1
    n = table.set_index(["threshold", "min_volume_mm3"])
    columns = ["found", "count", "true_detections", "voxels", "voxels_both"]
    for threshold, size, wanted in [
        (0.05, 0, (1, 2, 1, 35, 1)),
        (0.25, 10, (1, 1, 1, 27, 1)),
        (0.3, 0, (1, 2, 1, 9, 1)),  # strict: 0.3 is not above 0.3
        (0.3, 1, (1, 2, 1, 9, 1)),  # 1 mm3 is not under 1 mm3
        (0.3, 2, (0, 1, 0, 8, 0)),
        (0.6, 0, (1, 1, 1, 1, 1)),
        (0.9, 0, (0, 0, 0, 0, 0)),
        (0.95, 20, (0, 0, 0, 0, 0)),
    ]:
        assert tuple(n.loc[(threshold, size), columns]) == wanted, (threshold, size)


def test_the_threshold_and_size_of_the_card_are_included():
    table, _ = swept(filled(A, value=0.9), drawn(filled(A)), threshold=0.123, min_volume_mm3=3)
    assert set(table.threshold) == {*THRESHOLDS, 0.123}
    assert set(table.min_volume_mm3) == {*SIZES_MM3, 3.0}
    assert at_card(table)["threshold"] == 0.123


def test_lesions_outside_the_brain_are_filtered_as_in_segmentation():
    brain = np.ones(SHAPE, bool)
    brain[6:7] = False  # half of B
    probability = filled(A, B, value=0.9)
    assert at_card(swept(probability, drawn(filled(A)), brain=brain)[0])["count"] == 1
    kept = swept(probability, drawn(filled(A)), brain=brain, outside_brain=0.5)[0]
    assert at_card(kept)["count"] == 2


def test_random_maps_are_counted_as_in_segmentation():
    rng = np.random.default_rng(4)
    probability = rng.random((12, 13, 11, 1)).astype(np.float32) ** 9
    brain = rng.random((12, 13, 11)) < 0.8
    affine = oriented("LPS", (0.7, 1.1, 1.9), (12, 13, 11), (10, 5, 3))
    truth = drawn((rng.random((12, 13, 11)) < 0.02).astype(np.uint8), affine, connectivity=18)
    rules = {"connectivity": 18, "min_volume_mm3": 2.0, "threshold": 0.35}
    table, found = swept(probability, truth, affine, brain=brain, **rules)
    for threshold in (0.25, 0.35, 0.6):
        labels = label_map(probability, "sigmoid", threshold)
        numbers = label_lesions(labels, 18, affine)
        rows = measure(numbers, labels, probability, labels[None], affine, brain, {1: "cmb"})
        kept = apply_filters(rows, {**RULES, **rules}).kept.to_numpy(bool)
        own = table[(table.threshold == threshold) & (table.min_volume_mm3 == 2.0)].iloc[0]
        assert 3 < own["count"] == kept.sum() < len(kept)
        assert own.volume_mm3 == pytest.approx(rows.volume_mm3[kept].sum())
        right = np.unique(numbers[(truth.numbers > 0) & (numbers > 0)])
        assert own.true_detections == kept[right - 1].sum() > 0


@settings(deadline=None, max_examples=48)
@given(code=st.sampled_from(CODES), seed=st.integers(0, 99))
def test_all_lesions_are_found_in_any_orientation(code, seed):
    rng = np.random.default_rng(seed)
    data = (rng.random((9, 8, 10)) < 0.05).astype(np.float32)
    affine = oriented("RAS", (0.9, 1.3, 1.7), data.shape, (8, -5, 12))
    turn = nib.orientations.axcodes2ornt(tuple(code))
    flipped = nib.Nifti1Image(data, affine).as_reoriented(
        nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"), turn)
    )
    truth = reference_lesions(flipped, ONE["labels"], 26)
    row = at_card(swept(data * 0.9, truth, affine)[0])
    assert row["lesions"] == row["found"] == row["count"] == row["true_detections"] > 0
    assert row["voxels"] == row["truth_voxels"] == row["voxels_both"] == data.sum()


def test_a_finer_reference_grid_has_more_voxels_per_lesion():
    fine = np.diag([0.5, 0.5, 0.5, 1])
    fine[:3, 3] = -0.25  # the corners of both grids are the same
    data = filled(A)
    truth = drawn(data.repeat(2, 0).repeat(2, 1).repeat(2, 2), fine)
    row = at_card(swept(data * 0.9, truth)[0])
    assert (row["voxels"], row["truth_voxels"], row["voxels_both"]) == (64, 64, 64)
    assert row["volume_mm3"] == pytest.approx(row["truth_volume_mm3"]) == 8


def test_a_lesion_between_thick_slices_gets_the_voxel_at_its_peak():
    thick = np.diag([1.0, 1.0, 5.0, 1])
    thick[2, 3] = 2  # slices at 2 and 7 mm
    between = ((4, 5), (4, 5), (4, 5))
    data = np.zeros((10, 10, 2), np.float32)
    truth = drawn(data, thick)
    row = at_card(swept(filled(between, value=0.9), truth)[0])
    assert (row["count"], row["true_detections"], row["voxels"]) == (1, 0, 1)
    data[4, 4, 0] = 1  # 4 mm is nearer to 2 mm than to 7 mm
    row = at_card(swept(filled(between, value=0.9), drawn(data, thick))[0])
    assert (row["found"], row["true_detections"], row["voxels"], row["voxels_both"]) == (1, 1, 1, 1)
    # two of them in one voxel: both are right, and the voxel counts once
    above = ((4, 5), (4, 5), (3, 4))
    apart = filled((*between, 0.9), (*above, 0.8))
    row = at_card(swept(apart, drawn(data, thick), connectivity=6)[0])
    assert (row["count"], row["voxels"]) == (1, 1)
    row = at_card(
        swept(filled((*between, 0.9), ((4, 5), (4, 5), (1, 2), 0.8)), drawn(data, thick))[0]
    )
    assert (row["count"], row["true_detections"], row["voxels"], row["voxels_both"]) == (2, 2, 1, 1)


def test_an_oblique_reference_image_corresponds_in_world_space():
    affine = oriented("RAS", (1, 1, 1), (30, 30, 30), (20, 10, 30), origin=(0, 0, 0))
    ball = np.indices((30, 30, 30)).reshape(3, -1).T
    near = np.linalg.norm(nib.affines.apply_affine(affine, ball) - [5.0, 12.0, 20.0], axis=1) < 4
    truth = drawn(near.reshape(30, 30, 30).astype(np.uint8), affine)
    away = np.linalg.norm(np.indices((30, 30, 30)).T[..., ::1] - [5.0, 12.0, 20.0], axis=-1).T
    row = at_card(swept(np.where(away < 4, 0.9, 0).astype(np.float32), truth)[0])
    assert (row["lesions"], row["found"], row["count"], row["true_detections"]) == (1, 1, 1, 1)
    assert 2 * row["voxels_both"] / (row["voxels"] + row["truth_voxels"]) > 0.9


def test_lesions_outside_one_field_of_view_are_missed_or_outside_truth():
    shifted = np.eye(4)
    shifted[0, 3] = 5  # the truth begins where the model's fifth voxel lies, and ends behind it
    truth = drawn(filled(((7, 9), (1, 3), (1, 3)), ((1, 3), (1, 3), (1, 3))), shifted)
    seen = ((6, 8), (1, 3), (1, 3))
    row = at_card(swept(filled(seen, C, value=0.9), truth)[0])
    assert (row["lesions"], row["found"]) == (2, 1)
    assert (row["count"], row["true_detections"], row["outside_truth"]) == (2, 1, 1)
    assert (row["truth_voxels"], row["voxels"], row["voxels_both"]) == (16, 8, 8)


def test_a_reference_image_without_overlap_is_an_error():
    away = np.eye(4)
    away[0, 3] = 500
    with pytest.raises(ScanError, match=r"outside of the model.s field of view.*500") as error:
        swept(filled(A), drawn(filled(A), away))
    assert error.value.status == "truth-unusable"


@pytest.mark.parametrize(("value", "shown"), [(0.5, "0.5"), (-1, "-1"), (np.nan, "nan")])
def test_a_reference_image_without_labels_is_an_error(value, shown):
    with pytest.raises(ScanError, match=f"not a label image: 8 voxels have values like {shown}"):
        drawn(filled(A, value=value))


def test_touching_numbered_lesions_of_one_label_are_merged():
    halves = filled(((1, 2), (1, 3), (1, 3), 1), ((2, 3), (1, 3), (1, 3), 2), (*B, 7))
    truth = drawn(halves)
    assert truth.voxels.tolist() == [0, 8, 8]
    assert truth.ignored == []


def test_several_labels_are_matched_by_value_and_other_values_are_reported():
    labels = {2: "cmb", 5: "wmh"}
    truth = drawn(filled((*A, 2), (*B, 5), (*C, 9)), labels=labels)
    assert truth.label.tolist() == [0, 1, 2]
    assert truth.ignored == [9]
    probability = np.stack([filled((*A, 0.9), (*B, 0.6)), filled((*B, 0.55))], axis=-1)
    table, _ = swept(probability, truth, output={"activation": "sigmoid", "labels": labels})
    one, two = at_card(table, 1), at_card(table, 2)  # B is more probable as cmb: wrong label
    assert (one["found"], one["count"], one["true_detections"]) == (1, 2, 1)
    assert (two["lesions"], two["found"], two["count"]) == (1, 0, 0)


def test_argmax_has_no_threshold():
    labels = {1: "a", 2: "b"}
    a, b = filled((*A, 0.4)), filled((*B, 0.8))
    probability = np.stack([np.full(SHAPE, 0.3, np.float32), a, b], axis=-1)
    output = {"activation": "softmax", "labels": labels}
    table, found = swept(probability, drawn(filled((*A, 1), (*B, 2)), labels=labels), output=output)
    assert table.threshold.isna().all()
    assert len(table) == 2 * len(SIZES_MM3)
    assert [at_card(table, n)["found"] for n in (1, 2)] == [1, 1]
    assert found.table.probability.tolist() == pytest.approx([3.2, 6.4])


def test_valdo_matches_by_centres():
    # A is hit by two predictions: the one that overlaps it, and one 4 mm away; B by none
    near = ((1, 3), (6, 7), (1, 3))
    rows = known(filled(A, near, value=0.75), filled(A, B))
    assert rows["valdo_f1"] == pytest.approx(2 / (2 + 1 + 1))
    # both belong to A: 8 shared of 8 + 12 voxels
    assert rows["valdo_dice"] == pytest.approx(2 * 8 / 20)
    assert rows["valdo_count_difference"] == 0
    assert rows["valdo_volume_difference_mm3"] == pytest.approx(16 - 0.75 * 12)


def test_valdo_without_lesions():
    nothing = np.zeros(SHAPE, np.float32)
    assert known(nothing, nothing)["valdo_f1"] is None
    assert known(filled(A), nothing)["valdo_dice"] is None
    assert known(filled(A), nothing)["valdo_count_difference"] == 1
    assert known(nothing, filled(A))["valdo_f1"] == 0
    far = known(filled(C), filled(B))
    assert (far["valdo_f1"], far["valdo_dice"]) == (0, 0)


def known(probability, data):
    truth = drawn(data)
    _, found = swept(probability, truth)
    return comparison_summary(found, truth, Grid(MM, SHAPE), ["cmb"], RULES)["valdo"]["cmb"]


def test_comparison_summary_lists_each_reference_lesion():
    truth = drawn(filled(A, B))
    _, found = swept(filled(B, value=0.9), truth)
    facts = comparison_summary(found, truth, Grid(MM, SHAPE), ["cmb"], RULES)
    assert [one["found"] for one in facts["lesions"]] == [False, True]
    assert facts["lesions"][0]["diameter_mm"] == pytest.approx((48 / np.pi) ** (1 / 3), abs=1e-4)
    assert facts["status"] == "ok"


def test_centres_and_voxel_correspondence():
    numbers = np.zeros((4, 4, 4), np.int32)
    numbers[0, 0, 0], numbers[2, 1, 1:3] = 1, 2
    assert centroids_mm(numbers, np.diag([2.0, 1, 1, 1]), 2).tolist() == [[0, 0, 0], [4, 1, 1.5]]
    wanted = np.zeros(SHAPE, bool)
    wanted[4, 4, 4] = True
    correspondence = voxel_correspondence(drawn(filled(C)), Grid(MM, SHAPE), wanted)
    assert sorted(correspondence.model.tolist()) == [177, 444]
    assert correspondence.model.tolist() == correspondence.truth.tolist()
