"""Metrics per scan and over all scans, with values computed by hand."""

import numpy as np
import pandas as pd
import pytest

from lesionflow.evaluation.cohort_metrics import (
    RESAMPLES,
    best_row,
    bootstrap_weights,
    percentile_interval,
    pooled_metrics,
    sensitivity_by_size,
    threshold_table,
)
from lesionflow.evaluation.lesion_matching import COUNT_COLUMNS
from lesionflow.evaluation.page import cell, evaluation_page
from lesionflow.evaluation.scan_metrics import detection, dice, ratio, scan_metrics
from lesionflow.results import evaluation_columns
from lesionflow.results.columns import names


def counts(**changes):
    """Counts of a scan: 4 reference lesions, 3 of them detected; 5 predicted lesions, 4 true detections."""
    row = {"label": 1, "lesions": 4, "found": 3, "count": 5, "true_detections": 4}
    row |= {"outside_truth": 0, "volume_mm3": 30.0, "truth_volume_mm3": 40.0}
    row |= {"voxels": 30, "truth_voxels": 40, "voxels_both": 21}
    return row | changes


EMPTY = dict.fromkeys(COUNT_COLUMNS, 0) | {"label": 1, "volume_mm3": 0.0, "truth_volume_mm3": 0.0}
EMPTY_REFERENCE = counts(
    lesions=0, found=0, true_detections=0, truth_volume_mm3=0.0, truth_voxels=0, voxels_both=0
)
EMPTY_PREDICTION = counts(
    count=0, found=0, true_detections=0, volume_mm3=0.0, voxels=0, voxels_both=0
)


def metrics_of(row):
    """The metrics of one scan."""
    return scan_metrics(pd.DataFrame([row])).iloc[0]


def test_metrics_of_one_scan():
    metrics = metrics_of(counts())
    expected = {"truth_count": 4, "count": 5, "count_error": 1, "found": 3, "missed": 1}
    expected |= {"true_detections": 4, "false_positives": 1, "sensitivity": 0.75, "precision": 0.8}
    expected |= {"f1": 2 * 0.75 * 0.8 / 1.55, "dice": 0.6, "volume_error_mm3": -10.0}
    expected |= {"volume_error_relative": -0.25, "shivai_sensitivity": 0.75, "shivai_dice": 0.6}
    # the numerator of SHiVAi's precision is the number of detected reference lesions: 3 / (3 + 1)
    expected |= {"shivai_precision": 0.75, "shivai_f1": 0.75}
    assert {key: metrics[key] for key in expected} == pytest.approx(expected)


@pytest.mark.parametrize(
    ("row", "expected", "expected_shivai"),
    [
        # sensitivity, precision, F1, Dice, relative volume error; SHiVAi's sensitivity, precision, F1, Dice
        (counts(), (0.75, 0.8, 0.7742, 0.6, -0.25), (0.75, 0.75, 0.75, 0.6)),
        (EMPTY_REFERENCE, (None, 0, 0, 0, None), (0, 0, 0, 0)),
        (EMPTY_PREDICTION, (0, None, 0, 0, -1), (0, 0, 0, 0)),
        (EMPTY, (None, None, None, None, None), (1, 1, 1, 1)),
    ],
    ids=["both", "no reference", "no prediction", "neither"],
)
def test_undefined_metrics_are_nan_and_follow_their_own_rule_in_shivai(
    row, expected, expected_shivai
):
    metrics = metrics_of(row)
    keys = ("sensitivity", "precision", "f1", "dice", "volume_error_relative")
    for key, value in zip(keys, expected, strict=True):
        if value is None:
            assert np.isnan(metrics[key])
        else:
            assert metrics[key] == pytest.approx(value, abs=1e-4)
    shivai = [metrics[f"shivai_{key}"] for key in ("sensitivity", "precision", "f1", "dice")]
    assert shivai == pytest.approx(list(expected_shivai))


def test_ratio_is_nan_over_0_and_f1_is_0_without_detections():
    assert np.isnan(ratio(np.array([0]), np.array([0]))).all()
    metrics = detection(*(np.array([n]) for n in (2, 0, 3, 0)))
    assert (metrics["sensitivity"], metrics["precision"], metrics["f1"]) == (0, 0, 0)
    assert dice(np.array([3]), np.array([4]), np.array([5])) == pytest.approx(6 / 9)


def sweeps(*scans):
    """Tables of ``lesion_matching.sweep`` at thresholds 0.5 (the card's) and 0.7, where one lesion less is detected."""
    rows = []
    for n, row in enumerate(scans):
        keys = {"scan": f"sub-{n}", "model": "m", "label": "cmb", "min_volume_mm3": 0.0}
        fewer = max(row["found"] - 1, 0)
        changes = {"found": fewer, "count": fewer, "true_detections": fewer}
        rows.append({**row, **keys, "threshold": 0.5, "card": True})
        rows.append({**row, **changes, **keys, "threshold": 0.7, "card": False})
    return pd.DataFrame(rows)


def test_identical_scans_have_intervals_of_zero_width():
    table = threshold_table(sweeps(*[counts()] * 5))
    assert list(table.columns) == names(evaluation_columns.THRESHOLDS)
    row = table[table.card].iloc[0]
    expected = {"scans": 5, "lesions": 20, "found": 15, "missed": 5, "count": 25}
    expected |= {"false_positives": 5, "false_positives_a_scan": 1.0, "mean_dice": 0.6}
    assert {key: row[key] for key in expected} == pytest.approx(expected)
    for name in ("sensitivity", "precision", "f1", "false_positives_a_scan", "mean_dice"):
        assert row[f"{name}_low"] == pytest.approx(row[name]) == row[f"{name}_high"]
        assert row[f"{name}_undefined"] == 0
    assert table.best.tolist() == [True, False]  # F1 of 0.774 against 2 * 0.5 / 1.5 = 0.667


def test_metrics_over_all_scans_are_computed_from_sums():
    few, many = counts(lesions=1, found=1, count=1, true_detections=1), counts(lesions=9, found=0)
    row = threshold_table(sweeps(few, many)).iloc[0]
    assert row.sensitivity == pytest.approx(0.1)  # not the mean of 1 and 0
    assert row.sensitivity_low == 0
    assert row.sensitivity_high == 1


def test_undefined_resamples_are_left_out_and_counts():
    table = threshold_table(sweeps(counts(), EMPTY))
    row = table.iloc[0]
    assert row.scans_with_dice == 1
    weights = bootstrap_weights(2)
    assert weights.sum(axis=1).tolist() == [2] * RESAMPLES
    only_empty = int((weights[:, 0] == 0).sum())
    assert 400 < only_empty < 600  # expected: a quarter of the resamples
    assert row.sensitivity_undefined == row.mean_dice_undefined == only_empty
    assert row.sensitivity_low == row.sensitivity_high == 0.75
    assert (row.false_positives_a_scan_low, row.false_positives_a_scan_high) == (0, 1)
    assert row.false_positives_a_scan_undefined == 0


def test_one_scan_has_no_interval_and_no_scan_has_no_row():
    row = threshold_table(sweeps(counts())).iloc[0]
    assert row.f1 == pytest.approx(0.7742, abs=1e-4)
    assert np.isnan(row.f1_low) and np.isnan(row.f1_high) and np.isnan(row.f1_undefined)
    assert len(threshold_table(pd.DataFrame())) == 0


def test_intervals_are_reproducible():
    first, second = (threshold_table(sweeps(counts(), EMPTY, counts(found=1))) for _ in range(2))
    pd.testing.assert_frame_equal(first, second)


def test_interval_bounds_are_percentiles_of_the_defined_values():
    values = np.stack([np.arange(101.0), np.full(101, np.nan)], axis=-1)
    low, high, undefined = percentile_interval(values)
    assert (low[0], high[0], undefined[0]) == (2.5, 97.5, 0)
    assert np.isnan(low[1]) and undefined[1] == 101


def test_ties_in_f1_go_to_the_higher_threshold_then_to_the_smaller_minimum_size():
    rows = [(0.3, 0, 0.8), (0.5, 2, 0.8), (0.5, 0, 0.8), (0.7, 0, 0.5), (0.9, 0, np.nan)]
    table = pd.DataFrame(rows, columns=["threshold", "min_volume_mm3", "f1"])
    assert best_row(table).tolist() == [False, False, True, False, False]
    assert not best_row(table.assign(f1=np.nan)).any()


def test_mean_dice_is_taken_over_scans_with_a_dice():
    sums = {key: np.array([1.0]) for key in ("lesions", "found", "count", "true_detections")}
    sums |= {"dice": np.array([1.2]), "dice_scans": np.array([2])}
    assert pooled_metrics(sums, np.array([3]))["mean_dice"] == pytest.approx(0.6)


def test_sensitivity_is_reported_by_size_of_the_reference_lesion():
    rows = [("a", 1.0, True), ("a", 2.0, False), ("b", 2.5, True), ("b", 12.0, True)]
    table = sensitivity_by_size(pd.DataFrame(rows, columns=["scan", "diameter_mm", "found"]))
    assert table.lesions.tolist() == [1, 2, 0, 0, 1]
    assert table.found.tolist() == [1, 1, 0, 0, 1]
    assert table.sensitivity.fillna(-1).tolist() == [1, 0.5, -1, -1, 1]
    assert (table.low[1], table.high[1]) == (0, 1)
    no_lesions = pd.DataFrame(columns=["scan", "diameter_mm", "found"])
    assert sensitivity_by_size(no_lesions).lesions.sum() == 0


def test_every_column_has_one_description():
    for columns in (evaluation_columns.EVALUATION, evaluation_columns.THRESHOLDS):
        assert len(set(names(columns))) == len(columns)
        assert all(len(column["Description"]) > 2 for column in columns)
    assert set(evaluation_columns.INTEGERS) <= set(names(evaluation_columns.EVALUATION))


@pytest.mark.parametrize(
    ("scans", "argmax"),
    [([counts(), EMPTY, EMPTY_REFERENCE], False), ([EMPTY], False), ([counts()], True)],
)
def test_the_page_is_complete_and_self_contained(scans, argmax):
    table = sweeps(*scans)
    if argmax:
        table = table[table.card].assign(threshold=np.nan)
    rows = scan_metrics(pd.DataFrame(scans)).assign(
        scan=[f"sub-{n}" for n in range(len(scans))], model="m", label="cmb", status="ok", reason=""
    )
    rows = pd.concat([rows, pd.DataFrame([{"scan": "sub-x", "status": "truth-missing"}])])
    rows = rows.reindex(columns=names(evaluation_columns.EVALUATION)).reset_index(drop=True)
    rows.loc[rows.scan == "sub-x", "reason"] = "<none>"
    lesions = pd.DataFrame(columns=["scan", "model", "label", "volume_mm3", "diameter_mm", "found"])
    models = {"m": {"version": "v1", "postprocess": {"connectivity": 26}}}
    page = evaluation_page(rows, threshold_table(table), lesions, {}, models)
    assert f"{len(scans)} of {len(scans) + 1} scans compared with the reference" in page
    for text in (
        "any of its voxels overlaps",
        "26 neighbours",
        "&lt;none&gt;",
        "looks better",
        "VALDO",
    ):
        assert text in page
    assert page.count('src="data:image/svg+xml;base64,') == 1
    assert "http://" not in page and "https://" not in page
    assert "nan" not in page.split("base64")[0].lower()


def test_several_labels_share_a_table_and_a_figure_and_have_a_section_each():
    scans = [counts(), EMPTY]
    table = pd.concat([sweeps(*scans).assign(label=label) for label in ("core", "rim")])
    table = table[table.card].assign(threshold=np.nan)
    metrics = scan_metrics(pd.DataFrame(scans))
    metrics = metrics.assign(scan=["sub-0", "sub-1"], model="m", status="ok")
    rows = pd.concat([metrics.assign(label=label) for label in ("core", "rim")])
    rows = rows.reindex(columns=names(evaluation_columns.EVALUATION)).reset_index(drop=True)
    lesions = pd.DataFrame(columns=["scan", "model", "label", "volume_mm3", "diameter_mm", "found"])
    models = {"m": {"version": "v1", "postprocess": {"connectivity": 26}}}
    page = evaluation_page(rows, threshold_table(table), lesions, {}, models)
    assert (
        page.count('src="data:image/svg+xml;base64,') == 3
    )  # both labels together, then each label in a closed section
    assert page.count("<details>") == 2
    assert "<h2>m (v1)</h2>" in page


def test_cells_have_at_most_three_decimals_and_are_empty_for_missing_values():
    assert [cell(v) for v in (None, np.nan, 3.0, 0.12345, "a", 0.5, pd.NA)] == [
        *("", "", "3", "0.123", "a"),
        *("0.5", ""),
    ]
