"""Patches of Snakemake: its behaviour stays the same, and the installed release uses each of them."""

import atexit
import gc
import importlib
import json
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest
import snakemake.common
import snakemake.io
import snakemake.rules
import snakemake.sourcecache
from snakemake.ioutils.subpath import subpath

from lesionflow.workflow import snakemake_patches
from support import SCRIPTS


@pytest.fixture
def unpatched(monkeypatch):
    """Original ``parse_uri`` and ``get_function_params``; all patches are applied until the test ends."""
    importlib.import_module("snakemake.cli")  # imports all of Snakemake
    functions = snakemake.sourcecache.parse_uri, snakemake.common.get_function_params
    scheduler = sys.modules["snakemake.scheduling.job_scheduler"].JobScheduler
    for owner, name in (
        (snakemake.sourcecache, "parse_uri"),
        (snakemake.common, "get_function_params"),
        (snakemake.rules, "get_function_params"),
        (scheduler, "_schedule_reevalutation"),
    ):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    thresholds, at_exit = gc.get_threshold(), []
    monkeypatch.setattr(atexit, "register", at_exit.append)
    snakemake_patches.apply()
    patched = scheduler._schedule_reevalutation
    snakemake_patches.apply()
    assert patched is scheduler._schedule_reevalutation
    assert gc.freeze in at_exit
    yield functions
    gc.set_threshold(*thresholds)


def test_uris_are_parsed_as_without_the_patch_and_once(unpatched):
    parse_uri = unpatched[0]
    for uri in ("/data/repository/scripts/mask.py", "scripts/mask.py", "https://a.org/b.py?c=1"):
        assert snakemake.sourcecache.parse_uri(uri)._asdict() == parse_uri(uri)._asdict()
    assert snakemake.sourcecache.parse_uri("/a.py") is snakemake.sourcecache.parse_uri("/a.py")


def test_snakemake_uses_the_cached_parser_for_paths_of_scripts(unpatched):
    before = snakemake.sourcecache.parse_uri.cache_info()
    snakemake.sourcecache.LocalSourceFile("/data/scripts/of this test.py").get_cache_path()
    after = snakemake.sourcecache.parse_uri.cache_info()
    assert (after.hits, after.misses) == (before.hits, before.misses + 1)


@pytest.mark.parametrize(
    "function",
    [
        lambda wildcards: None,
        lambda wildcards, input, **rest: None,
        subpath(lambda wildcards, attempt: "a/b", parent=True),  # declares its own parameters
        max,
    ],
)
def test_parameters_of_functions_are_those_without_the_patch(unpatched, function):
    get_function_params = unpatched[1]
    if function is max:  # has no signature: the same error at every call
        for _ in range(2):
            with pytest.raises(ValueError, match="signature"):
                snakemake.rules.get_function_params(function)
        return
    assert snakemake.rules.get_function_params(function) == get_function_params(function)
    assert snakemake.common.get_function_params(function) == get_function_params(function)


MANY_JOBS = """
import json
import sys
import threading
from snakemake.scheduling.job_scheduler import JobScheduler

sys.path.append(config["scripts"])
from lesionflow.workflow import snakemake_patches

snakemake_patches.apply()
selector = JobScheduler.job_selector


def job_selector(self, jobs):
    with open("evaluations", "a") as evaluations:
        print(len(jobs), file=evaluations)
    return selector(self, jobs)


JobScheduler.job_selector = job_selector


rule all:
    input:
        [f"{n}.txt" for n in range(20)],


rule one:
    input:
        lambda wildcards: [],
    output:
        "{n}.txt",
    shell:
        "sleep 0.2; touch {output}"


onsuccess:
    caches = [snakemake.common.get_function_params, snakemake.rules.get_function_params]
    with open("caches.json", "w") as file:
        json.dump([cache.cache_info().hits for cache in caches], file)
"""


def many_jobs(folder, *args):
    """Number of ready jobs at each evaluation by the scheduler, in a run of 20 small jobs."""
    (folder / "Snakefile").write_text(MANY_JOBS)
    command = [sys.executable, "-m", "snakemake", "--scheduler", "greedy", *args]
    subprocess.run([*command, "--config", f"scripts={SCRIPTS}"], cwd=folder, check=True, timeout=90)
    assert len(list(folder.glob("*.txt"))) == 20
    return [int(line) for line in (folder / "evaluations").read_text().split()]


@pytest.mark.slow
def test_ready_jobs_are_evaluated_at_the_end_of_a_job_and_functions_inspected_once(tmp_path):
    ready = many_jobs(tmp_path, "--cores", "2")
    assert len(ready) <= 20 + 2  # about 60 with a timer for each evaluation
    assert max(json.loads((tmp_path / "caches.json").read_text())) > 0


@pytest.mark.slow
def test_jobs_delayed_by_the_rate_limit_start_when_it_allows_them(tmp_path):
    """No running job is left whose end would trigger an evaluation: only a timer does."""
    ready = many_jobs(tmp_path, "--cores", "20", "--max-jobs-per-timespan", "5/1s")
    assert {20, 15, 10, 5} <= set(ready)  # five of them start at a time


@pytest.mark.parametrize(
    ("limit", "delay", "set_again"),
    [
        pytest.param(None, 1, True, id="no limit"),
        pytest.param(SimpleNamespace(timespan=1, get_free_jobs=lambda: 0), 1, True, id="reached"),
        pytest.param(SimpleNamespace(timespan=1, get_free_jobs=lambda: 9), 1, False, id="free"),
        pytest.param(SimpleNamespace(timespan=1, get_free_jobs=lambda: 9), 10, True, id="other"),
    ],
)
def test_a_timer_is_set_when_the_rate_limit_is_reached(unpatched, limit, delay, set_again):
    scheduler = sys.modules["snakemake.scheduling.job_scheduler"].JobScheduler
    open_jobs = threading.Semaphore(0)
    job_scheduler = SimpleNamespace(job_rate_limiter=limit, _open_jobs=open_jobs)
    scheduler._schedule_reevalutation(job_scheduler, delay)
    timers = [t for t in threading.enumerate() if isinstance(t, threading.Timer)]
    for timer in timers:
        timer.cancel()
        timer.join()
    assert [timer.interval for timer in timers] == [delay] * set_again


def test_a_release_without_the_patched_functions_is_not_changed(unpatched, monkeypatch):
    scheduler = sys.modules["snakemake.scheduling.job_scheduler"].JobScheduler
    monkeypatch.delattr(snakemake.rules, "get_function_params")
    monkeypatch.delattr(scheduler, "_schedule_reevalutation")
    snakemake_patches.apply()
    assert not hasattr(snakemake.rules, "get_function_params")
    assert not hasattr(scheduler, "_schedule_reevalutation")
    monkeypatch.delitem(sys.modules, "snakemake.scheduling.job_scheduler")
    snakemake_patches.apply()
