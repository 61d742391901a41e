"""Forks of a process that has a step's imports: a job of its own each, and never a reason for a wrong result."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import processes
import pytest
from processes import ended, parent, text_of
from test_start import HEAVY

from lesionflow import forks, sockets
from lesionflow.forks import hand_over
from lesionflow.sockets import CODE, RUN
from paths import HOUSE

HERE = os.getpid()


def job(path, what="work", seconds=0.0):
    params = SimpleNamespace(what=what, path=str(path), seconds=seconds)
    return SimpleNamespace(rule="forked_step", params=params)


def asked(path, what="work", seconds=0.0):
    """How a job ended that was handed over (None: it was not), its process, and how many it has done."""
    try:
        hand_over(job(path, what, seconds))
        code = None
    except SystemExit as error:
        code = error.code
    return code, *map(int, path.read_text().split() if path.exists() else ())


def client(path, tmp_path, **more):
    """A process that hands a job over as a step's script does."""
    code = (
        "import sys; from test_forks import asked; from pathlib import Path\n"
        f"sys.exit(asked(Path({str(path)!r}), **{more!r})[0])"
    )
    return processes.client(code, tmp_path)


def test_jobs_are_forks_of_one_process_that_ends_with_the_run(run, tmp_path):
    found = [asked(tmp_path / name) for name in "ab"]
    assert [(code, done) for code, _, done in found] == [(0, 1), (0, 1)]  # nothing is shared
    assert len({HERE, *(pid for _, pid, _ in found)}) == 3
    third = client(tmp_path / "c", tmp_path, seconds=2)
    server = parent(text_of(tmp_path / "c").split()[0])
    assert Path(f"/proc/{server}/cmdline").read_text().split("\0")[3] == "lesionflow.forks"
    assert third.wait() == 0
    run.kill()
    run.wait()
    assert ended(server)
    assert not list(tmp_path.glob("lesionflow-*/*.sock"))


def test_a_fork_has_the_jobs_folder_environment_and_output(run, tmp_path, monkeypatch, capfd):
    assert asked(tmp_path / "a")[0] == 0
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path / "folder")
    monkeypatch.setenv("LESIONFLOW_TEST_WORD", "word")
    capfd.readouterr()
    assert asked(tmp_path / "b")[0] == 0
    assert capfd.readouterr().out == "said to the output, in folder word\n"


def test_modules_of_the_working_directory_stand_for_none_of_ours(run, tmp_path, monkeypatch):
    (tmp_path / "folder").mkdir()
    for name in ("forked_step", "numpy", "lesionflow"):
        (tmp_path / f"folder/{name}.py").write_text("raise SystemExit(7)")
    monkeypatch.chdir(tmp_path / "folder")
    assert asked(tmp_path / "a")[0] == 0


def test_a_job_that_fails_fails_once_and_says_why(run, tmp_path, capfd):
    code, pid, _ = asked(tmp_path / "a", "fail")
    assert code == 1
    assert pid != HERE
    assert "ValueError: this scan is no scan" in capfd.readouterr().err
    assert asked(tmp_path / "b")[0] == 0


def test_a_step_that_cannot_be_imported_fails_and_says_why(run, capfd):
    with pytest.raises(SystemExit) as error:
        hand_over(SimpleNamespace(rule="no_such_step"))
    assert error.value.code == 1
    assert "No module named 'no_such_step'" in capfd.readouterr().err


def test_a_fork_that_dies_leaves_the_work_to_the_job(run, tmp_path, capfd):
    code, pid, _ = asked(tmp_path / "a", "die")
    assert code is None
    assert f"(process {pid}) died" in (said := capfd.readouterr().err)
    assert "this job goes on by itself" in said
    assert asked(tmp_path / "b")[0] == 0


def test_a_silent_fork_is_ended_and_leaves_the_work_to_the_job(run, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(sockets, "SILENT_S", 3)
    code, pid, _ = asked(tmp_path / "a", "stop")
    assert code is None
    assert "said nothing for 3 s" in capfd.readouterr().err
    assert ended(pid)
    assert not (tmp_path / "a.done").exists()


def test_a_silent_process_is_replaced(run, tmp_path, capfd, monkeypatch):
    first = client(tmp_path / "a", tmp_path, seconds=2)
    server = parent(text_of(tmp_path / "a").split()[0])
    assert first.wait() == 0
    monkeypatch.setattr(sockets, "SILENT_S", 2)
    os.kill(server, 19)
    assert asked(tmp_path / "b") == (None,)
    assert "this job goes on by itself" in capfd.readouterr().err
    assert ended(server)
    monkeypatch.undo()


def test_a_fork_ends_when_its_job_has_gone(run, tmp_path):
    gone = client(tmp_path / "a", tmp_path, seconds=30)
    fork = int(text_of(tmp_path / "a").split()[0])
    gone.kill()
    gone.wait()
    assert ended(fork, within=2)


def test_jobs_that_come_at_once_run_side_by_side_in_forks_of_one_process(run, tmp_path):
    side_by_side = [client(tmp_path / name, tmp_path, seconds=3) for name in "abc"]
    pids = [text_of(tmp_path / name).split()[0] for name in "abc"]
    assert len({parent(pid) for pid in pids}) == 1
    assert [process.wait() for process in side_by_side] == [0, 0, 0]


def test_other_code_has_another_process(run, tmp_path, monkeypatch):
    for name in "ab":
        assert asked(tmp_path / name)[0] == 0
        monkeypatch.setenv(CODE, "v2")
    assert len(list(tmp_path.glob("lesionflow-*/*.sock"))) == 2


def test_it_ends_when_nobody_asks(run, tmp_path, monkeypatch):
    monkeypatch.setenv("LESIONFLOW_WORKER_IDLE_S", "1")
    process = client(tmp_path / "a", tmp_path, seconds=1)
    server = parent(text_of(tmp_path / "a").split()[0])
    process.wait()
    assert ended(server)


def test_a_process_that_was_started_ahead_serves_the_first_job(run, tmp_path):
    forks.start()
    (socket,) = tmp_path.glob("lesionflow-*/*.sock")
    made = socket.stat().st_ino
    assert asked(tmp_path / "a")[0] == 0
    assert socket.stat().st_ino == made


def test_without_a_run_or_where_none_can_start_the_job_goes_on(run, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(sockets.sys, "executable", "/bin/false")
    assert asked(tmp_path / "a") == (None,)
    assert "no worker could be started" in capfd.readouterr().err
    monkeypatch.delenv(RUN)
    assert asked(tmp_path / "a") == (None,)
    assert capfd.readouterr().err == ""


def test_what_steps_import_late_is_there_before_the_fork():
    """pandas and SciPy's ndimage, and nothing that starts threads or takes a GPU."""
    look = (
        f"import json, sys; sys.path.insert(0, {str(HOUSE / 'scripts')!r})\n"
        "import importlib; from lesionflow.forks import LATE\n"
        "for name in LATE: importlib.import_module(name)\n"
        f"print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    )
    ran = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert set(json.loads(ran.stdout)) == {"pandas", "scipy.ndimage"}
