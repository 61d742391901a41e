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

OUTPUT = {"activation": "sigmoid", "labels": {1: "cmb"}}
RULES = default("postprocess", outside_brain=0.25)
SHAPE = (10, 10, 10)
AFFINE = np.eye(4)  # voxels of 1 mm3
A, B = ((1, 3), (1, 3), (1, 3)), ((6, 8), (6, 8), (6, 8))  # boxes of 8 voxels
C = ((1, 2), (7, 8), (7, 8))  # one voxel


def boxes(*extents, value=1.0):
    """An image with boxes ((i, j), (k, l), (m, n)) of one value, or ((i, j), (k, l), (m, n), value)."""
    data = np.zeros(SHAPE, np.float32)
    for extent in extents:
        box_value = extent[3] if len(extent) > 3 else value
        data[tuple(slice(start, stop) for start, stop in extent[:3])] = box_value
    return data


def reference_of(data, affine=AFFINE, labels=OUTPUT["labels"], connectivity=26):
    return reference_lesions(nib.Nifti1Image(data, affine), labels, connectivity)


def run_sweep(probability, reference, affine=AFFINE, output=OUTPUT, brain=None, **rules):
    """The table of counts, and the match at the card's threshold."""
    probability = probability if probability.ndim == 4 else probability[..., None]
    grid = Grid(affine, probability.shape[:3])
    brain = np.ones(grid.shape, bool) if brain is None else brain
    return sweep(probability, brain, grid, reference, output, {**RULES, **rules})


def at_card(table, label=1):
    (row,) = table[table.card & (table.label == label)].to_dict("records")
    return row


def counts_at_card(probability, reference, affine=AFFINE, **options):
    return at_card(run_sweep(probability, reference, affine, **options)[0])


def test_keep_largest_drops_all_lesions_but_the_largest():
    row = counts_at_card(boxes(A, C, value=0.9), reference_of(boxes(A, C)), keep_largest=True)
    assert (row["lesions"], row["found"], row["count"]) == (2, 1, 1)


def test_detected_missed_and_false_positive_lesions_are_counted():
    # reference: A (8 voxels) and B (8); predicted: A shifted by one voxel (4 shared) and C (1), a false positive
    shifted = ((2, 4), (1, 3), (1, 3))
    row = counts_at_card(boxes(shifted, C, value=0.9), reference_of(boxes(A, B)))
    expected = {"lesions": 2, "found": 1, "count": 2, "true_detections": 1, "outside_truth": 0}
    expected |= {"voxels": 9, "truth_voxels": 16, "voxels_both": 4}
    expected |= {"volume_mm3": 9.0, "truth_volume_mm3": 16.0}
    assert {key: row[key] for key in expected} == expected


def test_one_prediction_can_detect_two_lesions_and_two_predictions_the_same_one():
    long = ((1, 8), (1, 2), (1, 2))
    ends = [((1, 3), (1, 2), (1, 2)), ((6, 8), (1, 2), (1, 2))]
    row = counts_at_card(boxes(long, value=0.9), reference_of(boxes(*ends)))
    assert (row["lesions"], row["found"], row["count"], row["true_detections"]) == (2, 2, 1, 1)
    row = counts_at_card(boxes(*ends, value=0.9), reference_of(boxes(long)))
    assert (row["lesions"], row["found"], row["count"], row["true_detections"]) == (1, 1, 2, 2)


def test_lesions_are_counted_at_each_threshold_and_minimum_size():
    # a core of 0.9 (1 voxel) in a rim of 0.3 (27 voxels), and a false positive of 0.6 (8 voxels)
    rim, core = ((1, 4), (1, 4), (1, 4), 0.3), ((2, 3), (2, 3), (2, 3), 0.9)
    reference = reference_of(boxes(((2, 3), (2, 3), (2, 3))))
    table, _ = run_sweep(boxes(rim, core, (*B, 0.6)), reference)
    assert len(table) == len(THRESHOLDS) * len(SIZES_MM3)
    assert table.card.sum() == 1
    counts = table.set_index(["threshold", "min_volume_mm3"])
    columns = ["found", "count", "true_detections", "voxels", "voxels_both"]
    for threshold, size, expected in [
        (0.05, 0, (1, 2, 1, 35, 1)),
        (0.25, 10, (1, 1, 1, 27, 1)),
        (0.3, 0, (1, 2, 1, 9, 1)),  # voxels of 0.3 are not above the threshold
        (0.3, 1, (1, 2, 1, 9, 1)),  # a lesion of 1 mm3 is not below the minimum
        (0.3, 2, (0, 1, 0, 8, 0)),
        (0.6, 0, (1, 1, 1, 1, 1)),
        (0.9, 0, (0, 0, 0, 0, 0)),
        (0.95, 20, (0, 0, 0, 0, 0)),
    ]:
        assert tuple(counts.loc[(threshold, size), columns]) == expected, (threshold, size)


def test_the_threshold_and_size_of_the_card_are_included():
    probability, reference = boxes(A, value=0.9), reference_of(boxes(A))
    table, _ = run_sweep(probability, reference, threshold=0.123, min_volume_mm3=3)
    assert set(table.threshold) == {*THRESHOLDS, 0.123}
    assert set(table.min_volume_mm3) == {*SIZES_MM3, 3.0}
    assert at_card(table)["threshold"] == 0.123


def test_lesions_outside_the_brain_are_filtered_as_in_segmentation():
    brain = np.ones(SHAPE, bool)
    brain[6:7] = False  # half of B
    probability, reference = boxes(A, B, value=0.9), reference_of(boxes(A))
    assert counts_at_card(probability, reference, brain=brain)["count"] == 1
    assert counts_at_card(probability, reference, brain=brain, outside_brain=0.5)["count"] == 2


def test_lesions_of_random_maps_are_counted_as_in_segmentation():
    rng = np.random.default_rng(4)
    probability = rng.random((12, 13, 11, 1)).astype(np.float32) ** 9
    brain = rng.random((12, 13, 11)) < 0.8
    affine = oriented("LPS", (0.7, 1.1, 1.9), (12, 13, 11), (10, 5, 3))
    data = rng.random((12, 13, 11)) < 0.02
    reference = reference_of(data.astype(np.uint8), affine, connectivity=18)
    rules = {"connectivity": 18, "min_volume_mm3": 2.0, "threshold": 0.35}
    table, _ = run_sweep(probability, reference, affine, brain=brain, **rules)
    for threshold in (0.25, 0.35, 0.6):
        labels = label_map(probability, "sigmoid", threshold)
        lesion_map = label_lesions(labels, 18, affine)
        rows = measure(lesion_map, labels, probability, labels[None], affine, brain, {1: "cmb"})
        kept = apply_filters(rows, {**RULES, **rules}).kept.to_numpy(bool)
        counts = table[(table.threshold == threshold) & (table.min_volume_mm3 == 2.0)].iloc[0]
        assert 3 < counts["count"] == kept.sum() < len(kept)
        assert counts.volume_mm3 == pytest.approx(rows.volume_mm3[kept].sum())
        overlapping = np.unique(lesion_map[(reference.lesion_map > 0) & (lesion_map > 0)])
        assert counts.true_detections == kept[overlapping - 1].sum() > 0


@settings(deadline=None, max_examples=48)
@given(code=st.sampled_from(CODES), seed=st.integers(0, 99))
def test_lesions_are_detected_in_any_orientation_of_the_reference_image(code, seed):
    rng = np.random.default_rng(seed)
    data = (rng.random((9, 8, 10)) < 0.05).astype(np.float32)
    affine = oriented("RAS", (0.9, 1.3, 1.7), data.shape, (8, -5, 12))
    orientation = nib.orientations.axcodes2ornt(tuple(code))
    reoriented = nib.Nifti1Image(data, affine).as_reoriented(
        nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"), orientation)
    )
    reference = reference_lesions(reoriented, OUTPUT["labels"], 26)
    row = counts_at_card(data * 0.9, reference, affine)
    assert row["lesions"] == row["found"] == row["count"] == row["true_detections"] > 0
    assert row["voxels"] == row["truth_voxels"] == row["voxels_both"] == data.sum()


def test_voxels_are_counted_on_the_reference_grid_and_volumes_on_each_grid():
    fine_affine = np.diag([0.5, 0.5, 0.5, 1])
    fine_affine[:3, 3] = -0.25  # the corners of both grids are the same
    data = boxes(A)
    reference = reference_of(data.repeat(2, 0).repeat(2, 1).repeat(2, 2), fine_affine)
    row = counts_at_card(data * 0.9, reference)
    assert (row["voxels"], row["truth_voxels"], row["voxels_both"]) == (64, 64, 64)
    assert row["volume_mm3"] == pytest.approx(row["truth_volume_mm3"]) == 8


def test_a_lesion_between_thick_slices_gets_the_voxel_at_its_peak():
    thick_affine = np.diag([1.0, 1.0, 5.0, 1])
    thick_affine[2, 3] = 2  # slices at 2 and 7 mm
    between = ((4, 5), (4, 5), (4, 5))
    data = np.zeros((10, 10, 2), np.float32)
    row = counts_at_card(boxes(between, value=0.9), reference_of(data, thick_affine))
    assert (row["count"], row["true_detections"], row["voxels"]) == (1, 0, 1)
    data[4, 4, 0] = 1  # 4 mm is nearer to 2 mm than to 7 mm
    reference = reference_of(data, thick_affine)
    row = counts_at_card(boxes(between, value=0.9), reference)
    assert (row["found"], row["true_detections"], row["voxels"], row["voxels_both"]) == (1, 1, 1, 1)
    adjacent = ((4, 5), (4, 5), (3, 4), 0.8)
    row = counts_at_card(boxes((*between, 0.9), adjacent), reference, connectivity=6)
    assert (row["count"], row["voxels"]) == (1, 1)
    # two lesions at one reference voxel: both are true detections, and the voxel counts once
    row = counts_at_card(boxes((*between, 0.9), ((4, 5), (4, 5), (1, 2), 0.8)), reference)
    assert (row["count"], row["true_detections"], row["voxels"], row["voxels_both"]) == (2, 2, 1, 1)


def test_an_oblique_reference_image_is_matched_in_world_space():
    affine = oriented("RAS", (1, 1, 1), (30, 30, 30), (20, 10, 30), origin=(0, 0, 0))
    indices, centre_mm = np.indices((30, 30, 30)).reshape(3, -1).T, [5.0, 12.0, 20.0]
    xyz_mm = nib.affines.apply_affine(affine, indices)
    sphere = np.linalg.norm(xyz_mm - centre_mm, axis=1) < 4
    reference = reference_of(sphere.reshape(30, 30, 30).astype(np.uint8), affine)
    distance = np.linalg.norm(indices - centre_mm, axis=1).reshape(30, 30, 30)
    row = counts_at_card(np.where(distance < 4, 0.9, 0).astype(np.float32), reference)
    assert (row["lesions"], row["found"], row["count"], row["true_detections"]) == (1, 1, 1, 1)
    assert 2 * row["voxels_both"] / (row["voxels"] + row["truth_voxels"]) > 0.9


def test_lesions_outside_the_other_field_of_view_are_missed_or_outside_truth():
    shifted_affine = np.eye(4)
    shifted_affine[0, 3] = (
        5  # the reference grid begins at index 5 of the model grid and ends beyond it
    )
    reference = reference_of(boxes(A, ((7, 9), (1, 3), (1, 3))), shifted_affine)
    row = counts_at_card(boxes(((6, 8), (1, 3), (1, 3)), C, value=0.9), reference)
    assert (row["lesions"], row["found"]) == (2, 1)
    assert (row["count"], row["true_detections"], row["outside_truth"]) == (2, 1, 1)
    assert (row["truth_voxels"], row["voxels"], row["voxels_both"]) == (16, 8, 8)


def test_a_reference_image_without_overlap_is_an_error():
    far_affine = np.eye(4)
    far_affine[0, 3] = 500
    with pytest.raises(ScanError, match=r"outside of the model.s field of view.*500") as error:
        run_sweep(boxes(A), reference_of(boxes(A), far_affine))
    assert error.value.status == "truth-unusable"


@pytest.mark.parametrize(("value", "shown"), [(0.5, "0.5"), (-1, "-1"), (np.nan, "nan")])
def test_reference_values_that_are_no_labels_are_an_error(value, shown):
    with pytest.raises(ScanError, match=f"not a label image: 8 voxels have values like {shown}"):
        reference_of(boxes(A, value=value))


def test_touching_numbered_lesions_of_one_label_are_merged():
    halves_of_a = ((1, 2), (1, 3), (1, 3), 1), ((2, 3), (1, 3), (1, 3), 2)
    reference = reference_of(boxes(*halves_of_a, (*B, 7)))
    assert reference.voxels.tolist() == [0, 8, 8]
    assert reference.ignored == []


def test_several_labels_are_matched_by_value_and_other_values_are_listed():
    labels = {2: "cmb", 5: "wmh"}
    reference = reference_of(boxes((*A, 2), (*B, 5), (*C, 9)), labels=labels)
    assert reference.label.tolist() == [0, 1, 2]
    assert reference.ignored == [9]
    # B, of label wmh, is more probable as cmb
    probability = np.stack([boxes((*A, 0.9), (*B, 0.6)), boxes((*B, 0.55))], axis=-1)
    table, _ = run_sweep(probability, reference, output={**OUTPUT, "labels": labels})
    cmb, wmh = at_card(table, 1), at_card(table, 2)
    assert (cmb["found"], cmb["count"], cmb["true_detections"]) == (1, 2, 1)
    assert (wmh["lesions"], wmh["found"], wmh["count"]) == (1, 0, 0)


def test_argmax_of_several_labels_has_no_threshold():
    labels = {1: "a", 2: "b"}
    background = np.full(SHAPE, 0.3, np.float32)
    probability = np.stack([background, boxes((*A, 0.4)), boxes((*B, 0.8))], axis=-1)
    output = {"activation": "softmax", "labels": labels}
    reference = reference_of(boxes((*A, 1), (*B, 2)), labels=labels)
    table, lesion_match = run_sweep(probability, reference, output=output)
    assert table.threshold.isna().all() and len(table) == 2 * len(SIZES_MM3)
    assert [at_card(table, n)["found"] for n in (1, 2)] == [1, 1]
    assert lesion_match.table.probability.tolist() == pytest.approx([3.2, 6.4])


def test_valdo_assigns_predictions_to_the_nearest_centre_of_mass():
    # two predictions are assigned to A: one that overlaps it, and one 4 mm away; none to B
    probability = boxes(A, ((1, 3), (6, 7), (1, 3)), value=0.75)
    metrics = summary_of(probability, boxes(A, B))["valdo"]["cmb"]
    assert metrics["valdo_f1"] == pytest.approx(2 / (2 + 1 + 1))
    # 8 shared voxels of the 8 of A and the 12 predicted
    assert metrics["valdo_dice"] == pytest.approx(2 * 8 / 20)
    assert metrics["valdo_count_difference"] == 0
    assert metrics["valdo_volume_difference_mm3"] == pytest.approx(16 - 0.75 * 12)


def test_valdo_is_undefined_without_reference_lesions_and_0_without_a_match():
    def metrics(probability, reference_data):
        return summary_of(probability, reference_data)["valdo"]["cmb"]

    empty = np.zeros(SHAPE, np.float32)
    assert metrics(empty, empty)["valdo_f1"] is None
    assert metrics(boxes(A), empty)["valdo_dice"] is None
    assert metrics(boxes(A), empty)["valdo_count_difference"] == 1
    assert metrics(empty, boxes(A))["valdo_f1"] == 0
    distant = metrics(boxes(C), boxes(B))
    assert (distant["valdo_f1"], distant["valdo_dice"]) == (0, 0)


def summary_of(probability, reference_data):
    reference = reference_of(reference_data)
    _, lesion_match = run_sweep(probability, reference)
    grid, probability = Grid(AFFINE, SHAPE), probability[..., None]
    return comparison_summary(lesion_match, reference, grid, ["cmb"], RULES, probability)


def test_comparison_summary_lists_each_reference_lesion():
    summary = summary_of(boxes(B, value=0.9), boxes(A, B))
    assert [lesion["found"] for lesion in summary["lesions"]] == [False, True]
    assert summary["lesions"][0]["diameter_mm"] == pytest.approx((48 / np.pi) ** (1 / 3), abs=1e-4)
    assert summary["status"] == "ok"
    assert [lesion["max_probability"] for lesion in summary["lesions"]] == [0, 0.9]
    assert summary["false_positives"] == []


def test_centroids_and_voxel_correspondence():
    lesion_map = np.zeros((4, 4, 4), np.int32)
    lesion_map[0, 0, 0], lesion_map[2, 1, 1:3] = 1, 2
    assert centroids_mm(lesion_map, np.diag([2.0, 1, 1, 1]), 2).tolist() == [[0, 0, 0], [4, 1, 1.5]]
    candidates = np.arange(1000).reshape(SHAPE) == 444
    correspondence = voxel_correspondence(reference_of(boxes(C)), Grid(AFFINE, SHAPE), candidates)
    assert sorted(correspondence.model_index.tolist()) == [177, 444]
    assert correspondence.model_index.tolist() == correspondence.reference_index.tolist()
