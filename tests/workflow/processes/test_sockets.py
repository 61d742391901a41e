"""Sockets that only the user can open, and the run whose jobs share processes."""

import os
from pathlib import Path

import pytest

from lesionflow.workflow.processes.sockets import (
    CLUSTER_JOB,
    CODE,
    RUN,
    SharedProcessError,
    enter_run,
    private_folder,
    short_folder,
)

DIGESTS = {"crop": "1", "mask": "2"}


def test_nested_snakemake_processes_use_the_run_of_the_first_in_a_cluster_job(monkeypatch):
    for name in (RUN, CODE, CLUSTER_JOB, "SLURM_JOB_ID", "JOB_ID"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(name, "")
    assert enter_run(DIGESTS)  # started by the user
    assert os.environ[RUN] == str(os.getpid())
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv(RUN, "1")  # inherited from the user's process
    assert enter_run(DIGESTS)  # the first one of the cluster job
    assert os.environ[RUN] == str(os.getpid())
    monkeypatch.setenv(RUN, "1")  # process 1 runs: it is taken for the first one of the cluster job
    assert not enter_run(DIGESTS)
    assert os.environ[RUN] == "1"
    monkeypatch.setenv(RUN, "999999999")  # no such process
    assert enter_run(DIGESTS)


def test_changed_code_gets_other_servers(monkeypatch):
    for name in (RUN, CODE, CLUSTER_JOB):
        monkeypatch.setenv(name, "")
    enter_run(DIGESTS)
    first = os.environ[CODE]
    enter_run({**DIGESTS, "mask": "3"})
    assert first != os.environ[CODE]


def test_only_the_user_can_open_the_folder_of_sockets(tmp_path):
    folder = private_folder(tmp_path)
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o755)
    with pytest.raises(SharedProcessError, match="open to other users"):
        private_folder(tmp_path)
    folder.rmdir()
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SharedProcessError, match="not a folder of this user"):
        private_folder(tmp_path)


def test_a_temporary_folder_with_a_long_name_is_replaced_by_tmp():
    assert short_folder("/scratch/7") == Path("/scratch/7")
    assert short_folder("/scratch/" + "7" * 60) == Path("/tmp")
