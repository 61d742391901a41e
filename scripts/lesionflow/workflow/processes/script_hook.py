"""Runs the script of a rule in a process that the jobs of the run share.

Snakemake compiles a rule's ``script:`` to a call of ``script(...)``, which it looks up in the globals of the Snakefile.
``rules/common.smk`` puts ``script`` of this module there. The first job of a run starts a server (``server``) that
outlives the job; the jobs after it find the server at a socket in a folder that only the user can open.

Nothing depends on it: where the server cannot start, dies or does not answer, the job says so and runs as
Snakemake runs jobs. That ``script`` is looked up this way is not part of Snakemake's documented interface: where another
release does it otherwise, the hook is not called, and ``tests/workflow/processes`` fails.
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
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import snakemake.script
from snakemake.benchmark import BenchmarkRecord
from snakemake.iocontainers import Snakemake
from snakemake.sourcecache import infer_source_file

from lesionflow.workflow.processes import sockets
from lesionflow.workflow.processes.sockets import CODE, SHARE, WorkerLost, current_run

SCRIPTS = Path(__file__).resolve().parents[3]
NETWORK_STEPS = ("find_brain", "predict_fold")  # run in threads that share loaded networks
SEPARATE = ("conda_env", "container_img", "env_modules", "shadow_dir")  # jobs that Snakemake runs
RUNTIME_MIN = 60  # of a job whose profile does not limit its time
THREADS = tuple(
    f"{name}_NUM_THREADS"
    for name in ("OMP", "GOTO", "OPENBLAS", "MKL", "VECLIB_MAXIMUM", "NUMEXPR")
)
_connections: set[socket.socket] = set()  # to the servers of the jobs that run now
_interrupted = threading.Event()  # by the user


@dataclass(frozen=True)
class Server:
    """Where a server listens, how it runs jobs, and the environment that it is started with."""

    address: Path
    mode: str
    environment: Mapping[str, str]

    def connected(self, run: str) -> tuple[socket.socket, int]:
        """A socket to the server and its process; it is started if it does not run."""
        return sockets.found_or_started(self.address, run, self.mode, environment=self.environment)


def script(*call: Any) -> None:
    """Run the script of a rule in a shared process: stands in for Snakemake's function of this name.

    Parameters
    ----------
    call
        As for ``snakemake.script.script``, which runs scripts of other workflows, and jobs that have an
        environment (conda, container, modules) or a shadow directory.

    Raises
    ------
    CalledProcessError
        If the script fails; its error is on stderr.
    KeyboardInterrupt
        If the user has stopped the run.
    """
    arguments = inspect.signature(snakemake.script.script).bind(*call).arguments
    source = infer_source_file(arguments["path"], arguments["basedir"])
    path = Path(source.get_path_or_uri(secret_free=True))
    run = current_run()
    if run and path.resolve().parent == SCRIPTS and not any(map(arguments.get, SEPARATE)):
        try:
            succeeded = _run(path, arguments, run)
        except (WorkerLost, OSError) as error:
            if _interrupted.is_set():
                raise KeyboardInterrupt from error
            print(f"{error}; this job runs by itself", file=sys.stderr)
        else:
            if not succeeded:
                raise subprocess.CalledProcessError(1, str(path))
            return
    snakemake.script.script(*call)


def enter_run(digests: Mapping[str, str], targets: Collection[str] = ()) -> None:
    """Let the jobs of this Snakemake process share servers; in a cluster job, start those that its steps need.

    What a job starts in a step of SLURM's ends with that step; what the Snakemake around the steps starts does not.

    Parameters
    ----------
    digests
        Of the code of each step: a server of other code is not used.
    targets
        The command line of a cluster job, which names its jobs as ``STEP:WILDCARDS``; nothing where the user has
        started this Snakemake.
    """
    _stop_jobs_on_interrupt()
    if sockets.enter_run(digests) and targets:
        start({target.split(":")[0] for target in targets})


def start(steps: Collection[str]) -> None:
    """Start servers before they are needed; where that fails, the jobs start them."""
    if run := current_run():
        with suppress(WorkerLost, OSError):
            _forks(run).connected(run)[0].close()
        for step in set(NETWORK_STEPS) & set(steps):
            with suppress(WorkerLost, OSError), sockets.slot(_name(run, step)) as (address, number):
                _threads(address, number).connected(run)[0].close()


def shared_threads(threads: int) -> int:
    """CPU threads of a network that several jobs share: those of all of them, if the machine has as many."""
    return min(SHARE * threads, max(threads, len(os.sched_getaffinity(0))))


def gpu_of_slot(slot: int, environment: Mapping[str, str]) -> dict[str, str]:
    """``CUDA_VISIBLE_DEVICES`` of the server in a slot: where there are several GPUs, servers take them in turns."""
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    devices = sorted(path.name[6:] for path in Path("/dev").glob("nvidia[0-9]*"))
    names = devices if visible is None else [name for name in visible.split(",") if name]
    return {"CUDA_VISIBLE_DEVICES": names[slot % len(names)]} if len(names) > 1 else {}


def _stop_jobs_on_interrupt() -> None:
    """End the jobs when the user stops Snakemake (Ctrl-C), which waits for them."""
    before = signal.getsignal(signal.SIGINT)
    if not callable(before) or threading.current_thread() is not threading.main_thread():
        return

    def stop(number: int, frame: Any) -> None:
        _interrupted.set()
        for line in list(_connections):
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
        before(number, frame)

    signal.signal(signal.SIGINT, stop)


def _name(run: str, step: str = "") -> str:
    """Name of a server: those of another environment, of other code and of another step have another one."""
    text = f"{sys.prefix} {os.environ.get(CODE)} {step}"
    return f"{run}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _forks(run: str) -> Server:
    address = sockets.folder() / f"{_name(run)}.sock"
    return Server(address, "fork", dict.fromkeys(THREADS, "1"))


def _threads(address: Path, slot: int) -> Server:
    return Server(address, "thread", gpu_of_slot(slot, os.environ))


def _run(path: Path, arguments: Mapping[str, Any], run: str) -> bool:
    """Whether a server has run the job without an error; WorkerLost where the job did not come to an end."""
    step, threads = path.stem, arguments["threads"]
    if step not in NETWORK_STEPS:
        return _ask(_forks(run), path, arguments, threads, run)
    limit_s = (arguments["resources"].get("runtime") or RUNTIME_MIN) * 60 / 2
    with sockets.slot(_name(run, step)) as (address, slot):
        server = _threads(address, slot)
        return _ask(server, path, arguments, shared_threads(threads), run, limit_s)


def _ask(
    server: Server,
    path: Path,
    arguments: Mapping[str, Any],
    threads: int,
    run: str,
    limit_s: float = float("inf"),
) -> bool:
    line, pid = server.connected(run)
    worker, begun = None, time.monotonic()
    with Connection(os.dup(line.fileno())) as connection, line:
        _connections.add(line)
        try:
            socket.send_fds(line, [b"."], [1, 2])
            job = pickle.dumps(_job(arguments, threads))
            connection.send((str(path), str(Path.cwd()), _environment(arguments), job))
            while (report := sockets.received(connection))[0] == "alive":
                worker = report[1]
                if time.monotonic() - begun > limit_s:
                    raise TimeoutError(f"took longer than {limit_s:.0f} s and was stopped")
        except (OSError, EOFError, TimeoutError) as error:
            why = str(error) if isinstance(error, TimeoutError) else "died (out of memory?)"
            if worker and server.mode == "fork":
                with suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGKILL)
            elif not _interrupted.is_set():
                sockets.stop(pid, server.address)
                why += sockets.log_tail(server.address)
            raise WorkerLost(f"{path.stem}: process {worker or pid} {why}") from error
        finally:
            _connections.discard(line)
    ended, message, peak_mib, cpu_s = report
    if message:
        print(message, file=sys.stderr)
    if ended == "crashed" and server.mode == "thread":
        sockets.stop(pid, server.address)  # its memory is free when the job runs by itself
        raise WorkerLost(f"{path.stem}: process {pid} failed")
    if record := arguments["bench_record"]:
        _fill(record, time.monotonic() - begun, peak_mib, cpu_s)
    return ended == "done"


def _fill(record: BenchmarkRecord, seconds: float, peak_mib: float, cpu_s: float) -> None:
    """Fill a benchmark by what the job's process reports: Snakemake samples processes and misses peaks."""
    record.running_time, record.max_rss, record.cpu_time = seconds, peak_mib, cpu_s
    record.cpu_usage = 100 * cpu_s  # Snakemake divides it by the running time: mean load in percent
    record.data_collected = True


def _job(arguments: Mapping[str, Any], threads: int) -> Snakemake:
    """The object ``snakemake`` of a script."""
    names = ("input", "output", "params", "wildcards")
    return Snakemake(
        *(arguments[name] for name in names),
        threads,
        *(arguments[name] for name in ("resources", "log", "config")),
        arguments["rulename"],
        arguments["bench_iteration"],
        str(SCRIPTS),
    )


def _environment(arguments: Mapping[str, Any]) -> dict[str, str]:
    """The environment that Snakemake gives to a job."""
    environment = {**os.environ, **dict.fromkeys(THREADS, str(arguments["threads"]))}
    if folder := arguments["resources"].get("tmpdir"):
        environment.update(dict.fromkeys(("TMPDIR", "TMP", "TEMPDIR", "TEMP"), str(folder)))
    return environment
