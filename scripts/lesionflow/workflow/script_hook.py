"""Jobs as forks of a process that has their imports: Python, NumPy and NiBabel take longer to start than most steps to run.

The first job of a run leaves a process behind (``forking``) that imports a step's script when the step's first job
comes, and forks for every job. So a job has a process of its own, in which nothing of another job's is. That process
has the job's working directory, environment and output, and ends when Snakemake has gone.

Nothing depends on it: where it cannot be had, or the fork dies or is silent, the job says so and goes on as Snakemake
runs jobs.
"""

import hashlib
import inspect
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import snakemake.script
from snakemake.benchmark import BenchmarkRecord
from snakemake.iocontainers import Snakemake
from snakemake.sourcecache import infer_source_file

from lesionflow.workflow import sockets
from lesionflow.workflow.sockets import CODE, WorkerLost, current_run, heard

SCRIPTS = Path(__file__).resolve().parents[2]
ELSEWHERE = (
    "conda_env",
    "container_img",
    "env_modules",
    "shadow_dir",
)  # of jobs that a fork is not for
THREADS = tuple(
    f"{name}_NUM_THREADS"
    for name in ("OMP", "GOTO", "OPENBLAS", "MKL", "VECLIB_MAXIMUM", "NUMEXPR")
)
_lines: set[socket.socket] = set()  # to the forks that work now
_stopped = threading.Event()  # by the user


def script(*call: Any) -> None:
    """Run the script of a rule in a fork: what stands in the Snakefile for Snakemake's function of this name.

    Snakemake makes of a rule's ``script:`` a call of ``script`` in the Snakefile's globals, by a thread for each
    job. Its own writes the script anew, with what it is to know, and starts Python for it.

    Parameters
    ----------
    call
        As for ``snakemake.script.script``, which does what a fork cannot: scripts of other workflows, and those
        that have an environment (conda, container, modules) or a shadow directory.

    Raises
    ------
    CalledProcessError
        If the script fails; it has said why.
    KeyboardInterrupt
        If the user has stopped the run.
    """
    about = inspect.signature(snakemake.script.script).bind(*call).arguments
    path = infer_source_file(about["path"], about["basedir"]).get_path_or_uri(secret_free=True)
    run = current_run()
    if run and Path(path).resolve().parent == SCRIPTS and not any(map(about.get, ELSEWHERE)):
        try:
            done = _ask(Path(path).stem, about, _address(run), run)
        except (WorkerLost, OSError) as error:
            if _stopped.is_set():
                raise KeyboardInterrupt from error
            print(f"{error}; this job goes on by itself", file=sys.stderr)
        else:
            if not done:
                raise subprocess.CalledProcessError(1, path)
            return
    snakemake.script.script(*call)


def stop_with_snakemake() -> None:
    """Have the jobs end where the user stops Snakemake (Ctrl-C), which waits for them."""
    before = signal.getsignal(signal.SIGINT)
    if not callable(before) or threading.current_thread() is not threading.main_thread():
        return

    def stop(number: int, frame: Any) -> None:
        _stopped.set()
        for line in list(_lines):
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
        before(number, frame)

    signal.signal(signal.SIGINT, stop)


def start() -> None:
    """Start the run's process before it is needed; where that fails, jobs see to it themselves (see ``workers.start``)."""
    if run := current_run():
        with suppress(WorkerLost, OSError):
            sockets.found_or_started("fork_server", _address(run), run)[0].close()


def _address(run: str) -> Path:
    """Of a run's process: one for each environment that its steps have, and none of other code."""
    kind = hashlib.sha256(f"{sys.prefix} {os.environ.get(CODE)}".encode()).hexdigest()[:12]
    return sockets.folder() / f"{run}-forks-{kind}.sock"


def _ask(step: str, about: Mapping[str, Any], address: Path, run: str) -> bool:
    """Whether a fork has done a job well; WorkerLost where it has not come to an end."""
    line, server = sockets.found_or_started(
        "fork_server", address, run, environment=dict.fromkeys(THREADS, "1")
    )
    fork, begun = None, time.monotonic()
    with Connection(os.dup(line.fileno())) as connection, line:
        _lines.add(line)
        try:
            socket.send_fds(line, [b"."], [1, 2])
            where = str(Path.cwd()), _environment(about)
            connection.send((step, where, pickle.dumps(_job(about))))
            while (message := heard(connection))[0] == "alive":
                fork = message[1]
        except (OSError, EOFError, TimeoutError) as error:
            why = str(error) if isinstance(error, TimeoutError) else "died (out of memory?)"
            if fork:
                with suppress(ProcessLookupError):
                    os.kill(fork, signal.SIGKILL)
            elif not _stopped.is_set():
                sockets.stop(server, address)
            who = f"the job's fork (process {fork})" if fork else f"what forks (process {server})"
            raise WorkerLost(f"{who} {why}") from error
        finally:
            _lines.discard(line)
    ended, peak_mib, core_s = message
    if record := about["bench_record"]:
        _note(record, time.monotonic() - begun, peak_mib, core_s)
    return ended == "done"


def _note(record: BenchmarkRecord, seconds: float, peak_mib: float, core_s: float) -> None:
    """What the fork has said of itself; Snakemake's own looks at processes miss peaks and short jobs."""
    record.running_time, record.max_rss, record.cpu_time = seconds, peak_mib, core_s
    record.cpu_usage = 100 * core_s  # its mean load is in percent
    record.data_collected = True


def _job(about: Mapping[str, Any]) -> Snakemake:
    """What Snakemake gives to a script."""
    names = ("input", "output", "params", "wildcards", "threads", "resources", "log", "config")
    return Snakemake(
        *(about[name] for name in names), about["rulename"], about["bench_iteration"], str(SCRIPTS)
    )


def _environment(about: Mapping[str, Any]) -> dict[str, str]:
    """As Snakemake makes it for a job."""
    found = {**os.environ, **dict.fromkeys(THREADS, str(about["threads"]))}
    if folder := about["resources"].get("tmpdir"):
        found.update(dict.fromkeys(("TMPDIR", "TMP", "TEMPDIR", "TEMP"), str(folder)))
    return found
