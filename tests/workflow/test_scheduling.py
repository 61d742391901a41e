"""What Snakemake's scheduler does between jobs."""

import asyncio
import importlib
import inspect
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest

from lesionflow.workflow import snakemake_patches


@pytest.fixture
def scheduler(monkeypatch):
    """Snakemake's after ``prepare``, until the test ends."""
    # The name of a package that it imports is that of a step here, whose script lies in the tests' path.
    monkeypatch.setitem(sys.modules, "tabulate", SimpleNamespace(tabulate=None))
    importlib.import_module("snakemake.cli")  # which imports all of it
    found = sys.modules["snakemake.scheduling.job_scheduler"].JobScheduler
    for name in ("_schedule_reevalutation", "update_input_sizes"):
        monkeypatch.setattr(found, name, getattr(found, name))
    snakemake_patches.prepare_scheduler()
    once = found._schedule_reevalutation, found.update_input_sizes
    snakemake_patches.prepare_scheduler()
    assert once == (found._schedule_reevalutation, found.update_input_sizes)
    return found


MANY_JOBS = """
import sys
from snakemake.scheduling.job_scheduler import JobScheduler

sys.path.append(config["scripts"])
from lesionflow.workflow import snakemake_patches

snakemake_patches.prepare_scheduler()
own = JobScheduler.job_selector


def job_selector(self, jobs):
    with open("looks", "a") as looks:
        looks.write("x")
    return own(self, jobs)


JobScheduler.job_selector = job_selector


rule all:
    input:
        expand("{n}.txt", n=range(20)),


rule one:
    output:
        "{n}.txt",
    shell:
        "sleep 0.3; touch {output}"
"""


def many_jobs(folder, *more):
    """How often Snakemake looks for jobs to begin in a run of 20 small ones, and the seconds of the run."""
    (folder / "Snakefile").write_text(MANY_JOBS)
    command = [sys.executable, "-m", "snakemake", "--scheduler", "greedy", *more]
    command += ["--config", f"scripts={Path(snakemake_patches.__file__).parents[2]}"]
    begun = time.monotonic()
    subprocess.run(command, cwd=folder, check=True, timeout=60)
    assert len(list(folder.glob("*.txt"))) == 20
    return len((folder / "looks").read_text()), time.monotonic() - begun


@pytest.mark.slow
def test_the_scheduler_looks_for_jobs_when_one_has_ended_and_not_by_timers(tmp_path):
    looks, _ = many_jobs(tmp_path, "--cores", "2")
    assert looks <= 20 + 2  # before: each of them again each second, some 60


@pytest.mark.slow
def test_jobs_that_the_rate_limit_held_back_begin_when_it_lets_them(tmp_path):
    """No job is there whose end would tell."""
    _, seconds = many_jobs(tmp_path, "--cores", "20", "--max-jobs-per-timespan", "5/1s")
    assert seconds > 3


@pytest.mark.parametrize(
    ("limit", "delay", "set_again"),
    [
        pytest.param(None, 1, True, id="no limit"),
        pytest.param(SimpleNamespace(timespan=1, get_free_jobs=lambda: 0), 1, True, id="reached"),
        pytest.param(SimpleNamespace(timespan=1, get_free_jobs=lambda: 9), 1, False, id="free"),
        pytest.param(SimpleNamespace(timespan=1, get_free_jobs=lambda: 9), 10, True, id="other"),
    ],
)
def test_a_timer_is_set_where_the_rate_limit_is_reached(scheduler, limit, delay, set_again):
    ended = threading.Semaphore(0)
    waiting = SimpleNamespace(job_rate_limiter=limit, _open_jobs=ended)
    scheduler._schedule_reevalutation(waiting, delay)
    timers = [t for t in threading.enumerate() if isinstance(t, threading.Timer)]
    for timer in timers:
        timer.cancel()
        timer.join()
    assert [timer.interval for timer in timers] == [delay] * set_again


def test_snakemake_sets_its_timers_that_way(scheduler):
    """Fails when another release of Snakemake sets them otherwise: then look at whether that is needed still."""
    schedule = inspect.getsource(scheduler.schedule)
    assert "self._schedule_reevalutation(self.job_rate_limiter.timespan)" in schedule


class Sized(str):
    """A file whose size is asked for; ``asked`` notes it."""

    asked: ClassVar[list[str]] = []

    async def exists(self):
        return not self.startswith("missing")

    async def size(self):
        self.asked.append(str(self))
        return int(self.split("-")[1])


def test_the_size_of_a_file_is_asked_for_once_and_none_is_ever_missing(scheduler, monkeypatch):
    monkeypatch.setattr(Sized, "asked", [])
    here = SimpleNamespace(_input_sizes={})
    ready = [SimpleNamespace(input=[Sized(f"a-{n}"), Sized("both-7")]) for n in range(3)]
    ready.append(SimpleNamespace(input=[Sized("missing-1")]))
    for _ in range(3):
        asyncio.run(scheduler.update_input_sizes(here, ready))
    assert here._input_sizes == {"a-0": 0, "a-1": 1, "a-2": 2, "both-7": 7, "missing-1": None}
    assert sorted(Sized.asked) == ["a-0", "a-1", "a-2", "both-7"]
    many = [SimpleNamespace(input=[Sized(f"b-{n}")]) for n in range(10_001)]
    for jobs in (many, [*ready, *many], [*ready, many[0], SimpleNamespace(input=[Sized("c-1")])]):
        asyncio.run(scheduler.update_input_sizes(here, jobs))
        assert {path for job in jobs for path in job.input} <= here._input_sizes.keys()
        assert all(size == int(n.split("-")[1]) for n, size in here._input_sizes.items() if size)


def test_snakemake_asks_for_sizes_that_way(scheduler):
    """Fails when another release of Snakemake asks otherwise: then the memory of sizes can go."""
    assert "self.update_input_sizes(jobs)" in inspect.getsource(scheduler.job_selector)
    own = inspect.getsource(scheduler.update_input_sizes.__wrapped__)
    assert "for job in jobs for path in job.input" in own


def test_another_release_without_these_names_is_left_alone(scheduler, monkeypatch):
    monkeypatch.delattr(scheduler, "_schedule_reevalutation")
    monkeypatch.delattr(scheduler, "update_input_sizes")
    snakemake_patches.prepare_scheduler()
    assert not hasattr(scheduler, "update_input_sizes")
    monkeypatch.delitem(sys.modules, "snakemake.scheduling.job_scheduler")
    snakemake_patches.prepare_scheduler()
