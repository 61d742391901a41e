"""The plan of a run: the files of each scan, and the problems that prevent its run."""

import gzip

import numpy as np
import pytest

from lesionflow.cohort.header_check import HeaderCache
from lesionflow.cohort.plan import paths_of_runs, plan_digest, plan_run
from support.card_defaults import default
from support.dicom import COMBINED, PHASE, save_series
from support.dicom import uid as uid_of_series
from support.volumes import noise, save_scan

PATTERNS = {
    "swi": ["*_swi.nii.gz"],
    "mask": ["*_mask.nii.gz"],
    "regions": ["*_regions.nii.gz"],
    "truth": ["*_truth.nii.gz"],
}


@pytest.fixture
def cohort(tmp_path):
    anat = tmp_path / "bids/sub-1/anat"
    for kind in ("swi", "mask"):
        save_scan(anat / f"sub-1_{kind}.nii.gz", noise())
    return tmp_path / "bids"


def card(*channels, echo=None):
    return {
        "name": "one",
        "version": "2",
        "folds": [{}],
        "input": default("input", channels=list(channels), echo=echo),
        "postprocess": {"threshold": 0.4},
    }


def plan(cohort, cards=None, brain_mask_card=None, **config):
    settings = {"cohort": cohort, "patterns": PATTERNS, "include": [], "exclude": []}
    settings |= {
        "brain_mask": "auto",
        "affine": "strict",
        "scan_entities": [],
        "dicom": None,
        "dicom_series": {},
    } | config
    headers = HeaderCache(cohort.parent / "headers.json")
    (record,), _ = plan_run(settings, cards or {"m": card("swi")}, headers, brain_mask_card)
    return record


def test_a_valid_scan_has_its_files(cohort):
    record = plan(cohort)
    assert record["problems"] == {}
    assert sorted(record["files"]) == ["mask", "swi"]


def test_files_that_no_step_reads_do_not_stop_a_scan(cohort):
    anat = cohort / "sub-1/anat"
    assert plan(cohort)["truth"][0] == "missing-input"
    save_scan(anat / "sub-1_truth.nii.gz", noise((4, 5, 6, 3)))
    record = plan(cohort)
    assert record["problems"] == {}
    assert record["truth"][0] == "unreadable"
    assert "truth" not in record["files"]
    (anat / "sub-1_mask.nii.gz").write_bytes(b"")
    assert plan(cohort)["problems"]["m"][0] == "unreadable"
    assert plan(cohort, brain_mask="none")["problems"] == {}


def test_damaged_regions_stop_a_scan(cohort):
    (cohort / "sub-1/anat/sub-1_regions.nii.gz").write_bytes(gzip.compress(b"no"))
    assert plan(cohort)["problems"]["m"][0] == "unreadable"


def test_models_that_need_different_files_for_a_channel_are_not_run_together(cohort):
    anat = cohort / "sub-1/anat"
    (anat / "sub-1_swi.nii.gz").unlink()
    for echo in (1, 2):
        save_scan(anat / f"sub-1_echo-{echo}_swi.nii.gz", np.ones((5, 5, 5), np.float32) * echo)
    record = plan(cohort, {"a": card("swi", echo=1), "b": card("swi", echo=2)})
    assert record["files"]["swi"].endswith("echo-1_swi.nii.gz")
    assert "a" not in record["problems"]
    assert "different files for swi" in record["problems"]["b"][1]


def test_a_scan_without_a_mask_can_be_run_if_one_is_computed(cohort):
    assert plan(cohort, brain_mask_card=card("any"))["finder"] is None
    (cohort / "sub-1/anat/sub-1_mask.nii.gz").unlink()
    record = plan(cohort, brain_mask_card=card("any"))
    assert record["problems"] == {}
    assert record["finder"] == {"name": "one", "version": "2", "folds": 1, "threshold": 0.4}
    status, reason = plan(cohort, brain_mask="provided")["problems"]["m"]
    assert status == "missing-input" and "brain_mask: auto computes one" in reason


def test_a_damaged_mask_is_not_replaced_by_a_computed_one(cohort):
    (cohort / "sub-1/anat/sub-1_mask.nii.gz").write_bytes(b"")
    assert plan(cohort, brain_mask_card=card("any"))["problems"]["m"][0] == "unreadable"
    assert plan(cohort, brain_mask_card=card("any"), brain_mask="compute")["problems"] == {}


def test_the_channel_of_the_brain_mask_card_is_needed(cohort):
    (cohort / "sub-1/anat/sub-1_mask.nii.gz").unlink()
    patterns = {**PATTERNS, "t1": ["*_T1w.nii.gz"]}
    record = plan(cohort, brain_mask_card=card("t1"), patterns=patterns)
    assert record["problems"]["m"][0] == "missing-input"
    save_scan(cohort / "sub-1/anat/sub-1_T1w.nii.gz", noise())
    record = plan(cohort, brain_mask_card=card("t1"), patterns=patterns)
    assert record["problems"] == {}
    assert sorted(record["files"]) == ["swi", "t1"]


def test_the_digest_of_a_plan_is_the_same_wherever_files_lie_and_without_references(cohort):
    without = plan(cohort)
    save_scan(cohort / "sub-1/anat/sub-1_truth.nii.gz", noise((4, 5, 6)))
    record = plan(cohort)
    assert record["truth"] == ["ok", ""]
    assert without["truth"][0] == "missing-input"
    assert plan_digest([record]) == plan_digest([without])
    moved = cohort.rename(cohort.parent / "moved")
    assert plan(moved)["files"] != record["files"]
    assert plan_digest([plan(moved)]) == plan_digest([record])
    (moved / "sub-1/anat/sub-1_mask.nii.gz").unlink()
    assert plan_digest([plan(moved)]) != plan_digest([record])


def test_files_without_geometry_are_not_combined_with_others(cohort):
    import scipy.io

    anat = cohort / "sub-1/anat"
    data = noise((12, 13, 14))
    matlab = {"variable": "vol", "orientation": "ILA", "spacing_mm": [1, 1, 1]}
    patterns = {**PATTERNS, "swi": ["*_swi.mat"], "truth": ["*_truth.*"]}
    scipy.io.savemat(anat / "sub-1_swi.mat", {"vol": data})
    matlab_card = card("swi")
    matlab_card["input"]["matlab"] = matlab
    status, reason = plan(cohort, {"m": matlab_card}, patterns=patterns)["problems"]["m"]
    assert status == "header-conflict"
    assert "sub-1_swi.mat" in reason and "sub-1_mask.nii.gz" in reason
    save_scan(anat / "sub-1_truth.nii.gz", np.ones((12, 13, 14), np.uint8))
    record = plan(cohort, {"m": matlab_card}, patterns=patterns, brain_mask="none")
    assert record["problems"] == {}
    assert record["truth"][0] == "truth-unusable"
    both = {**PATTERNS, "swi": ["*_swi.*"]}
    plain = plan(cohort, {"m": card("swi")}, patterns=both)  # without input.matlab
    assert plain["problems"] == {}
    assert plain["files"]["swi"].endswith(".nii.gz")


def test_paths_of_the_runs_are_in_the_order_of_the_plan():
    records = [
        {"scan": "sub-2", "folder": "sub-2/anat", "problems": {"b": ["excluded", ""]}},
        {"scan": "sub-1", "folder": "sub-1/anat", "problems": {}},
    ]
    paths = paths_of_runs("{model}/{folder}/{scan}_x.tsv", records, ["a", "b"])
    assert paths == [
        "a/sub-2/anat/sub-2_x.tsv",
        "a/sub-1/anat/sub-1_x.tsv",
        "b/sub-1/anat/sub-1_x.tsv",
    ]


def test_only_a_shared_reference_image_is_noted(tmp_path):
    """A T1 without a run belongs to both runs; their SWI may not be the same file."""
    anat = tmp_path / "bids/sub-1/anat"
    for name in ("run-1_swi", "run-2_swi", "t1"):
        save_scan(anat / f"sub-1_{name}.nii.gz", noise())
    settings = {"cohort": tmp_path / "bids", "include": [], "exclude": [], "affine": "strict"}
    settings |= {"patterns": {**PATTERNS, "t1": ["*_t1.nii.gz"]}, "brain_mask": "none"}
    settings |= {"scan_entities": [], "dicom": None, "dicom_series": {}}
    headers = HeaderCache(tmp_path / "headers.json")
    records, notes = plan_run(settings, {"m": card("swi", "t1")}, headers)
    assert [record["problems"] for record in records] == [{}, {}]
    assert notes == []
    swi = anat / "sub-1_run-2_swi.nii.gz"
    swi.unlink()
    swi.symlink_to("sub-1_run-1_swi.nii.gz")
    _, (note,) = plan_run(settings, {"m": card("swi", "t1")}, headers)
    assert "sub-1_run-1_swi.nii.gz is an image of sub-1_run-1 and of sub-1_run-2" in note


@pytest.mark.parametrize("kind", ["mask", "regions"])
def test_a_mask_of_several_volumes_is_not_advised_to_select_an_echo(cohort, kind):
    save_scan(cohort / f"sub-1/anat/sub-1_{kind}.nii.gz", noise((4, 5, 6, 3)))
    status, reason = plan(cohort, {"m": card("swi", echo=2)})["problems"]["m"]
    assert status == "unreadable"
    assert reason.endswith("4-D with 3 volumes: a mask or label image has one volume")


def test_dicom_cells_of_a_table_and_a_directory_of_dicom_files(tmp_path):
    data, affine = noise((4, 5, 3)).astype(np.int16), np.diag([-0.5, -0.5, 2, 1.0])
    paths = save_series(tmp_path / "bids/1/swi", data, affine, COMBINED)
    save_series(tmp_path / "bids/1/pha", data, affine, PHASE, number=6)
    save_series(tmp_path / "bids/1/again", data, affine, COMBINED, number=7)
    uid = str(uid_of_series("series", "20240115", 7))
    globs = {"swi": ["*swi*"], "t1": ["*t1*"]}
    records = []
    for cell in ("1/swi", str(paths[1]), f"1#{uid}"):
        (tmp_path / "bids/a.tsv").write_text(f"subject\tswi\n1\t{cell}\n")
        records.append(plan(tmp_path / "bids/a.tsv", dicom_series=globs, brain_mask="none"))
    first, of_file, of_uid = records
    assert [r["problems"] for r in records] == [{}] * 3
    assert first["files"] == of_file["files"] != of_uid["files"]
    (path,) = first["files"].values()
    assert first["parts"] == {path: list(map(str, paths))}
    assert first["dicom"]["swi"] == {"kind": "combined SWI", "echo_time": 20.0, "whole": True}
    record = plan(tmp_path, dicom=str(tmp_path / "bids"), dicom_series=globs, brain_mask="none")
    status, reason = record["problems"]["m"]
    assert status == "missing-input" and "2 series" in reason and uid in reason
    (tmp_path / "bids/a.tsv").write_text("subject\tswi\tmask\n1\t1/swi\t1/pha\n")
    record = plan(tmp_path / "bids/a.tsv", dicom_series=globs)
    assert record["problems"]["m"][0] == "unreadable" and "mask" in record["problems"]["m"][1]


def test_a_channel_that_a_dicom_directory_lacks_is_filled_and_one_that_it_has_is_used(tmp_path):
    data, affine = noise((4, 5, 3)).astype(np.int16), np.diag([-0.5, -0.5, 2, 1.0])
    save_series(tmp_path / "dicom/1/swi", data, affine, COMBINED)
    filled = card("swi", "t1")
    filled["input"]["fill_missing"] = "swi"
    globs = {"swi": ["*swi*"], "t1": ["*t1*"]}
    config = {"dicom": str(tmp_path / "dicom"), "dicom_series": globs, "brain_mask": "none"}
    assert list(plan(tmp_path, {"m": filled}, **config)["files"]) == ["swi"]
    save_series(tmp_path / "dicom/1/t1", data, affine, description="T1_mprage", number=2)
    assert sorted(plan(tmp_path, {"m": filled}, **config)["files"]) == ["swi", "t1"]
