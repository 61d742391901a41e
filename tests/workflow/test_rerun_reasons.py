"""What a dry run says: the scans that a run would compute, and why."""

from lesionflow.workflow.rerun_reasons import (
    LOST,
    NeededJob,
    changed_inputs,
    changed_settings,
    dry_run_lines,
)

SCANS = ["sub-1", "sub-2", "sub-3", "sub-4", "sub-5"]


def job(rule, scan="", *reasons, model="m"):
    return NeededJob(rule, scan, model, reasons)


def test_scans_are_folded_by_reason_in_the_order_of_the_cohort():
    jobs = [
        *(job("threshold", scan, "threshold changed") for scan in ("sub-5", "sub-1", "sub-2")),
        job("resample", "sub-3", "its file changed"),
        job("crop", "sub-3"),
        job("aggregate"),
        job("report"),
        job("all"),
    ]
    assert dry_run_lines(jobs, SCANS, ["m"], set()) == [
        "3 of 5 scans: threshold changed: sub-1, sub-2, sub-5",
        "1 of 5 scans: its file changed: sub-3",
        "and the tables and the report",
    ]


def test_reasons_of_a_scan_are_in_the_order_of_the_steps():
    jobs = [job("show", "sub-1", LOST), job("threshold", "sub-1", "threshold changed", LOST)]
    (line,) = dry_run_lines(jobs, SCANS, ["m"], set())
    assert line == f"1 of 5 scans: threshold changed and {LOST}: sub-1"


def test_a_scan_without_results_has_no_other_reason():
    jobs = [job("resample", "sub-1", LOST), job("import_fold"), job("import_fold")]
    assert dry_run_lines(jobs, SCANS, ["m"], {("sub-1", "m")}) == [
        "1 of 5 scans: no results yet: sub-1",
        "2 folds of m to import",
    ]


def test_tables_only():
    jobs = [job("aggregate", "", "plan_digest changed"), job("report")]
    assert dry_run_lines(jobs, SCANS, ["m"], set()) == [
        "tables and report only: plan_digest changed"
    ]


def test_with_several_models_a_line_names_the_model():
    jobs = [job("show", "sub-1", LOST), job("show", "sub-1", LOST, model="n")]
    assert dry_run_lines(jobs, SCANS, ["m", "n"], set()) == [
        f"1 of 5 scans under m: {LOST}: sub-1",
        f"1 of 5 scans under n: {LOST}: sub-1",
    ]


def test_a_name_cannot_control_the_terminal():
    (line,) = dry_run_lines([job("show", "sub-\x1b[2J", LOST)], ["sub-\x1b[2J"], ["m"], set())
    assert "\x1b" not in line and "sub-\\x1b[2J" in line


def test_a_changed_setting_has_its_values_before_and_after():
    assert changed_settings("threshold", {"threshold": 0.2}, {"threshold": "0.2"}, ["0.5"]) == [
        "threshold changed from 0.5 to 0.2"
    ]


def test_of_a_section_the_keys_that_changed_are_named():
    old = {"threshold": 0.5, "filters": {"min_volume_mm3": 3, "cut": None}, "mask": "brain"}
    new = {"threshold": 0.5, "filters": {"min_volume_mm3": 5, "cut": [1, 2]}, "mask": "brain"}
    words = changed_settings("count", {"postprocess": new}, {"postprocess": repr(new)}, [repr(old)])
    assert words == ["min_volume_mm3 changed from 3 to 5", "cut changed"]


def test_the_code_of_a_step_is_another_version():
    words = changed_settings("count", {"code": "ab"}, {"code": "'ab'"}, ["'cd'"])
    assert words == ["another version of lesionflow"]


def test_a_digest_of_the_plan_is_not_shown():
    words = changed_settings("aggregate", {"plan_digest": "ab"}, {"plan_digest": "'ab'"}, ["'cd'"])
    assert words == ["the list of scans, or the status of one, changed"]


def test_a_setting_that_is_gone_is_a_change_of_the_step():
    assert changed_settings("count", {}, {}, ["3"]) == ["settings of count changed"]


def test_the_kind_of_a_file_that_changed_is_named():
    paths = ["bids/a.nii", "bids/m.nii", "models/m/fold-1/fold.json", "results/x.nii"]
    new = ["sha256:1", "sha256:2", "models_dir: m/fold-1-b/fold.json", "results/x.nii"]
    kinds = {"bids/a.nii": "file", "bids/m.nii": "mask"}
    assert changed_inputs(new, new, paths, kinds) == ["other input files"]
    assert changed_inputs(["sha256:2", *new[2:]], new, paths, kinds) == ["its file changed"]
    assert changed_inputs(["sha256:1", *new[2:]], new, paths, kinds) == ["its mask changed"]
    assert changed_inputs([*new[:2], new[3]], new, paths, kinds) == ["other weights of the model"]
