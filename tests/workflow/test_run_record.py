"""The record of a run."""

import json
import os
import subprocess
import sys
import time

import psutil
import pytest

from lesionflow.base import layout
from lesionflow.workflow import run_record
from support.paths import REPOSITORY


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


PLAN = layout.path(layout.PLAN, digest="a1")


def running():
    (path,) = layout.path(layout.RUNNING, process="any").parent.glob("*.json")
    return path


def edit(**changes):
    running().write_text(json.dumps(json.loads(running().read_text()) | changes))


def dead_pid():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_record_has_the_command_the_settings_the_cards_and_the_versions(directory):
    run_record.begin(PLAN)
    card = {"version": "2", "postprocess": {"threshold": 0.4}, "output": {"labels": {1: "cmb"}}}
    settings = {"threshold": 0.4, "models_dir": "m"}
    command = ["snakemake", "--cores", "2"]
    run_record.write(True, run_record.describe(command, settings, {"cmb": card}, REPOSITORY))
    run_record.end()
    record = json.loads((directory / "results/run.json").read_text())
    assert record["succeeded"] is True
    assert record["command"] == command
    assert record["started"] <= record["ended"]
    assert record["settings"] == {"threshold": 0.4, "models_dir": "m"}
    assert record["models"]["cmb"]["postprocess"] == {"threshold": 0.4}
    assert record["models"]["cmb"]["output"] == {"labels": {"1": "cmb"}}
    assert record["packages"]["numpy"]
    assert not list(layout.path(layout.RUNNING, process="any").parent.iterdir())
    assert run_record.interrupted() == ""


def git(directory, *words):
    command = ["git", "-C", directory, "-c", "user.name=a", "-c", "user.email=a@b", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def recorded(directory, repository):
    run_record.write(True, run_record.describe([], {}, {}, repository))
    run_record.end()
    record = json.loads((directory / "results/run.json").read_text())
    return record["commit"], record["modified"]


def test_the_commit_and_changes_since_are_recorded(directory):
    repository = directory / "repository"
    repository.mkdir()
    git(repository, "init")
    (repository / "Snakefile").write_text("a")
    git(repository, "add", "Snakefile")
    git(repository, "commit", "-m", "one")
    commit = git(repository, "rev-parse", "HEAD")
    assert recorded(directory, repository) == (commit, False)
    (repository / "Snakefile").write_text("b")
    assert recorded(directory, repository) == (commit, True)


def test_a_folder_that_is_no_repository_has_no_commit(directory):
    assert recorded(directory, directory / "none") == (None, None)


def test_a_killed_run_is_told(directory):
    run_record.begin(PLAN)
    assert run_record.interrupted() == ""  # this process runs
    edit(pid=dead_pid(), started="2026-11-27T01:00:00+0000")
    assert "the run that started at 2026-11-27T01:00:00+0000 was killed" in run_record.interrupted()
    table = directory / "results/cohort.csv"
    table.parent.mkdir()
    table.touch()
    os.utime(table, (1, 1))  # of an earlier run
    assert "was killed" in run_record.interrupted()
    table.touch()  # it wrote its tables before it was killed
    assert run_record.interrupted() == ""
    table.unlink()
    edit(host="another")  # of which nothing is known
    assert run_record.interrupted() == ""
    assert not run_record.all_dead()
    running().write_text("{")
    assert "was killed" in run_record.interrupted()
    assert run_record.all_dead()


def test_a_process_that_has_the_number_of_a_dead_one_is_another(directory):
    run_record.begin(PLAN)
    assert not run_record.all_dead()
    edit(created=1.0)
    assert run_record.all_dead()
    assert "was killed" in run_record.interrupted()


def test_a_killed_process_that_nobody_waits_for_is_dead(directory):
    """As in a container whose first process does not wait for the others."""
    run_record.begin(PLAN)
    zombie = subprocess.Popen([sys.executable, "-c", ""])
    process = psutil.Process(zombie.pid)
    deadline = time.monotonic() + 30
    while process.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.01)
    edit(pid=zombie.pid, created=process.create_time())
    assert run_record.all_dead()
    zombie.wait()


def test_jobs_of_a_killed_run_may_wait_in_a_queue(directory):
    run_record.begin(PLAN, local=False)
    edit(pid=dead_pid())
    assert not run_record.all_dead()
    assert "queue of the scheduler" in run_record.interrupted()


def test_the_record_of_a_killed_run_goes_when_a_later_one_has_ended(directory):
    run_record.begin(PLAN)
    edit(pid=dead_pid())
    running().rename(running().with_name("another.json"))
    run_record.begin(PLAN)
    run_record.write(True, {})
    run_record.end()
    assert not list(layout.path(layout.RUNNING, process="any").parent.iterdir())


def test_a_run_removes_its_plan_and_leaves_that_of_another_run(directory):
    PLAN.parent.mkdir(parents=True)
    others = [layout.path(layout.PLAN, digest=name) for name in ("b2", "c3")]
    for path in (PLAN, *others):
        path.touch()
    run_record.begin(PLAN)
    another = layout.path(layout.RUNNING, process="another-1")
    another.write_text(json.dumps({"pid": 1, "host": "another", "plan": str(others[0])}))
    run_record.write(True, {})
    run_record.end()
    assert [path.exists() for path in (PLAN, *others)] == [False, True, False]
    assert another.exists()
