"""Steps compare and evaluate, run with a stand-in for Snakemake's job object."""

import json

import numpy as np
import pandas as pd
import pytest

from lesionflow.cohort.plan import split_references
from lesionflow.imaging.nifti import save
from lesionflow.results import evaluation_columns
from lesionflow.results.columns import names
from support.card_defaults import default
from support.jobs import job
from support.steps import step
from support.volumes import save_scan

compare = step("compare")
evaluate = step("evaluate")

SHAPE = (12, 12, 12)
OUTPUT = {"activation": "sigmoid", "labels": {1: "cmb"}}
RULES = default("postprocess", outside_brain=0.25)
FOLDER = "sub-1/anat"


def box(*starts, value=1, kind=np.uint8):
    data = np.zeros(SHAPE, kind)
    for start in starts:
        data[tuple(slice(s, s + 2) for s in start)] = value
    return data


def run_compare(folder, truth, found=((2, 2, 2), (8, 8, 8)), scan="sub-1"):
    """Compare two predicted lesions of 8 mm3 with a reference image; return what was written."""
    save(folder / "p.nii.gz", box(*found, value=0.8, kind=np.float32), np.eye(4))
    save(folder / "m.nii.gz", np.ones(SHAPE, np.uint8), np.eye(4))
    stem = folder / f"results/tiny/{FOLDER}/{scan}_desc-truth_comparison"
    one = job(
        folder,
        "compare",
        {"probability": folder / "p.nii.gz", "mask": folder / "m.nii.gz", "truth": truth},
        {"table": f"{stem}.tsv", "facts": f"{stem}.json"},
        affine="strict",
        output=OUTPUT,
        postprocess=RULES,
    )
    compare.main(one)
    assert (folder / "compare.log").read_text().endswith("DONE\n")
    table = pd.read_csv(f"{stem}.tsv", sep="\t")
    return table, json.loads(stem.with_suffix(".json").read_text())


def test_compare_counts(tmp_path):
    truth = save_scan(tmp_path / "t.nii.gz", box((2, 2, 2), (2, 8, 8)))
    table, facts = run_compare(tmp_path, truth)
    row = table[table.card].iloc[0]
    assert row[["lesions", "found", "count", "true_detections"]].tolist() == [2, 1, 2, 1]
    assert facts["status"] == "ok"
    assert [one["found"] for one in facts["lesions"]] == [True, False]
    assert facts["valdo"]["cmb"]["valdo_f1"] == 0.5


@pytest.mark.parametrize("kind", ["missing", "half", "cut"])
def test_an_unusable_reference_image_is_reported_and_does_not_fail(tmp_path, kind):
    path = tmp_path / "t.nii.gz"
    if kind == "half":
        save_scan(path, box((2, 2, 2), kind=np.float32, value=0.5))
    if kind == "cut":
        save_scan(path, np.random.default_rng(0).integers(0, 9, SHAPE).astype(np.uint8))
        path.write_bytes(path.read_bytes()[:900])
    table, facts = run_compare(tmp_path, path)
    assert len(table) == 0
    assert facts["status"] == "truth-unusable"
    assert str(path) in facts["reason"]


def record(scan, truth=("ok", ""), problems=None):
    parts = {"scan": scan, "subject": "1", "session": "", "run": "", "folder": FOLDER}
    parts |= {"files": {"truth": "t"}, "content": {"truth": "c"}, "finder": None}
    return {**parts, "problems": problems or {}, "truth": list(truth)}


def run_evaluate(folder, plan):
    plain, truths = split_references(plan)
    (folder / "plan.json").write_text(json.dumps(plain))
    (folder / "truths.json").write_text(json.dumps(truths))
    results, logs = folder / "results", folder / "logs"
    outputs = {
        "evaluation": results / "evaluation.csv",
        "evaluation_dictionary": results / "evaluation.json",
        "thresholds": results / "evaluation_thresholds.csv",
        "thresholds_dictionary": results / "evaluation_thresholds.json",
        "page": results / "evaluation.html",
    }
    logs.mkdir(exist_ok=True)
    one = job(
        logs,
        "evaluate",
        {"plan": folder / "plan.json", "truths": folder / "truths.json"},
        outputs,
        models={
            "tiny": {
                "labels": ["cmb"],
                "channels": ["swi"],
                "folds": 1,
                "cleaned": False,
                "soft": [],
            }
        },
        cards={"tiny": {"version": "v0", "postprocess": RULES}},
    )
    evaluate.main(one)
    table = pd.read_csv(outputs["evaluation"], dtype=str, keep_default_na=False)
    return table.set_index("scan"), pd.read_csv(outputs["thresholds"])


def test_every_scan_has_a_row(tmp_path):
    good = save_scan(tmp_path / "t.nii.gz", box((2, 2, 2), (2, 8, 8)))
    bad = save_scan(tmp_path / "u.nii.gz", box((2, 2, 2), kind=np.float32, value=0.5))
    nothing = save_scan(tmp_path / "n.nii.gz", box())
    run_compare(tmp_path, good, scan="sub-1")
    run_compare(tmp_path, bad, scan="sub-2")
    run_compare(tmp_path, nothing, found=(), scan="sub-3")
    plan = [record("sub-1"), record("sub-2"), record("sub-3")]
    plan.append(record("sub-4", truth=("missing-input", "no file for truth")))
    plan.append(record("sub-5", problems={"tiny": ["excluded", "by include and exclude"]}))
    plan.append(record("sub-6", truth=("unreadable", "t is empty (0 bytes)")))
    plan.append(record("sub-7"))
    table, thresholds = run_evaluate(tmp_path, plan)
    assert list(table.columns) == names(evaluation_columns.EVALUATION)[1:]
    assert table.status.to_dict() == {
        "sub-1": "ok",
        "sub-2": "truth-unusable",
        "sub-3": "ok",
        "sub-4": "truth-missing",
        "sub-5": "excluded",
        "sub-6": "truth-unusable",
        "sub-7": "failed:import_fold",
    }
    assert (table.reason != "").to_list() == [False, True, False, True, True, True, True]
    assert table.truth.tolist() == ["lesions", "unusable", "empty", "missing", "", "unusable", ""]
    assert table.found.tolist() == ["1", "", "0", "", "", "", ""]
    # SHiVAi calls a scan without anything perfect; here it has no figure
    assert table.loc["sub-3", ["dice", "f1", "shivai_dice", "valdo_f1"]].tolist() == [
        *("", "", "1.0", "")
    ]
    row = thresholds[thresholds.card].iloc[0]
    assert (row.scans, row.scans_with_dice, row.lesions, row.found) == (2, 1, 2, 1)
    assert json.loads((tmp_path / "results/evaluation.json").read_text()).keys() == {
        *table.columns,
        "scan",
    }
    assert list(json.loads((tmp_path / "results/evaluation_thresholds.json").read_text())) == list(
        thresholds.columns
    )
    assert (
        "2 of 7 scans compared with the reference"
        in (tmp_path / "results/evaluation.html").read_text()
    )


def test_without_usable_reference_images_rows_have_reasons(tmp_path):
    run_compare(tmp_path, tmp_path / "none.nii.gz")
    table, thresholds = run_evaluate(tmp_path, [record("sub-1")])
    assert table.status.tolist() == ["truth-unusable"]
    assert list(thresholds.columns) == names(evaluation_columns.THRESHOLDS)
    assert len(thresholds) == 0
