"""Runs in which the predictions share one process."""

import os
import shutil
import tempfile
from pathlib import Path

import pandas as pd
import pytest

from lesionflow.workflow.processes.sockets import MAX_FOLDERS
from support.cohorts import add_scan, blobs
from support.processes import ended
from support.runs import process_ids, snakemake

STEPS = (
    *("resample", "mask", "crop", "normalize", "average_folds"),
    *("threshold", "count", "restore", "draw", "show"),
)
COHORT_STEPS = ("describe", "describe_cohort", "aggregate", "report")

pytestmark = pytest.mark.slow


def test_predictions_of_a_run_share_one_process_and_both_backends_agree(
    finished, tmp_path, tiny, models_dir
):
    """TensorFlow starts once for three folds of three scans; the tables equal those of OpenVINO but for its name."""
    shutil.copytree(finished / "bids", tmp_path / "bids")
    status, text = snakemake(
        tmp_path, cohort="bids", models=tiny, models_dir=models_dir, backend="tensorflow"
    )
    assert status == 0, text
    pids = process_ids(tmp_path)
    assert len(pids) == 9
    assert len(set(pids)) == 1, text
    assert ended(pids[0])  # with the run
    assert len(set(process_ids(finished))) == 1
    runs = tmp_path, finished
    tensorflow, openvino = (pd.read_csv(run / "results/lesions.csv") for run in runs)
    pd.testing.assert_frame_equal(tensorflow, openvino, rtol=0, atol=1e-5)
    tensorflow, openvino = (pd.read_csv(run / "results/cohort.csv") for run in runs)
    assert set(tensorflow.pop("backend")) == {"tensorflow"}
    assert set(openvino.pop("backend")) == {"openvino"}
    pd.testing.assert_frame_equal(tensorflow, openvino, rtol=0, atol=1e-5)


def open_folder(path):
    """A folder that every user can open, where lesionflow wants one that only the user can open."""
    path.mkdir()
    path.chmod(0o777)


def test_jobs_share_processes_although_the_folder_for_sockets_is_that_of_somebody_else(
    tmp_path, tiny, models_dir, monkeypatch
):
    add_scan(tmp_path / "bids", "sub-1", blobs([(8, 9, 5)]))
    with tempfile.TemporaryDirectory() as short_path:  # the length of socket paths is limited
        monkeypatch.setenv("TMPDIR", short_path)
        open_folder(Path(short_path, f"lesionflow-{os.getuid()}"))
        status, text = snakemake(tmp_path, cohort="bids", models=tiny, models_dir=models_dir)
    assert status == 0, text
    assert "process of its own" not in text
    assert len(set(process_ids(tmp_path))) == 1


def test_without_a_private_folder_for_sockets_every_job_is_a_separate_process(
    finished, tmp_path, tiny, models_dir, monkeypatch
):
    """All folders for sockets are writable for others, so no process is shared; the tables are the same."""
    shutil.copytree(finished / "bids/sub-01", tmp_path / "bids/sub-01")
    with tempfile.TemporaryDirectory() as short_path:  # the length of socket paths is limited
        monkeypatch.setenv("TMPDIR", short_path)
        for number in range(MAX_FOLDERS):
            ending = f"-{number}" if number else ""
            open_folder(Path(short_path, f"lesionflow-{os.getuid()}{ending}"))
        status, text = snakemake(tmp_path, cohort="bids", models=tiny, models_dir=models_dir)
    assert status == 0, text
    assert text.count("this job runs in a process of its own") == 2 * (len(STEPS) + 3) + len(
        COHORT_STEPS
    )
    # where Snakemake writes the scripts of jobs with processes of their own
    assert (tmp_path / ".snakemake/scripts").exists()
    assert not (finished / ".snakemake/scripts").exists()
    assert len(set(process_ids(tmp_path))) == 6
    separate, shared = (pd.read_csv(run / "results/lesions.csv") for run in (tmp_path, finished))
    shared = shared[shared.scan.str.startswith("sub-01")]
    pd.testing.assert_frame_equal(separate, shared.reset_index(drop=True))
    (log,) = (finished / "logs/crop").rglob("sub-02.log")
    assert "peak memory" in log.read_text()
