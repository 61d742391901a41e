"""Shared processes on systems that lack what only Linux has."""

import os
import subprocess

import pytest

from lesionflow.workflow.processes import script_hook
from support.other_systems import without_linux
from support.processes import client, ended
from support.shared_jobs import client as job_client
from support.shared_jobs import run_job

CODE = """
import os, pathlib, sys
from lesionflow.networks.inference.loaded_folds import resident_mb
from lesionflow.workflow.processes.script_hook import shared_threads
for path in ("/proc/self/statm", "/proc/cpuinfo"):
    try:
        open(path)
    except FileNotFoundError:
        continue
    sys.exit(f"{path} can be opened")
if hasattr(os, "sched_getaffinity") or pathlib.Path("/proc").exists():
    sys.exit("this is Linux")
print(shared_threads(1), resident_mb() > 10)
"""


def test_cpus_and_memory_are_known_without_linux(tmp_path, monkeypatch):
    without_linux(tmp_path / "site", monkeypatch)
    started = client(CODE, tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    output, error = started.communicate()
    assert (output, started.returncode) == (f"{min(2, os.cpu_count())} True\n", 0), error


@pytest.mark.parametrize("network", [False, True])
def test_jobs_share_a_process_without_linux(run, tmp_path, monkeypatch, network):
    """The server, and the processes of both jobs, are without the calls of Linux."""
    without_linux(tmp_path / "site", monkeypatch)
    jobs = [job_client(tmp_path / name, tmp_path, network=network) for name in "ab"]
    assert [job.wait() for job in jobs] == [0, 0]  # done in a shared process
    assert len(list(tmp_path.glob("lesionflow-*/*.sock"))) == 1


def test_where_forks_are_not_safe_only_networks_share_a_process(run, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(script_hook, "CAN_FORK", False)
    assert run_job(tmp_path / "a") == ("own process",)
    assert capfd.readouterr().err == ""
    script_hook.start_servers(["all"])
    assert not list(tmp_path.glob("lesionflow-*/*.sock"))
    outcome, server, _ = run_job(tmp_path / "b", network=True)
    assert outcome == "done"
    run.kill()
    run.wait()
    assert ended(server)
