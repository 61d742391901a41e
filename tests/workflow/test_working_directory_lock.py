"""The lock of a working directory is removed if the run that held it is dead, and only then."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from support.cohorts import add_scan, blobs
from support.paths import REPOSITORY
from support.runs import snakemake

pytestmark = pytest.mark.slow


@pytest.fixture
def killed(tmp_path, tiny, models_dir):
    """A working directory whose run was killed while it computed."""
    for number in range(1, 5):
        add_scan(tmp_path / "bids", f"sub-0{number}", blobs([(8, 9, 5)], seed=number))
    command = [sys.executable, "-m", "snakemake", "--snakefile", REPOSITORY / "Snakefile"]
    command += ["--workflow-profile", REPOSITORY / "profiles/default", "--cores", "1"]
    command += ["--directory", tmp_path, "--config", f"models={tiny}", f"models_dir={models_dir}"]
    run = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("work/running/*.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    assert list((tmp_path / ".snakemake/locks").iterdir())
    return tmp_path


def call(directory, tiny, models_dir, *args):
    return snakemake(directory, *args, models=tiny, models_dir=models_dir)


def test_the_lock_of_a_killed_run_is_removed(killed, tiny, models_dir):
    status, text = call(killed, tiny, models_dir, "--dry-run")
    assert status == 0, text
    assert list((killed / ".snakemake/locks").iterdir())  # a dry run removes nothing
    status, text = call(killed, tiny, models_dir)
    assert status == 0, text
    assert "was killed: its lock is removed" in text
    assert (killed / "results/cohort.csv").read_text().count(",ok,") == 4


def test_the_lock_of_a_run_that_may_live_stays(killed, tiny, models_dir):
    with (killed / ".snakemake/lesionflow.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        status, text = call(killed, tiny, models_dir)
    assert status == 1
    assert "cannot be locked" in text


@pytest.mark.parametrize("change", [{"host": "another"}, {"local": False}])
def test_a_run_elsewhere_or_in_a_queue_keeps_its_lock(killed, tiny, models_dir, change):
    (record,) = killed.glob("work/running/*.json")
    record.write_text(json.dumps(json.loads(record.read_text()) | change))
    status, text = call(killed, tiny, models_dir)
    assert status == 1
    assert "cannot be locked" in text
    assert ("queue of the scheduler" in text) == ("local" in change)
