"""Steps compare, show_errors and evaluate, run with a stand-in for Snakemake's job object."""

import json

import numpy as np
import pandas as pd
import pytest

from lesionflow.imaging.connected_components import label_lesions
from lesionflow.imaging.nifti import save
from lesionflow.results import evaluation_columns
from lesionflow.results.columns import names
from lesionflow.results.tables_io import write_table
from support.card_defaults import default
from support.jobs import job
from support.steps import step
from support.volumes import save_scan

compare = step("compare")
show_errors = step("show_errors")
evaluate = step("evaluate")

SHAPE = (12, 12, 12)
OUTPUT = {"activation": "sigmoid", "labels": {1: "cmb"}}
RULES = default("postprocess", outside_brain=0.25)
FOLDER = "sub-1/anat"


def boxes(*starts, value=1, dtype=np.uint8):
    """An image with boxes of 2 x 2 x 2 voxels that start at these voxels."""
    data = np.zeros(SHAPE, dtype)
    for start in starts:
        data[tuple(slice(s, s + 2) for s in start)] = value
    return data


def run_compare(folder, reference, predicted=((2, 2, 2), (8, 8, 8)), scan="sub-1"):
    """Compare predicted lesions of 8 mm3 with a reference image and show errors; return the table and the sidecar."""
    probability = boxes(*predicted, value=0.8, dtype=np.float32)
    save(folder / "p.nii.gz", probability, np.eye(4))
    save(folder / "m.nii.gz", np.ones(SHAPE, np.uint8), np.eye(4))
    stem = folder / f"results/tiny/{FOLDER}/{scan}_desc-truth_comparison"
    compare_job = job(
        folder,
        "compare",
        {"probability": folder / "p.nii.gz", "mask": folder / "m.nii.gz", "reference": reference},
        {"table": f"{stem}.tsv", "sidecar": f"{stem}.json"},
        affine="strict",
        matlab=None,
        output=OUTPUT,
        postprocess=RULES,
    )
    compare.main(compare_job)
    assert (folder / "compare.log").read_text().endswith("DONE\n")
    run_show_errors(folder, probability, reference, stem)
    table = pd.read_csv(f"{stem}.tsv", sep="\t")
    return table, json.loads(stem.with_suffix(".json").read_text())


def run_show_errors(folder, probability, reference, stem):
    """List and show the errors of a scan on whose grid the probabilities are."""
    scan = save_scan(folder / "scan.nii", 100 - 60 * probability)
    lesion_map = label_lesions((probability > 0.5).astype(np.int16), 26, np.eye(4))
    save(folder / "l.nii.gz", lesion_map, np.eye(4))
    rows = [
        {"label": "cmb", "lesion": number, **dict(zip("ijk", voxel, strict=True))}
        for number in range(1, int(lesion_map.max()) + 1)
        for voxel in [np.argwhere(lesion_map == number)[0].tolist()]
    ]
    lesions = pd.DataFrame(rows, columns=["label", "lesion", "i", "j", "k"])
    lesions = lesions.assign(volume_mm3=8.0, max_probability=0.8, region="", kept=True)
    write_table(folder / "lesions.tsv", lesions.assign(dropped_because=""))
    errors = str(stem).replace("comparison", "errors")
    show_errors.main(
        job(
            folder,
            "show_errors",
            {
                "scan": scan,
                "mask": folder / "m.nii.gz",
                "lesions": folder / "l.nii.gz",
                "table": folder / "lesions.tsv",
                "reference": reference,
                "comparison": f"{stem}.json",
            },
            {"table": f"{errors}.tsv", "pictures": f"{errors}.js"},
            affine="strict",
            echo=None,
            matlab=None,
            labels=OUTPUT["labels"],
            connectivity=RULES["connectivity"],
        )
    )
    assert (folder / "show_errors.log").read_text().endswith("DONE\n")


def test_compare_counts_lesions_and_lists_the_reference_lesions(tmp_path):
    reference = save_scan(tmp_path / "t.nii.gz", boxes((2, 2, 2), (2, 8, 8)))
    table, sidecar = run_compare(tmp_path, reference)
    row = table[table.card].iloc[0]
    assert row[["lesions", "found", "count", "true_detections"]].tolist() == [2, 1, 2, 1]
    assert sidecar["status"] == "ok"
    assert [lesion["found"] for lesion in sidecar["lesions"]] == [True, False]
    assert sidecar["valdo"]["cmb"]["valdo_f1"] == 0.5


@pytest.mark.parametrize("problem", ["missing", "not-integer", "truncated"])
def test_unusable_reference_image_is_reported_and_is_no_failure(tmp_path, problem):
    path = tmp_path / "t.nii.gz"
    if problem == "not-integer":
        save_scan(path, boxes((2, 2, 2), dtype=np.float32, value=0.5))
    if problem == "truncated":
        save_scan(path, np.random.default_rng(0).integers(0, 9, SHAPE).astype(np.uint8))
        path.write_bytes(path.read_bytes()[:900])
    table, sidecar = run_compare(tmp_path, path)
    assert len(table) == 0
    assert sidecar["status"] == "truth-unusable"
    assert str(path) in sidecar["reason"]


def record(scan, reference=("ok", ""), problems=None):
    """A scan of the plan; ``reference`` is the status and reason of its reference image."""
    scan_record = {"scan": scan, "subject": "1", "session": "", "run": "", "folder": FOLDER}
    scan_record |= {"files": {"truth": "t"}, "finder": None}
    return {**scan_record, "problems": problems or {}, "truth": list(reference)}


def run_evaluate(folder, plan):
    (folder / "plan.json").write_text(json.dumps({"records": plan}))
    results, logs = folder / "results", folder / "logs"
    outputs = {
        "evaluation": results / "evaluation.csv",
        "evaluation_dictionary": results / "evaluation.json",
        "thresholds": results / "evaluation_thresholds.csv",
        "thresholds_dictionary": results / "evaluation_thresholds.json",
        "errors": results / "evaluation_errors.csv",
        "errors_dictionary": results / "evaluation_errors.json",
        "page": results / "evaluation.html",
    }
    logs.mkdir(exist_ok=True)
    evaluate_job = job(
        logs,
        "evaluate",
        {},
        outputs,
        plan=str(folder / "plan.json"),
        models={
            "tiny": {
                "labels": ["cmb"],
                "channels": ["swi"],
                "folds": 1,
                "imports": ["d"],
                "cleaned": False,
                "soft": [],
            }
        },
        cards={"tiny": {"version": "v0", "postprocess": RULES}},
    )
    evaluate.main(evaluate_job)
    table = pd.read_csv(outputs["evaluation"], dtype=str, keep_default_na=False)
    return table.set_index("scan"), pd.read_csv(outputs["thresholds"])


def test_every_scan_has_a_row_whatever_its_status(tmp_path):
    usable = save_scan(tmp_path / "t.nii.gz", boxes((2, 2, 2), (2, 8, 8)))
    not_integer = save_scan(tmp_path / "u.nii.gz", boxes((2, 2, 2), dtype=np.float32, value=0.5))
    empty = save_scan(tmp_path / "n.nii.gz", boxes())
    run_compare(tmp_path, usable, scan="sub-1")
    run_compare(tmp_path, not_integer, scan="sub-2")
    run_compare(tmp_path, empty, predicted=(), scan="sub-3")
    plan = [record("sub-1"), record("sub-2"), record("sub-3")]
    plan.append(record("sub-4", reference=("missing-input", "no file for truth")))
    plan.append(record("sub-5", problems={"tiny": ["excluded", "by include and exclude"]}))
    plan.append(record("sub-6", reference=("unreadable", "t is empty (0 bytes)")))
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
        "sub-7": "failed:draw",  # nothing tells how far it came
    }
    assert (table.reason != "").to_list() == [False, True, False, True, True, True, True]
    assert table.truth.tolist() == ["lesions", "unusable", "empty", "missing", "", "unusable", ""]
    assert table.found.tolist() == ["1", "", "0", "", "", "", ""]
    # without reference and predicted lesions, SHiVAi's metrics are 1 and lesionflow's are undefined
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


def test_without_a_usable_reference_image_each_row_has_a_reason(tmp_path):
    run_compare(tmp_path, tmp_path / "none.nii.gz")
    table, thresholds = run_evaluate(tmp_path, [record("sub-1")])
    assert table.status.tolist() == ["truth-unusable"]
    assert list(thresholds.columns) == names(evaluation_columns.THRESHOLDS)
    assert len(thresholds) == 0
