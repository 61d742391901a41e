"""A job's way to a process that is warm: what takes seconds to import and load is paid once for many jobs.

A step that can be warm has a function ``work``, which imports what it needs when it is called. The first job
of a run starts a worker (``worker``) for it; the jobs after it find the worker at a socket in a folder that
only the user can open. A worker serves one job at a time. Two jobs that run side by side take turns at one, which uses
the threads of both: one job starts and ends while the other one's arithmetic runs. It ends with the Snakemake that runs the jobs, and when nobody has asked for a while.

Nothing depends on a worker: where it cannot be had, dies, is silent or is of another version, the job says so
and computes by itself. A worker writes under a temporary name only, which the job puts in place.
"""

import fcntl
import logging
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import product
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

RUN = "LESIONFLOW_RUN"  # process id of the Snakemake whose jobs share workers (``enter_run``)
CLUSTER_JOB = "LESIONFLOW_CLUSTER_JOB"  # in which that Snakemake runs
START_S = 60  # for a worker to open its socket
SILENT_S = 120  # a worker says every few seconds that it lives
RUNTIME_MIN = 60  # of a job that no profile gives a time
SLOTS = 256
SHARE = 2  # jobs that take turns at a worker
LONGEST = 50  # of a folder's name; the whole address of a socket has at most 107 characters


class WorkerLost(Exception):
    """The worker did not do the work; the work itself may be well."""


def enter_run() -> bool:
    """Make this Snakemake the one whose jobs share workers; False where one above it is.

    A scheduler's job may start a Snakemake for each of the jobs in it: the first one's workers are theirs.
    """
    job = os.environ.get("SLURM_JOB_ID") or os.environ.get("JOB_ID") or ""  # SLURM, Grid Engine
    run = os.environ.get(RUN, "")
    if run and os.environ.get(CLUSTER_JOB) == job and Path("/proc", run).exists():
        return False
    os.environ.update({RUN: str(os.getpid()), CLUSTER_JOB: job})
    return True


def start(step: str, code: str) -> None:
    """Start a worker of this run before it is needed; where that fails, jobs see to it themselves.

    What a job starts in a step of SLURM's ends with the step; what the Snakemake around it starts does not.
    """
    if run := _run():
        with suppress(WorkerLost, OSError), _slot(_sockets(), f"{run}-{step}") as (address, slot):
            _started(address, (step, code, run), slot)[0].close()


def call(work: Callable[..., Any], job: Any, **arguments: Any) -> Any:
    """What ``work(**arguments)`` returns, by the run's worker if it can be had and else by this process.

    Parameters
    ----------
    work
        The function ``work`` of the job's script.
    job
        As Snakemake gives it to the script: a worker imports the script of its rule; one whose code
        (``params.code``) is another is replaced; one that takes more than half of the job's time
        (``resources.runtime``) is given up.
    arguments
        Anything that can be pickled.

    Raises
    ------
    ValueError
        What is wrong with the arguments, as ``work`` says it.
    """
    run = _run()
    if not run:
        return work(**arguments)
    limit_s = job.resources.get("runtime", RUNTIME_MIN) * 60 / 2
    try:
        with _slot(_sockets(), f"{run}-{job.rule}") as (address, slot):
            return _ask(address, (job.rule, job.params.code, run), slot, limit_s, arguments)
    except (WorkerLost, OSError) as error:
        logging.warning("%s; this job computes by itself", error)
        return work(**arguments)


def _run() -> str | None:
    """The run that this process belongs to, where there are workers: other systems do not tell who is at a socket."""
    return os.environ.get(RUN) if sys.platform.startswith("linux") else None


def _sockets() -> Path:
    return private_folder(sockets(tempfile.gettempdir()))


def sockets(temporary: str) -> Path:
    """Where sockets can lie: in the folder of temporary files, unless its name is too long for one."""
    return Path(temporary if len(temporary) < LONGEST else "/tmp")


def private_folder(parent: Path) -> Path:
    """The user's folder of sockets, which nobody else can enter.

    Raises
    ------
    WorkerLost
        If somebody else has put something in its place, or others can enter it.
    """
    folder = parent / f"lesionflow-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not folder.is_dir() or folder.is_symlink() or found.st_uid != os.getuid():
        raise WorkerLost(f"{folder} is not a folder of this user")
    if found.st_mode & 0o077:
        raise WorkerLost(f"{folder} is open to others (chmod 700 it)")
    return folder


@contextmanager
def _slot(folder: Path, name: str) -> Iterator[tuple[Path, int]]:
    """Address of a worker whose turn is this job's until the block ends, and its number.

    Two jobs share a worker and take turns: one starts and ends while the other one's arithmetic runs.
    """
    with ExitStack() as held:
        for number, place in product(range(SLOTS), range(SHARE)):
            lock = held.enter_context((folder / f"{name}-{number}-{place}.lock").open("w"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            address = folder / f"{name}-{number}.sock"
            with address.with_suffix(".lock").open("w") as turn:
                fcntl.flock(turn, fcntl.LOCK_EX)
                yield address, number
            return
    raise WorkerLost(f"{SLOTS} workers are busy")


def threads(job: Any) -> int:
    """Of the CPU, for the work of a job: with a worker those of all jobs that share it, if there are so many."""
    if not _run():
        return job.threads
    return min(SHARE * job.threads, max(job.threads, len(os.sched_getaffinity(0))))


def _ask(
    address: Path,
    who: tuple[str, str, str],
    slot: int,
    limit_s: float,
    arguments: dict[str, Any],
) -> Any:
    connection, pid = _connected(address, who, slot)
    with connection:
        try:
            connection.send(arguments)
            begun = time.monotonic()
            while (message := _heard(connection))[0] == "alive":
                if time.monotonic() - begun > limit_s:
                    raise TimeoutError(f"took longer than {limit_s:.0f} s and was stopped")
        except (OSError, EOFError, TimeoutError) as error:
            _stop(pid, address)
            why = str(error) if isinstance(error, TimeoutError) else "died (out of memory?)"
            raise WorkerLost(f"the worker (process {pid}) {why}{_last_words(address)}") from error
    kind, content, records, peak_mb = message
    for level, text in records:
        logging.log(level, text)
    logging.info("by the worker, process %s, peak %.0f MB", pid, peak_mb)
    if kind == "done":
        return content
    logging.info("in the worker:\n%s", content["traceback"])
    if kind == "refused":
        raise ValueError(content["message"])
    _stop(pid, address)  # what it holds is free when this process begins
    raise WorkerLost(f"the worker failed: {content['message']}")


def _connected(address: Path, who: tuple[str, str, str], slot: int) -> tuple[Connection, int]:
    """A connection to a worker of this code, and its process; one that is not there is started."""
    for _ in range(2):
        try:
            found = _connect(address)
        except (FileNotFoundError, ConnectionRefusedError):
            found = _started(address, who, slot)
        connection, pid = found
        try:
            told = _heard(connection)
        except (OSError, EOFError, TimeoutError) as error:
            connection.close()
            _stop(pid, address)
            logging.warning("a worker (process %s) does not answer (%s): another one", pid, error)
            continue
        if told == ("worker", *who[:2]):
            return connection, pid
        connection.close()
        logging.warning("a worker (process %s) is of another version: it is replaced", pid)
        _stop(pid, address)
    raise WorkerLost("no worker of this version answers")


def _started(address: Path, who: tuple[str, str, str], slot: int) -> tuple[Connection, int]:
    address.unlink(missing_ok=True)
    for left in address.parent.iterdir():  # by runs that have ended
        if not Path("/proc", left.name.split("-")[0]).exists():
            left.unlink(missing_ok=True)
    scripts = str(Path(__file__).parents[1])
    paths = [scripts, *filter(None, [os.environ.get("PYTHONPATH")])]
    with address.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "lesionflow.worker", str(address), *who],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), **own_gpu(slot, os.environ)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # what stops one job does not stop it
        )
    end = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < end:
        try:
            return _connect(address)
        except (FileNotFoundError, ConnectionRefusedError):
            time.sleep(0.01)
    process.kill()
    raise WorkerLost(f"no worker could be started{_last_words(address)}")


def own_gpu(slot: int, environment: Any) -> dict[str, str]:
    """Which of several GPUs the worker of a slot sees: one each, in turns."""
    given = environment.get("CUDA_VISIBLE_DEVICES")
    devices = sorted(path.name[6:] for path in Path("/dev").glob("nvidia[0-9]*"))
    seen = devices if given is None else [name for name in given.split(",") if name]
    return {"CUDA_VISIBLE_DEVICES": seen[slot % len(seen)]} if len(seen) > 1 else {}


def _connect(address: Path) -> tuple[Connection, int]:
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(address))
        pid = peer(line)
        return Connection(line.detach()), pid


def peer(line: socket.socket) -> int:
    """Process at the other end of a socket, which must be this user's.

    Raises
    ------
    WorkerLost
        If it is another user's.
    """
    size = struct.calcsize("3i")
    pid, uid, _ = struct.unpack("3i", line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    if uid != os.getuid():
        raise WorkerLost(f"process {pid} at the socket is another user's")
    return pid


def _heard(connection: Connection) -> Any:
    if not connection.poll(SILENT_S):
        raise TimeoutError(f"said nothing for {SILENT_S} s and was stopped")
    return connection.recv()


def _stop(pid: int, address: Path) -> None:
    address.unlink(missing_ok=True)  # first: nobody shall meet it while it ends
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _last_words(address: Path) -> str:
    log = address.with_suffix(".log")
    lines = log.read_text(errors="replace").split("\n") if log.is_file() else []
    words = [line.strip() for line in lines if line.strip()]
    return f": {words[-1][:300]}" if words else ""
