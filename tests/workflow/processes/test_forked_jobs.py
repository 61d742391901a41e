"""Jobs in forks of a server: they share no state, and the results are those of separate processes."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from snakemake.benchmark import BenchmarkRecord
from snakemake.iocontainers import ResourceList

from lesionflow.workflow.processes import script_hook, sockets
from lesionflow.workflow.processes.sockets import CODE, RUN
from support import SCRIPTS, processes
from support.heavy_imports import HEAVY
from support.processes import ended, parent, text_of
from support.shared_jobs import client, run_job

TEST_PID = os.getpid()


def test_jobs_are_forks_of_one_process_that_ends_with_the_run(run, tmp_path):
    jobs = [run_job(tmp_path / name) for name in "ab"]
    assert [(outcome, count) for outcome, _, count in jobs] == [("done", 1), ("done", 1)]
    assert len({TEST_PID, *(pid for _, pid, _ in jobs)}) == 3
    third = client(tmp_path / "c", tmp_path, seconds=2)
    server = parent(text_of(tmp_path / "c").split()[0])
    assert psutil.Process(server).cmdline()[-1] == "fork"
    assert third.wait() == 0
    run.kill()
    run.wait()
    assert ended(server)
    assert not list(tmp_path.glob("lesionflow-*/*.sock"))


def test_a_fork_has_the_folder_environment_and_output_of_its_job(run, tmp_path, monkeypatch, capfd):
    assert run_job(tmp_path / "a")[0] == "done"
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path / "folder")
    monkeypatch.setenv("LESIONFLOW_TEST_WORD", "word")
    capfd.readouterr()
    assert run_job(tmp_path / "b")[0] == "done"
    assert capfd.readouterr().out == "written to stdout in folder word\n"


@pytest.mark.parametrize("network", [False, True])
def test_modules_in_the_working_directory_replace_none_of_lesionflow(
    run, tmp_path, monkeypatch, network
):
    (tmp_path / "folder").mkdir()
    for name in ("shared_step", "numpy", "lesionflow"):
        (tmp_path / f"folder/{name}.py").write_text("raise SystemExit(7)")
    monkeypatch.chdir(tmp_path / "folder")
    assert run_job(tmp_path / "a", network=network)[0] == "done"


@pytest.mark.parametrize("network", [False, True])
def test_a_failed_job_is_not_run_again_and_prints_its_reason(run, tmp_path, capfd, network):
    outcome, pid, _ = run_job(tmp_path / "a", "refuse", network=network)
    assert outcome == "failed"
    assert pid != TEST_PID
    error = capfd.readouterr().err
    assert "shared_step: this scan is no scan" in error
    assert "Traceback" not in error  # the user can fix it
    assert run_job(tmp_path / "b", network=network)[0] == "done"


def test_a_bug_keeps_its_traceback(run, tmp_path, capfd):
    assert run_job(tmp_path / "a", "crash")[0] == "failed"
    error = capfd.readouterr().err
    assert "Traceback" in error
    assert "ValueError: operands do not fit" in error


@pytest.mark.parametrize("network", [False, True])
def test_a_full_disk_is_named_and_the_job_is_not_run_again(run, tmp_path, capfd, network):
    assert run_job(tmp_path / "a", "fill the disk", network=network)[0] == "failed"
    error = capfd.readouterr().err
    assert "shared_step: no space left on the device: results/a.nii.gz (free some" in error
    assert "Traceback" not in error


def test_a_lack_of_memory_is_said_with_its_remedy(run, tmp_path, capfd):
    assert run_job(tmp_path / "a", "exhaust memory")[0] == "failed"
    error = capfd.readouterr().err
    assert "shared_step: out of memory: Unable to allocate 9 GiB (raise mem_mb of" in error


def test_a_step_that_cannot_be_imported_fails_with_its_name(run, tmp_path, capfd):
    assert run_job(tmp_path / "a", name="no_such_step.py") == ("failed",)
    assert "no_such_step.py" in capfd.readouterr().err


def test_a_job_whose_fork_dies_is_run_in_its_own_process(run, tmp_path, capfd):
    outcome, pid, _ = run_job(tmp_path / "a", "die")
    assert outcome == "own process"
    error = capfd.readouterr().err
    assert f"process {pid} died" in error
    assert "this job runs in a process of its own" in error
    assert run_job(tmp_path / "b")[0] == "done"


def test_a_fork_without_heartbeat_is_stopped_and_its_job_run_in_its_own_process(
    run, tmp_path, capfd, monkeypatch
):
    monkeypatch.setattr(sockets, "HEARTBEAT_TIMEOUT_S", 3)
    outcome, pid, _ = run_job(tmp_path / "a", "stop")
    assert outcome == "own process"
    assert "sent nothing for 3 s" in capfd.readouterr().err
    assert ended(pid)
    assert not (tmp_path / "a.done").exists()


def test_a_job_is_run_in_its_own_process_if_the_server_hangs(run, tmp_path, capfd, monkeypatch):
    first = client(tmp_path / "a", tmp_path, seconds=2)
    server = parent(text_of(tmp_path / "a").split()[0])
    assert first.wait() == 0
    monkeypatch.setattr(sockets, "HEARTBEAT_TIMEOUT_S", 2)
    os.kill(server, signal.SIGSTOP)
    assert run_job(tmp_path / "b") == ("own process",)
    assert "this job runs in a process of its own" in capfd.readouterr().err
    assert ended(server)
    monkeypatch.undo()


def test_a_fork_ends_when_its_snakemake_has_ended(run, tmp_path):
    killed = client(tmp_path / "a", tmp_path, seconds=30)
    fork = int(text_of(tmp_path / "a").split()[0])
    killed.kill()
    killed.wait()
    assert ended(fork, within=2 * sockets.HEARTBEAT_S)
    assert not (tmp_path / "a.done").exists()


def test_simultaneous_jobs_run_in_forks_of_one_process(run, tmp_path):
    clients = [client(tmp_path / name, tmp_path, seconds=3) for name in "abc"]
    pids = [text_of(tmp_path / name).split()[0] for name in "abc"]
    assert len({parent(pid) for pid in pids}) == 1
    assert [process.wait() for process in clients] == [0, 0, 0]


@pytest.mark.parametrize("network", [False, True])
def test_changed_code_gets_another_server(run, tmp_path, monkeypatch, network):
    for name in "ab":
        assert run_job(tmp_path / name, network=network)[0] == "done"
        monkeypatch.setenv(CODE, "v2")
    assert len(list(tmp_path.glob("lesionflow-*/*.sock"))) == 2


def test_an_idle_server_ends(run, tmp_path, monkeypatch):
    monkeypatch.setenv("LESIONFLOW_WORKER_IDLE_S", "1")
    process = client(tmp_path / "a", tmp_path, seconds=1)
    server = parent(text_of(tmp_path / "a").split()[0])
    process.wait()
    assert ended(server)


def test_the_first_job_uses_a_server_that_was_started_before(run, tmp_path):
    script_hook.start_servers(["all"])
    (socket,) = tmp_path.glob("lesionflow-*/*.sock")
    inode = socket.stat().st_ino
    assert run_job(tmp_path / "a")[0] == "done"
    assert socket.stat().st_ino == inode


@pytest.mark.parametrize("network", [False, True])
def test_a_job_runs_in_its_own_process_if_no_server_can_start(
    run, tmp_path, monkeypatch, capfd, network
):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert run_job(tmp_path / "a", network=network) == ("own process",)
    assert "no server could be started" in capfd.readouterr().err


@pytest.mark.parametrize("network", [False, True])
def test_jobs_run_in_their_own_processes_without_a_run(run, tmp_path, monkeypatch, capfd, network):
    monkeypatch.delenv(RUN)
    assert run_job(tmp_path / "a", network=network) == ("own process",)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("key", ["conda_env", "container_img", "env_modules", "shadow_dir"])
def test_snakemake_runs_jobs_with_an_environment_or_shadow_directory(run, tmp_path, key):
    assert run_job(tmp_path / "a", **{key: "/some/where"}) == ("own process",)


def test_snakemake_runs_the_scripts_of_other_workflows(run, tmp_path):
    assert run_job(tmp_path / "a", name="other/shared_step.py") == ("own process",)


def test_a_job_has_the_environment_that_snakemake_gives_it(run, tmp_path):
    changes = {"threads": 3, "resources": ResourceList(fromdict={"tmpdir": str(tmp_path / "t")})}
    assert run_job(tmp_path / "a", "environment", **changes)[0] == "done"
    environment = json.loads((tmp_path / "a.done").read_text())
    assert {environment[f"{name}_NUM_THREADS"] for name in ("OMP", "OPENBLAS", "MKL")} == {"3"}
    assert {environment[name] for name in ("TMPDIR", "TMP", "TEMP")} == {str(tmp_path / "t")}


def test_a_benchmark_has_the_values_that_the_fork_reports(run, tmp_path):
    assert run_job(tmp_path / "a")[0] == "done"  # the server has started
    record = BenchmarkRecord()
    assert run_job(tmp_path / "b", "take memory", 1.5, bench_record=record)[0] == "done"
    assert record.running_time > 1.5
    assert 390 < record.max_rss < 700
    assert 0 < record.cpu_time < record.running_time
    assert record.get_benchmarks()[-2] == pytest.approx(
        100 * record.cpu_time / record.running_time, abs=1
    )


def test_an_interrupt_ends_the_jobs_and_none_is_run_again(run, tmp_path):
    """Snakemake waits for its jobs then; its child processes receive the signal as well."""
    code = (
        "import signal, threading; from pathlib import Path\n"
        "from support.shared_jobs import run_job\n"
        "from lesionflow.workflow.processes import script_hook\n"
        # a shell that starts the tests in the background lets them ignore it
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "script_hook.enter_run({})\n"
        "def job():\n"
        "    try:\n"
        f"        run_job(Path({str(tmp_path / 'a')!r}), 'work', 30)\n"
        "    except KeyboardInterrupt:\n"
        f"        Path({str(tmp_path / 'interrupted')!r}).touch()\n"
        "thread = threading.Thread(target=job)\n"
        "thread.start()\n"
        "try: signal.pause()\n"
        "except KeyboardInterrupt: thread.join()\n"
    )
    user = processes.client(code, tmp_path)
    fork = int(text_of(tmp_path / "a").split()[0])
    user.send_signal(signal.SIGINT)
    assert user.wait(10) == 0
    assert ended(fork)
    assert (tmp_path / "interrupted").exists()
    assert not (tmp_path / "a.done").exists()


def test_an_interrupt_that_is_ignored_stays_ignored(run, monkeypatch):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        script_hook.enter_run({})
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_modules_that_steps_import_late_are_loaded_before_the_fork():
    """pandas and SciPy's ndimage, but nothing that starts threads or uses a GPU."""
    code = (
        f"import importlib, json, sys; sys.path.append({str(SCRIPTS)!r})\n"
        "from lesionflow.workflow.processes.server import PRELOADED\n"
        "for name in PRELOADED: importlib.import_module(name)\n"
        f"print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(json.loads(ran.stdout)) == {"pandas", "scipy.ndimage"}


@pytest.mark.parametrize("network", [False, True])
def test_the_temporary_folder_of_a_shared_process_is_removed_with_it(
    run, tmp_path, monkeypatch, network
):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    resources = ResourceList(fromdict={"tmpdir": str(tmp_path)})
    pid = run_job(tmp_path / "a", "make temporary folder", network=network, resources=resources)[1]
    folder = Path((tmp_path / "a.done").read_text())
    assert folder.parent == tmp_path
    run.kill()
    run.wait()
    assert ended(pid)
    assert not folder.exists()


def test_a_fork_uses_the_temporary_folder_of_its_job(run, tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        resources = ResourceList(fromdict={"tmpdir": str(tmp_path / name)})
        job = tmp_path / f"{name}.job"
        assert run_job(job, "make temporary folder", resources=resources)[0] == "done"
        assert Path(job.with_suffix(".done").read_text()).parent == tmp_path / name


def test_the_temporary_folder_of_a_fork_is_removed_when_its_snakemake_has_ended(run, tmp_path):
    killed = client(tmp_path / "a", tmp_path, action="make temporary folder", seconds=30)
    fork = int(text_of(tmp_path / "a").split()[0])
    folder = Path(text_of(tmp_path / "a.done"))
    assert folder.is_dir()
    killed.kill()
    killed.wait()
    assert ended(fork, within=2 * sockets.HEARTBEAT_S)
    assert not folder.exists()
