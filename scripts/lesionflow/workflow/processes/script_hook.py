"""Run the script of a rule in a process that the jobs of a run share.

Snakemake compiles a rule's ``script:`` to a call of ``script(...)``, which it looks up in the globals of the Snakefile.
``rules/common.smk`` puts ``script`` of this module there. The first job of a run starts a server (``server``) that
outlives the job; later jobs connect to it at a socket in a folder that only the user can open.

The server is optional: if it cannot start, dies or does not answer, the job prints the reason and runs in a process of
its own, as Snakemake runs jobs. The lookup of ``script`` is not part of Snakemake's documented interface: where another
release differs, the hook is not called, and ``tests/workflow/processes`` fails.
"""

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
from snakemake.utils import available_cpu_count

from lesionflow.workflow.processes import sockets
from lesionflow.workflow.processes.authentication import authenticate_server
from lesionflow.workflow.processes.sockets import (
    CODE,
    JOBS_PER_SERVER,
    SharedProcessError,
    current_run,
)

SCRIPTS = Path(__file__).resolve().parents[3]
NETWORK_STEPS = ("find_brain", "predict_fold")  # run in threads that share loaded networks
# Libraries of macOS, such as the linear algebra of NumPy, may crash or hang in the fork of a process that has used them.
CAN_FORK = sys.platform != "darwin"
# arguments of jobs that need a process of their own
ENVIRONMENTS = ("conda_env", "container_img", "env_modules", "shadow_dir")
RUNTIME_MIN = 60  # of a job whose profile sets no runtime
THREAD_VARIABLES = tuple(
    f"{name}_NUM_THREADS"
    for name in ("OMP", "GOTO", "OPENBLAS", "MKL", "VECLIB_MAXIMUM", "NUMEXPR")
)
_clients: set[socket.socket] = set()  # sockets of the running jobs
_interrupted = threading.Event()  # set when the user stops Snakemake


@dataclass(frozen=True)
class Server:
    """Where a server listens, how it runs jobs, and the environment that it is started with."""

    address: Path
    mode: str
    environment: Mapping[str, str]

    def connect(self, run: str) -> tuple[socket.socket, int]:
        """Connect to the server, which is started if needed; return the socket and the process id."""
        return sockets.connect_or_start(self.address, run, self.mode, environment=self.environment)


def script(*args: Any) -> None:
    """Run the script of a rule in a shared process; replaces Snakemake's function of this name.

    Scripts of other workflows, jobs with an environment (conda, container, modules) or a shadow directory, and jobs
    that would be forks where forks are not safe (``CAN_FORK``) are left to ``snakemake.script.script``.

    Parameters
    ----------
    args
        As for ``snakemake.script.script``.

    Raises
    ------
    CalledProcessError
        If the script fails; its error has been printed to stderr.
    KeyboardInterrupt
        If the user has stopped the run.
    """
    arguments = inspect.signature(snakemake.script.script).bind(*args).arguments
    source = infer_source_file(arguments["path"], arguments["basedir"])
    path = Path(source.get_path_or_uri(secret_free=True))
    run = current_run()
    ours = path.resolve().parent == SCRIPTS and not any(map(arguments.get, ENVIRONMENTS))
    if run and ours and (CAN_FORK or path.stem in NETWORK_STEPS):
        try:
            succeeded = _run_in_server(path, arguments, run)
        except (SharedProcessError, OSError) as error:
            if _interrupted.is_set():
                raise KeyboardInterrupt from error
            print(f"{error}; this job runs in a process of its own", file=sys.stderr)
        else:
            if not succeeded:
                raise subprocess.CalledProcessError(1, str(path))
            return
    snakemake.script.script(*args)


def enter_run(digests: Mapping[str, str], steps: Collection[str] = ()) -> None:
    """Let the jobs of this Snakemake process share servers; in a cluster job, start the servers of its steps.

    A server started within a SLURM step ends with that step; one started by the Snakemake process around the steps
    does not.

    Parameters
    ----------
    digests
        Digest of the code of each step; servers with other code are not used.
    steps
        The steps of a cluster job; empty if the user has started this Snakemake process.
    """
    _stop_jobs_on_interrupt()
    if sockets.enter_run(digests) and steps:
        start_servers(steps)


def start_servers(steps: Collection[str]) -> None:
    """Start the servers of these steps before their jobs; if that fails, the jobs start them."""
    if run := current_run():
        if CAN_FORK:
            with suppress(SharedProcessError, OSError):
                _fork_server(run).connect(run)[0].close()
        for step in set(NETWORK_STEPS) & set(steps):
            with (
                suppress(SharedProcessError, OSError),
                sockets.slot(_server_name(run, step)) as (address, number),
            ):
                _thread_server(address, number).connect(run)[0].close()


def shared_threads(threads: int) -> int:
    """CPU threads of a network that several jobs share: the sum over the jobs, limited to the available CPUs."""
    return min(JOBS_PER_SERVER * threads, max(threads, available_cpu_count()))


def gpu_of_slot(slot: int, environment: Mapping[str, str]) -> dict[str, str]:
    """``CUDA_VISIBLE_DEVICES`` of the server in a slot: servers are assigned to several GPUs in turn."""
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    devices = sorted(path.name[6:] for path in Path("/dev").glob("nvidia[0-9]*"))
    names = devices if visible is None else [name for name in visible.split(",") if name]
    return {"CUDA_VISIBLE_DEVICES": names[slot % len(names)]} if len(names) > 1 else {}


def _stop_jobs_on_interrupt() -> None:
    """End the jobs when the user stops Snakemake (Ctrl-C), which would otherwise wait for them."""
    previous_handler = signal.getsignal(signal.SIGINT)
    if not callable(previous_handler) or threading.current_thread() is not threading.main_thread():
        return

    def stop(number: int, frame: Any) -> None:
        _interrupted.set()
        for client in list(_clients):
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        previous_handler(number, frame)

    signal.signal(signal.SIGINT, stop)


def _server_name(run: str, step: str = "") -> str:
    """Name of a server, which depends on the environment, the code and the step."""
    return sockets.server_name(run, f"{sys.prefix} {os.environ.get(CODE)} {step}")


def _fork_server(run: str) -> Server:
    address = sockets.folder() / f"{_server_name(run)}.sock"
    return Server(address, "fork", dict.fromkeys(THREAD_VARIABLES, "1"))


def _thread_server(address: Path, slot: int) -> Server:
    return Server(address, "thread", gpu_of_slot(slot, os.environ))


def _run_in_server(path: Path, arguments: Mapping[str, Any], run: str) -> bool:
    """Run a job in its server; whether it succeeded. Raises SharedProcessError if the server did not finish it."""
    step, threads = path.stem, arguments["threads"]
    if step not in NETWORK_STEPS:
        return _submit(_fork_server(run), path, arguments, threads, run)
    limit_s = (arguments["resources"].get("runtime") or RUNTIME_MIN) * 60 / 2
    with sockets.slot(_server_name(run, step)) as (address, slot):
        server = _thread_server(address, slot)
        return _submit(server, path, arguments, shared_threads(threads), run, limit_s)


def _submit(
    server: Server,
    path: Path,
    arguments: Mapping[str, Any],
    threads: int,
    run: str,
    limit_s: float = float("inf"),
) -> bool:
    client, server_pid = server.connect(run)
    job_pid, start = None, time.monotonic()
    with Connection(os.dup(client.fileno())) as connection, client:
        _clients.add(client)
        try:
            authenticate_server(connection)
            socket.send_fds(client, [b"."], [1, 2])
            job = pickle.dumps(_job(arguments, threads))
            connection.send((str(path), str(Path.cwd()), _environment(arguments), job))
            while (report := sockets.receive(connection))[0] == "alive":
                job_pid = report[1]
                if time.monotonic() - start > limit_s:
                    raise TimeoutError(
                        f"took longer than {limit_s:.0f} s, half of the rule's runtime, and was stopped"
                    )
        except (OSError, EOFError, TimeoutError) as error:
            reason = (
                str(error)
                if isinstance(error, TimeoutError)
                else "died, perhaps for lack of memory (if this happens again, raise mem_mb of the rule)"
            )
            if job_pid and server.mode == "fork":
                with suppress(ProcessLookupError):
                    os.kill(job_pid, signal.SIGKILL)
            elif not _interrupted.is_set():
                sockets.stop(server_pid, server.address)
                reason += sockets.log_tail(server.address)
            raise SharedProcessError(
                f"{path.stem}: process {job_pid or server_pid} {reason}"
            ) from error
        finally:
            _clients.discard(client)
    outcome, message, peak_mib, cpu_s = report
    if message:
        print(message, file=sys.stderr)
    if outcome == "crashed" and server.mode == "thread":
        sockets.stop(server_pid, server.address)  # frees its memory before the job runs again
        raise SharedProcessError(f"{path.stem}: process {server_pid} failed")
    if record := arguments["bench_record"]:
        _fill_benchmark(record, time.monotonic() - start, peak_mib, cpu_s)
    return outcome == "done"


def _fill_benchmark(record: BenchmarkRecord, seconds: float, peak_mib: float, cpu_s: float) -> None:
    """Fill a benchmark record with the values that the job's process reports; Snakemake's sampling misses peaks."""
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
    environment = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(arguments["threads"]))}
    if folder := arguments["resources"].get("tmpdir"):
        environment.update(dict.fromkeys(("TMPDIR", "TMP", "TEMPDIR", "TEMP"), str(folder)))
    return environment
