"""Runs whose predictions share one process."""

import os
import re
import shutil
import tempfile
import time
from pathlib import Path

import pandas as pd
import pytest

from support.runs import snakemake

STEPS = (
    *("resample", "mask", "crop", "normalize", "average_folds"),
    *("threshold", "count", "restore", "draw"),
)
OF_COHORT = ("describe", "aggregate", "report")

pytestmark = pytest.mark.slow


def processes(directory, step="predict_fold"):
    """The process of each job of a step, by its log."""
    logs = sorted((directory / "logs" / step).rglob("*.log"))
    return [re.search(r"process (\d+), peak", log.read_text())[1] for log in logs]


def test_predictions_of_a_run_share_one_process_and_both_backends_agree(
    finished, tmp_path, tiny, models_dir
):
    """TensorFlow starts once for three scans of three folds; the tables are those of OpenVINO but for its name."""
    shutil.copytree(finished / "bids", tmp_path / "bids")
    status, text = snakemake(
        tmp_path, cohort="bids", models=tiny, models_dir=models_dir, backend="tensorflow"
    )
    assert status == 0, text
    pids = processes(tmp_path)
    assert len(pids) == 9
    assert len(set(pids)) == 1
    end = time.monotonic() + 10
    while Path("/proc", pids[0]).exists() and time.monotonic() < end:
        time.sleep(0.1)
    assert not Path("/proc", pids[0]).exists()  # it ended with the run
    assert len(set(processes(finished))) == 1
    ours, theirs = (pd.read_csv(d / "results/lesions.csv") for d in (tmp_path, finished))
    pd.testing.assert_frame_equal(ours, theirs, rtol=0, atol=1e-5)
    ours, theirs = (pd.read_csv(d / "results/cohort.csv") for d in (tmp_path, finished))
    assert set(ours.pop("backend")) == {"tensorflow"}
    assert set(theirs.pop("backend")) == {"openvino"}
    pd.testing.assert_frame_equal(ours, theirs, rtol=0, atol=1e-5)


def test_where_no_process_can_be_shared_every_job_runs_by_itself(
    finished, tmp_path, tiny, models_dir, monkeypatch
):
    """As where others can write to the folder of the sockets; the tables are the same."""
    shutil.copytree(finished / "bids/sub-01", tmp_path / "bids/sub-01")
    with tempfile.TemporaryDirectory() as short:
        monkeypatch.setenv("TMPDIR", short)
        folder = Path(short, f"lesionflow-{os.getuid()}")
        folder.mkdir()
        folder.chmod(0o777)
        status, text = snakemake(tmp_path, cohort="bids", models=tiny, models_dir=models_dir)
    assert status == 0, text
    assert text.count("this job runs in a process of its own") == 2 * (len(STEPS) + 3) + len(
        OF_COHORT
    )
    assert (tmp_path / ".snakemake/scripts").exists()  # where Snakemake writes scripts anew
    assert not (finished / ".snakemake/scripts").exists()
    assert len(set(processes(tmp_path))) == 6
    ours, theirs = (pd.read_csv(d / "results/lesions.csv") for d in (tmp_path, finished))
    theirs = theirs[theirs.scan.str.startswith("sub-01")]
    pd.testing.assert_frame_equal(ours, theirs.reset_index(drop=True))
    (log,) = (finished / "logs/crop").rglob("sub-02.log")
    assert "peak memory" in log.read_text()
