"""Warm workers: paid once, shared by a run's jobs, and never a reason for a wrong result."""

import logging
import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from lesionflow.workflow import sockets, workers
from lesionflow.workflow.sockets import RUN, private_folder
from lesionflow.workflow.workers import call, own_gpu
from support.jobs import Names
from support.patient_step import work
from support.processes import client, ended, text_of


def ask(what, code="v1", minutes=1, **more):
    job = SimpleNamespace(
        rule="patient_step",
        params=SimpleNamespace(code=code),
        resources=Names(runtime=minutes),
    )
    return call(work, job, what=what, **more)


def test_jobs_of_a_run_share_a_process_that_ends_with_the_run(run, caplog):
    caplog.set_level(logging.INFO)
    first, second = ask("work"), ask("work")
    assert first[0] == second[0] != os.getpid()
    assert (first[1], second[1]) == (1, 2)
    assert "asked to work" in caplog.text  # what it logs goes to the job's log
    assert f"by the worker, process {first[0]}" in caplog.text
    run.kill()
    run.wait()
    assert ended(first[0])


def test_without_a_run_the_job_computes_by_itself(monkeypatch):
    monkeypatch.delenv(RUN, raising=False)
    assert ask("work")[0] == os.getpid()


def test_two_jobs_share_a_worker_and_a_third_has_another(run):
    found = []

    def one():
        begun = time.monotonic()
        found.append((ask("work", seconds=2)[0], time.monotonic() - begun))

    threads = [threading.Thread(target=one) for _ in range(3)]
    for thread in threads:
        thread.start()
        time.sleep(0.3)
    for thread in threads:
        thread.join()
    workers = [worker for worker, _ in found]
    assert len(set(workers)) == 2
    assert os.getpid() not in workers
    assert max(seconds for _, seconds in found) < 3.5  # side by side
    assert ask("work")[0] in workers


def test_jobs_side_by_side_have_their_own_logs(run, tmp_path):
    """Each process hears what its own job logged, and not what the other one's did."""
    code = (
        "import logging, sys; logging.basicConfig(level=logging.INFO, format='%(message)s')\n"
        "from test_warm import ask; ask(sys.argv[1], seconds=2)"
    )
    jobs = {
        what: client(code, tmp_path, what, stderr=subprocess.PIPE, text=True)
        for what in ("sing", "dance")
    }
    said = {what: job.communicate()[1] for what, job in jobs.items()}
    assert len({re.search(r"process (\d+)", text)[1] for text in said.values()}) == 1
    for what, text in said.items():
        assert re.findall("asked to (.*)", text) == [what]


def test_a_worker_has_the_threads_of_the_jobs_that_share_it(run, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert workers.threads(SimpleNamespace(threads=2)) == 4
    assert (
        workers.threads(SimpleNamespace(threads=6)) == 8
    )  # of a cluster job's, no more than it has
    monkeypatch.delenv(RUN)
    assert workers.threads(SimpleNamespace(threads=2)) == 2


@pytest.mark.parametrize(
    ("what", "said"), [("die", "died"), ("run out of memory", "MemoryError: not enough")]
)
def test_a_worker_that_breaks_costs_one_retry(run, caplog, what, said):
    worker = ask("work")[0]
    assert ask(what)[0] == os.getpid()
    assert said in caplog.text
    assert "this job computes by itself" in caplog.text
    assert ended(worker)
    after = ask("work")[0]
    assert after not in (worker, os.getpid())  # the next job has a new one


def test_a_worker_that_is_silent_is_stopped(run, caplog, monkeypatch):
    worker = ask("work")[0]
    monkeypatch.setattr(sockets, "SILENT_S", 5)
    assert ask("stop")[0] == os.getpid()
    assert "said nothing for 5 s" in caplog.text
    assert ended(worker)


def test_a_worker_that_was_stopped_between_two_jobs_is_replaced(run, caplog, monkeypatch):
    worker = ask("work")[0]
    os.kill(worker, signal.SIGSTOP)
    monkeypatch.setattr(sockets, "SILENT_S", 5)
    assert ask("work")[0] not in (worker, os.getpid())
    assert "does not answer" in caplog.text
    assert ended(worker)


def test_a_worker_that_takes_too_long_is_stopped(run, caplog):
    assert ask("work", minutes=0.1, seconds=6)[0] == os.getpid()
    assert "took longer than 3 s" in caplog.text


def test_a_worker_of_another_version_is_replaced(run, caplog):
    old = ask("work", code="v1")[0]
    new = ask("work", code="v2")
    assert new[0] not in (old, os.getpid())
    assert new[1] == 1
    assert "of another version" in caplog.text
    assert ended(old)


def test_a_worker_that_was_started_ahead_serves_the_first_job(run):
    workers.start("patient_step", "v1")
    (socket,) = private_folder(Path(sockets.tempfile.gettempdir())).glob("*.sock")
    made = socket.stat().st_ino
    assert ask("work")[1] == 1
    assert socket.stat().st_ino == made


def test_what_is_wrong_with_a_scan_is_told_once(run, tmp_path):
    path = tmp_path / "calls"
    with pytest.raises(ValueError, match="this scan is no scan"):
        ask("refuse", path=path)
    assert path.read_text().count("begins") == 1
    assert ask("work")[1] == 2  # and the worker goes on


def test_a_worker_stops_when_its_job_has_gone(run, tmp_path):
    path = tmp_path / "calls"
    job = client(
        f"from test_warm import ask; ask('work', path={str(path)!r}, seconds=30)", tmp_path
    )
    worker = int(text_of(path).split()[0])
    job.kill()
    job.wait()
    assert ended(worker)
    assert "ends" not in path.read_text()


def test_nobody_asks_and_it_ends(run, monkeypatch):
    monkeypatch.setenv("LESIONFLOW_WORKER_IDLE_S", "1")
    assert ended(ask("work")[0])
    assert ask("work")[0] != os.getpid()


def test_a_worker_that_cannot_start_costs_nothing_but_a_message(run, caplog, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.setattr(sockets.sys, "executable", "/bin/false")
    assert ask("work")[0] == os.getpid()
    assert "no worker could be started" in caplog.text


def test_workers_side_by_side_take_the_gpus_in_turns():
    given = {"CUDA_VISIBLE_DEVICES": "3,5"}
    names = [own_gpu(slot, given).get("CUDA_VISIBLE_DEVICES") for slot in range(3)]
    assert names == ["3", "5", "3"]
    assert own_gpu(0, {"CUDA_VISIBLE_DEVICES": "3"}) == {}
    assert own_gpu(0, {"CUDA_VISIBLE_DEVICES": ""}) == {}
