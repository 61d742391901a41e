"""Forks of a process that has a step's imports: a job of its own each, and never a reason for a wrong result."""

import functools
import inspect
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import snakemake.script
from snakemake.benchmark import BenchmarkRecord
from snakemake.iocontainers import InputFiles, Log, OutputFiles, Params, ResourceList, Wildcards
from snakemake.sourcecache import LocalSourceFile

from lesionflow.workflow import script_hook, sockets
from lesionflow.workflow.sockets import CODE, RUN
from support import processes
from support.heavy_imports import HEAVY
from support.paths import HOUSE
from support.processes import ended, parent, text_of

HERE = os.getpid()
TESTS = HOUSE / "tests"


def call(path, what="work", seconds=0.0, name="forked_step.py", **more):
    """How Snakemake calls ``script`` for a job of the step ``forked_step``."""
    about = {
        **dict.fromkeys(inspect.signature(snakemake.script.script).parameters),
        **{"path": name, "basedir": LocalSourceFile(str(TESTS)), "threads": 1, "config": {}},
        **{"rulename": "forked_step", "resources": ResourceList(), "wildcards": Wildcards()},
        **{"input": InputFiles(), "output": OutputFiles(), "log": Log()},
        "params": Params(fromdict={"what": what, "path": str(path), "seconds": seconds}),
        **more,
    }
    return about.values()


@pytest.fixture
def asked(monkeypatch):
    """A function that runs a job: how it ended, its process, and how many that process has done."""
    return functools.partial(ask, monkeypatch)


def ask(monkeypatch, path, *what, **more):
    by_itself = []

    @functools.wraps(snakemake.script.script)
    def plain(*call):
        by_itself.append(call)

    with monkeypatch.context() as patch:
        patch.setattr(snakemake.script, "script", plain)
        patch.setattr(script_hook, "SCRIPTS", TESTS)
        try:
            script_hook.script(*call(path, *what, **more))
            how = "by itself" if by_itself else "done"
        except subprocess.CalledProcessError:
            how = "failed"
    return how, *map(int, path.read_text().split() if path.exists() else ())


def client(path, tmp_path, **more):
    """A process that runs a job as Snakemake does."""
    code = (
        "import sys, pytest; from test_forks import ask; from pathlib import Path\n"
        f"sys.exit(ask(pytest.MonkeyPatch(), Path({str(path)!r}), **{more!r})[0] != 'done')"
    )
    return processes.client(code, tmp_path)


def test_jobs_are_forks_of_one_process_that_ends_with_the_run(asked, run, tmp_path):
    found = [asked(tmp_path / name) for name in "ab"]
    assert [(how, done) for how, _, done in found] == [
        ("done", 1),
        ("done", 1),
    ]  # nothing is shared
    assert len({HERE, *(pid for _, pid, _ in found)}) == 3
    third = client(tmp_path / "c", tmp_path, seconds=2)
    server = parent(text_of(tmp_path / "c").split()[0])
    assert (
        Path(f"/proc/{server}/cmdline").read_text().split("\0")[3]
        == "lesionflow.workflow.fork_server"
    )
    assert third.wait() == 0
    run.kill()
    run.wait()
    assert ended(server)
    assert not list(tmp_path.glob("lesionflow-*/*.sock"))


def test_a_fork_has_the_jobs_folder_environment_and_output(
    asked, run, tmp_path, monkeypatch, capfd
):
    assert asked(tmp_path / "a")[0] == "done"
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path / "folder")
    monkeypatch.setenv("LESIONFLOW_TEST_WORD", "word")
    capfd.readouterr()
    assert asked(tmp_path / "b")[0] == "done"
    assert capfd.readouterr().out == "said to the output, in folder word\n"


def test_modules_of_the_working_directory_stand_for_none_of_ours(asked, run, tmp_path, monkeypatch):
    (tmp_path / "folder").mkdir()
    for name in ("forked_step", "numpy", "lesionflow"):
        (tmp_path / f"folder/{name}.py").write_text("raise SystemExit(7)")
    monkeypatch.chdir(tmp_path / "folder")
    assert asked(tmp_path / "a")[0] == "done"


def test_a_job_that_fails_fails_once_and_says_why(asked, run, tmp_path, capfd):
    how, pid, _ = asked(tmp_path / "a", "fail")
    assert how == "failed"
    assert pid != HERE
    assert "ValueError: this scan is no scan" in capfd.readouterr().err
    assert asked(tmp_path / "b")[0] == "done"


def test_a_step_that_cannot_be_imported_fails_and_says_why(asked, run, tmp_path, capfd):
    assert asked(tmp_path / "a", name="no_such_step.py") == ("failed",)
    assert "No module named 'no_such_step'" in capfd.readouterr().err


def test_a_fork_that_dies_leaves_the_work_to_the_job(asked, run, tmp_path, capfd):
    how, pid, _ = asked(tmp_path / "a", "die")
    assert how == "by itself"
    assert f"(process {pid}) died" in (said := capfd.readouterr().err)
    assert "this job goes on by itself" in said
    assert asked(tmp_path / "b")[0] == "done"


def test_a_silent_fork_is_ended_and_leaves_the_work_to_the_job(
    asked, run, tmp_path, capfd, monkeypatch
):
    monkeypatch.setattr(sockets, "SILENT_S", 3)
    how, pid, _ = asked(tmp_path / "a", "stop")
    assert how == "by itself"
    assert "said nothing for 3 s" in capfd.readouterr().err
    assert ended(pid)
    assert not (tmp_path / "a.done").exists()


def test_a_silent_process_is_replaced(asked, run, tmp_path, capfd, monkeypatch):
    first = client(tmp_path / "a", tmp_path, seconds=2)
    server = parent(text_of(tmp_path / "a").split()[0])
    assert first.wait() == 0
    monkeypatch.setattr(sockets, "SILENT_S", 2)
    os.kill(server, 19)
    assert asked(tmp_path / "b") == ("by itself",)
    assert "this job goes on by itself" in capfd.readouterr().err
    assert ended(server)
    monkeypatch.undo()


def test_a_fork_ends_when_its_job_has_gone(asked, run, tmp_path):
    gone = client(tmp_path / "a", tmp_path, seconds=30)
    fork = int(text_of(tmp_path / "a").split()[0])
    gone.kill()
    gone.wait()
    assert ended(fork, within=2)


def test_jobs_that_come_at_once_run_side_by_side_in_forks_of_one_process(asked, run, tmp_path):
    side_by_side = [client(tmp_path / name, tmp_path, seconds=3) for name in "abc"]
    pids = [text_of(tmp_path / name).split()[0] for name in "abc"]
    assert len({parent(pid) for pid in pids}) == 1
    assert [process.wait() for process in side_by_side] == [0, 0, 0]


def test_other_code_has_another_process(asked, run, tmp_path, monkeypatch):
    for name in "ab":
        assert asked(tmp_path / name)[0] == "done"
        monkeypatch.setenv(CODE, "v2")
    assert len(list(tmp_path.glob("lesionflow-*/*.sock"))) == 2


def test_it_ends_when_nobody_asks(asked, run, tmp_path, monkeypatch):
    monkeypatch.setenv("LESIONFLOW_WORKER_IDLE_S", "1")
    process = client(tmp_path / "a", tmp_path, seconds=1)
    server = parent(text_of(tmp_path / "a").split()[0])
    process.wait()
    assert ended(server)


def test_a_process_that_was_started_ahead_serves_the_first_job(asked, run, tmp_path):
    script_hook.start()
    (socket,) = tmp_path.glob("lesionflow-*/*.sock")
    made = socket.stat().st_ino
    assert asked(tmp_path / "a")[0] == "done"
    assert socket.stat().st_ino == made


def test_without_a_run_or_where_none_can_start_the_job_goes_on(
    asked, run, tmp_path, monkeypatch, capfd
):
    monkeypatch.setattr(sockets.sys, "executable", "/bin/false")
    assert asked(tmp_path / "a") == ("by itself",)
    assert "no worker could be started" in capfd.readouterr().err
    monkeypatch.delenv(RUN)
    assert asked(tmp_path / "a") == ("by itself",)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("key", ["conda_env", "container_img", "env_modules", "shadow_dir"])
def test_what_has_an_environment_of_its_own_runs_as_snakemake_runs_it(asked, run, tmp_path, key):
    assert asked(tmp_path / "a", **{key: "/some/where"}) == ("by itself",)


def test_a_script_of_another_workflow_runs_as_snakemake_runs_it(asked, run, tmp_path):
    assert asked(tmp_path / "a", name="unit/other.py") == ("by itself",)


def test_a_job_has_the_environment_that_snakemake_gives_it(asked, run, tmp_path):
    more = {"threads": 3, "resources": ResourceList(fromdict={"tmpdir": str(tmp_path / "t")})}
    assert asked(tmp_path / "a", "environment", **more)[0] == "done"
    found = json.loads((tmp_path / "a.done").read_text())
    assert {found[f"{name}_NUM_THREADS"] for name in ("OMP", "OPENBLAS", "MKL")} == {"3"}
    assert {found[name] for name in ("TMPDIR", "TMP", "TEMP")} == {str(tmp_path / "t")}


def test_a_benchmark_is_what_the_fork_says_of_itself(asked, run, tmp_path):
    assert asked(tmp_path / "a")[0] == "done"  # what forks is there
    record = BenchmarkRecord()
    assert asked(tmp_path / "b", "take memory", 1.5, bench_record=record)[0] == "done"
    assert 1.5 < record.running_time < 10
    assert 390 < record.max_rss < 700
    assert 0 < record.cpu_time < record.running_time
    assert record.get_benchmarks()[-2] == pytest.approx(
        100 * record.cpu_time / record.running_time, abs=1
    )


def test_the_users_interrupt_ends_the_jobs_and_none_goes_on_by_itself(asked, run, tmp_path):
    """Snakemake waits for its jobs then, of which those that are its children have the same signal."""
    code = (
        "import pytest, signal; from test_forks import ask, HERE; from pathlib import Path\n"
        "import threading; from lesionflow.workflow import script_hook\n"
        "script_hook.stop_with_snakemake()\n"
        "def job():\n"
        "    try:\n"
        f"        ask(pytest.MonkeyPatch(), Path({str(tmp_path / 'a')!r}), 'work', 30)\n"
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


def test_an_interrupt_that_is_ignored_stays_so():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        script_hook.stop_with_snakemake()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_what_steps_import_late_is_there_before_the_fork():
    """pandas and SciPy's ndimage, and nothing that starts threads or takes a GPU."""
    look = (
        f"import json, sys; sys.path.insert(0, {str(HOUSE / 'scripts')!r})\n"
        "import importlib; from lesionflow.workflow.fork_server import LATE\n"
        "for name in LATE: importlib.import_module(name)\n"
        f"print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    )
    ran = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert set(json.loads(ran.stdout)) == {"pandas", "scipy.ndimage"}
