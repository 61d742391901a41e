"""Sockets that only the user can open, and the run whose jobs share processes."""

import os
from pathlib import Path

import pytest

from lesionflow.base.leftovers import host
from lesionflow.workflow.processes import sockets
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
    parent = str(os.getppid())
    monkeypatch.setenv(RUN, parent)  # it runs: it is taken for the first one of the cluster job
    assert not enter_run(DIGESTS)
    assert os.environ[RUN] == parent
    monkeypatch.setenv(RUN, "999999999")  # no such process
    assert enter_run(DIGESTS)


def test_changed_code_gets_other_servers(monkeypatch):
    for name in (RUN, CODE, CLUSTER_JOB):
        monkeypatch.setenv(name, "")
    enter_run(DIGESTS)
    first = os.environ[CODE]
    enter_run({**DIGESTS, "mask": "3"})
    assert first != os.environ[CODE]


MODES = {"open to others": 0o755, "open to a group": 0o750, "closed": 0o500}


def occupy(path, kind):
    """Put something into the place of the folder of sockets, as another user or program might."""
    if kind == "file":
        path.touch(mode=0o700)
    elif kind in MODES:
        path.mkdir()
        path.chmod(MODES[kind])
    elif kind == "link":
        elsewhere = path.with_name(f"elsewhere-{path.name}")
        elsewhere.mkdir(mode=0o700)
        path.symlink_to(elsewhere)
    elif kind == "link to nothing":
        path.symlink_to(path.with_name("nothing"))
    elif kind == "another user's":
        path.mkdir(mode=0o700)
        os.chown(path, 12345, 12345)


KINDS = ["file", *MODES, "link", "link to nothing"] + ["another user's"] * (os.getuid() == 0)


@pytest.mark.parametrize("kind", KINDS)
def test_something_else_in_the_place_of_the_folder_of_sockets_is_not_used(tmp_path, kind):
    assert private_folder(tmp_path).name == f"lesionflow-{os.getuid()}"
    private_folder(tmp_path).rmdir()
    occupy(tmp_path / f"lesionflow-{os.getuid()}", kind)
    folder = private_folder(tmp_path)
    assert folder.name == f"lesionflow-{os.getuid()}-1"
    assert folder.is_dir() and not folder.is_symlink()
    assert (folder.stat().st_mode & 0o777, folder.stat().st_uid) == (0o700, os.getuid())
    assert private_folder(tmp_path) == folder  # for the next job of the run


def test_a_folder_that_inherits_its_group_is_used(tmp_path):
    tmp_path.chmod(0o2700)
    assert private_folder(tmp_path).name == f"lesionflow-{os.getuid()}"


def test_without_a_folder_that_only_the_user_can_open_no_process_is_shared(tmp_path, monkeypatch):
    monkeypatch.setattr(sockets, "MAX_FOLDERS", 3)
    for ending in ("", "-1", "-2"):
        occupy(tmp_path / f"lesionflow-{os.getuid()}{ending}", "open to others")
    with pytest.raises(SharedProcessError, match="no folder that only this user can open"):
        private_folder(tmp_path)


def test_the_start_of_a_server_removes_the_files_of_ended_runs_and_nothing_else(run, tmp_path):
    folder = sockets.folder()
    ended, running = (sockets.server_name(pid, "") for pid in ("999999999", os.getpid()))
    # on other hosts, where process 999999999 may run
    elsewhere, last_week = (ended.replace(host(), digit * 8) for digit in "01")
    for name in (ended, running, elsewhere, last_week):
        for ending in (".sock", ".lock", ".log", "-0-1.lock", "-0.sock"):
            (folder / f"{name}{ending}").touch()
            if name == last_week:
                os.utime(folder / f"{name}{ending}", (0, 0))
    (folder / "notes.txt").touch()
    (folder / "999999999-notes").mkdir()
    (folder / f"{ended}-7.sock").mkdir()
    (folder / "999999999-link").symlink_to(tmp_path)
    name = sockets.server_name(os.environ[sockets.RUN], "")
    sockets.connect_or_start(folder / f"{name}.sock", os.environ[sockets.RUN], "fork")[0].close()
    left = {path.name for path in folder.iterdir()}
    assert {"notes.txt", "999999999-notes", f"{ended}-7.sock", "999999999-link"} < left
    assert sum(name.startswith(ended) for name in left) == 1
    assert sum(name.startswith(last_week) for name in left) == 0
    assert sum(name.startswith(running) for name in left) == 5
    assert sum(name.startswith(elsewhere) for name in left) == 5


def test_the_path_of_a_socket_is_no_longer_than_macos_and_linux_allow():
    folder = (
        "x" * (sockets.MAX_FOLDER_LENGTH - 1) + f"/lesionflow-{2**32 - 2}-{sockets.MAX_FOLDERS - 1}"
    )
    name = f"{sockets.server_name(str(2**22), '')}-{sockets.MAX_SERVERS - 1}.sock"
    assert len(f"{folder}/{name}") <= 103


def test_a_run_has_ended_if_its_process_id_is_now_that_of_another_user(monkeypatch):
    def refuse(pid, number):
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert not sockets.is_alive("1")


def test_a_temporary_folder_with_a_long_name_is_replaced_by_tmp():
    assert short_folder("/scratch/7") == Path("/scratch/7")
    assert short_folder("/scratch/" + "7" * 60) == Path("/tmp")
