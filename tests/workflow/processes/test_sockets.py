"""Sockets that only the user can open, and the run whose jobs share processes."""

import os
from pathlib import Path

import pytest

from lesionflow.workflow.processes.sockets import (
    CLUSTER_JOB,
    CODE,
    RUN,
    WorkerLost,
    enter_run,
    private_folder,
    short_folder,
)

MARKS = {"crop": "1", "mask": "2"}


def test_the_first_snakemake_of_a_cluster_job_is_the_run_of_all_in_it(monkeypatch):
    for name in (RUN, CODE, CLUSTER_JOB, "SLURM_JOB_ID", "JOB_ID"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(name, "")
    assert enter_run(MARKS)  # a user's
    assert os.environ[RUN] == str(os.getpid())
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv(RUN, "1")  # inherited from the user's
    assert enter_run(MARKS)  # the job's first
    assert os.environ[RUN] == str(os.getpid())
    monkeypatch.setenv(RUN, "1")  # the first one, which is alive, seen from one in it
    assert not enter_run(MARKS)
    assert os.environ[RUN] == "1"
    monkeypatch.setenv(RUN, "999999999")  # it has gone
    assert enter_run(MARKS)


def test_processes_of_other_code_are_another_runs(monkeypatch):
    for name in (RUN, CODE, CLUSTER_JOB):
        monkeypatch.setenv(name, "")
    enter_run(MARKS)
    first = os.environ[CODE]
    enter_run({**MARKS, "mask": "3"})
    assert first != os.environ[CODE]


def test_only_the_user_can_open_the_folder_of_sockets(tmp_path):
    folder = private_folder(tmp_path)
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o755)
    with pytest.raises(WorkerLost, match="open to others"):
        private_folder(tmp_path)
    folder.rmdir()
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(WorkerLost, match="not a folder of this user"):
        private_folder(tmp_path)


def test_a_folder_with_a_long_name_cannot_hold_sockets():
    assert short_folder("/scratch/7") == Path("/scratch/7")
    assert short_folder("/scratch/" + "7" * 60) == Path("/tmp")
