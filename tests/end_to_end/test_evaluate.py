"""Evaluation against reference segmentations: real runs that no rule of the pipeline depends on."""

import os
import shutil

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from support.cohorts import AFFINE
from support.runs import jobs, snakemake
from support.volumes import save_scan

pytestmark = pytest.mark.slow

SCANS = {"sub-01_ses-1": "sub-01/ses-1", "sub-01_ses-2": "sub-01/ses-2", "sub-02": "sub-02"}
SHAPE = (30, 32, 14)
FAR = (25, 6, 10)


def put_truth(directory, scan, places, kind=np.uint8, value=1, affine=AFFINE):
    """A truth with boxes like those of ``conftest.blobs``."""
    data = np.zeros(SHAPE, kind)
    for i, j, k in places:
        data[i - 1 : i + 2, j - 1 : j + 2, k] = value
    path = directory / "bids" / SCANS[scan] / f"anat/{scan}_desc-truth_dseg.nii.gz"
    return save_scan(path, data, affine)


def planned(run, *args, **config):
    status, text = run(*args, "--dry-run", **config)
    assert status == 0, text
    return jobs(text)


def tables(directory):
    found = pd.read_csv(directory / "results/evaluation.csv").set_index("scan")
    return found, pd.read_csv(directory / "results/evaluation_thresholds.csv")


@pytest.fixture(scope="module")
def evaluated(finished, tmp_path_factory, tiny, models_dir):
    """The finished run with truths: one of two lesions is false and one is missed; one is right; none."""
    directory = tmp_path_factory.mktemp("evaluated") / "run"
    shutil.copytree(finished, directory)
    put_truth(directory, "sub-01_ses-1", [(8, 9, 5), FAR], value=7)
    put_truth(directory, "sub-01_ses-2", [(8, 9, 5)])
    put_truth(directory, "sub-02", [])
    status, text = snakemake(directory, "--dry-run", models=tiny, models_dir=models_dir)
    assert status == 0 and jobs(text) == {}, text  # the pipeline reads no reference segmentation
    status, text = snakemake(directory, "evaluate", models=tiny, models_dir=models_dir)
    assert status == 0, text
    assert jobs(text) == {"compare": 3, "evaluate": 1}
    return directory


@pytest.fixture
def run_again(evaluated, tmp_path, tiny, models_dir):
    directory = tmp_path / "again"
    shutil.copytree(evaluated, directory)

    def run(*args, **config):
        return snakemake(directory, *args, **{"models": tiny, "models_dir": models_dir, **config})

    return directory, run


def test_counts_are_those_of_the_cohort_table(evaluated):
    found, thresholds = tables(evaluated)
    cohort = pd.read_csv(evaluated / "results/cohort.csv").set_index("scan")
    assert found["count"].to_dict() == cohort.cmb_count.to_dict()
    assert found.volume_mm3.to_dict() == cohort.cmb_volume_mm3.to_dict()
    assert found.status.tolist() == ["ok"] * 3
    assert found.truth.tolist() == ["lesions", "lesions", "empty"]
    assert found.truth_count.tolist() == [2, 1, 0]
    assert found.found.tolist() == [1, 1, 0]
    assert found.false_positives.tolist() == [1, 0, 0]
    assert found.truth_volume_mm3.tolist() == pytest.approx(
        [2 * 9 * 0.9**2 * 1.8, 9 * 0.9**2 * 1.8, 0], abs=1e-3
    )
    assert found.loc["sub-02", ["dice", "sensitivity", "f1"]].isna().all()
    row = thresholds[thresholds.card].iloc[0]
    assert (row.threshold, row.min_volume_mm3, row.scans) == (0.85, 0, 3)
    assert (row.lesions, row.found, row["count"], row.true_detections) == (3, 2, 3, 2)
    assert row.f1 == pytest.approx(2 / 3, abs=1e-4)
    assert row.false_positives_a_scan == pytest.approx(1 / 3, abs=1e-4)
    assert thresholds.best.sum() == 1
    page = (evaluated / "results/evaluation.html").read_text()
    assert "3 of 3 scans compared with the reference" in page


def test_dice_is_that_of_the_scans_own_map(evaluated):
    found, _ = tables(evaluated)
    folder = evaluated / "results/tiny/sub-01/ses-2/anat"
    own = np.asanyarray(nib.load(folder / "sub-01_ses-2_space-orig_dseg.nii.gz").dataobj) > 0
    truth = evaluated / "bids/sub-01/ses-2/anat/sub-01_ses-2_desc-truth_dseg.nii.gz"
    true = np.asanyarray(nib.load(truth).dataobj) > 0
    by_hand = 2 * (own & true).sum() / (own.sum() + true.sum())
    assert found.dice["sub-01_ses-2"] == pytest.approx(by_hand, abs=1e-4)
    assert by_hand > 0.3


def test_only_what_changed_is_compared_again(run_again):
    directory, run = run_again
    assert planned(run, "evaluate") == {}
    assert planned(run, "evaluate", threshold=0.9) == {"compare": 3, "evaluate": 1}
    put_truth(directory, "sub-02", [(10, 10, 5)])
    assert planned(run, "evaluate") == {"compare": 1, "evaluate": 1}


def test_a_bad_truth_costs_its_scan_only(run_again):
    directory, run = run_again
    put_truth(directory, "sub-01_ses-1", [(8, 9, 5)], np.float32, 0.5)
    put_truth(directory, "sub-01_ses-2", [(8, 9, 5)]).write_bytes(b"")
    status, text = run("evaluate")
    assert status == 0, text
    assert jobs(text) == {"compare": 1, "evaluate": 1}
    found, thresholds = tables(directory)
    assert found.status.tolist() == ["truth-unusable", "truth-unusable", "ok"]
    assert "not a label image" in found.reason.iloc[0]
    assert "empty (0 bytes)" in found.reason.iloc[1]
    assert set(thresholds.scans) == {1}


def test_what_fails_is_told_in_a_partial_table(run_again):
    directory, run = run_again
    put_truth(directory, "sub-02", [(10, 10, 5)])
    mask = directory / "results/tiny/sub-02/anat/sub-02_space-model_desc-brain_mask.nii.gz"
    old = mask.stat().st_mtime_ns
    mask.write_bytes(b"broken")
    os.utime(mask, ns=(old, old))
    status, text = run("evaluate")
    assert status != 0
    assert "1 of 3 scans failed; results/evaluation.partial.csv" in text
    assert not (directory / "results/cohort.partial.csv").exists()
    rows = pd.read_csv(directory / "results/evaluation.partial.csv").set_index("scan")
    assert rows.status.tolist() == ["ok", "ok", "failed:compare"]


def test_without_a_truth_evaluate_says_so(again):
    _, run = again
    status, text = run("evaluate", "--dry-run")
    assert status != 0
    assert "no scan that can be run has a reference segmentation" in text
    assert "column truth" in text
