"""A job's way to a process that is warm: what takes seconds to import and load is paid once for many jobs.

A step that can be warm has a function ``work``, which imports what it needs when it is called. The first job
of a run starts a worker (``worker``) for it; the jobs after it find the worker at a socket in a folder that
only the user can open. Two jobs that run side by side share one, which uses the threads of both for one
network at a time: one job starts and ends, reads and writes while the other one's arithmetic runs. It ends
with the Snakemake that runs the jobs, and when nobody has asked for a while.

Nothing depends on a worker: where it cannot be had, dies, is silent or is of another version, the job says so
and computes by itself. A worker writes under a temporary name only, which the job puts in place.
"""

import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import product
from multiprocessing.connection import Connection
from pathlib import Path
from socket import socket
from typing import Any

from lesionflow.workflow import sockets
from lesionflow.workflow.sockets import WorkerLost, current_run, heard, last_words

RUNTIME_MIN = 60  # of a job that no profile gives a time
SLOTS = 256
SHARE = 2  # jobs at a worker


def start(step: str, code: str) -> None:
    """Start a worker of this run before it is needed; where that fails, jobs see to it themselves.

    What a job starts in a step of SLURM's ends with the step; what the Snakemake around it starts does not.
    """
    if run := current_run():
        with suppress(WorkerLost, OSError), _slot(f"{run}-{step}") as (address, slot):
            _found(address, (step, code, run), slot)[0].close()


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
    run = current_run()
    if not run:
        return work(**arguments)
    limit_s = job.resources.get("runtime", RUNTIME_MIN) * 60 / 2
    try:
        with _slot(f"{run}-{job.rule}") as (address, slot):
            return _ask(address, (job.rule, job.params.code, run), slot, limit_s, arguments)
    except (WorkerLost, OSError) as error:
        logging.warning("%s; this job computes by itself", error)
        return work(**arguments)


@contextmanager
def _slot(name: str) -> Iterator[tuple[Path, int]]:
    """Address of a worker at which this job has a place until the block ends, and its number."""
    folder = sockets.folder()
    with ExitStack() as held:
        for number, place in product(range(SLOTS), range(SHARE)):
            lock = held.enter_context((folder / f"{name}-{number}-{place}.lock").open("w"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield folder / f"{name}-{number}.sock", number
            return
    raise WorkerLost(f"{SLOTS} workers are busy")


def threads(job: Any) -> int:
    """Of the CPU, for the work of a job: with a worker those of all jobs that share it, if there are so many."""
    if not current_run():
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
            while (message := heard(connection))[0] == "alive":
                if time.monotonic() - begun > limit_s:
                    raise TimeoutError(f"took longer than {limit_s:.0f} s and was stopped")
        except (OSError, EOFError, TimeoutError) as error:
            sockets.stop(pid, address)
            why = str(error) if isinstance(error, TimeoutError) else "died (out of memory?)"
            raise WorkerLost(f"the worker (process {pid}) {why}{last_words(address)}") from error
    kind, content, records, peak_mb = message
    for level, text in records:
        logging.log(level, text)
    logging.info("by the worker, process %s, peak %.0f MB", pid, peak_mb)
    if kind == "done":
        return content
    logging.info("in the worker:\n%s", content["traceback"])
    if kind == "refused":
        raise content["error"]
    sockets.stop(pid, address)  # what it holds is free when this process begins
    raise WorkerLost(f"the worker failed: {content['message']}")


def _connected(address: Path, who: tuple[str, str, str], slot: int) -> tuple[Connection, int]:
    """A connection to a worker of this code, and its process; one that is not there is started."""
    for _ in range(2):
        line, pid = _found(address, who, slot)
        connection = Connection(line.detach())
        try:
            told = heard(connection)
        except (OSError, EOFError, TimeoutError) as error:
            connection.close()
            sockets.stop(pid, address)
            logging.warning("a worker (process %s) does not answer (%s): another one", pid, error)
            continue
        if told == ("worker", *who[:2]):
            return connection, pid
        connection.close()
        logging.warning("a worker (process %s) is of another version: it is replaced", pid)
        sockets.stop(pid, address)
    raise WorkerLost("no worker of this version answers")


def _found(address: Path, who: tuple[str, str, str], slot: int) -> tuple[socket, int]:
    environment = own_gpu(slot, os.environ)
    return sockets.found_or_started("worker_server", address, *who, environment=environment)


def own_gpu(slot: int, environment: Any) -> dict[str, str]:
    """Which of several GPUs the worker of a slot sees: one each, in turns."""
    given = environment.get("CUDA_VISIBLE_DEVICES")
    devices = sorted(path.name[6:] for path in Path("/dev").glob("nvidia[0-9]*"))
    seen = devices if given is None else [name for name in given.split(",") if name]
    return {"CUDA_VISIBLE_DEVICES": seen[slot % len(seen)]} if len(seen) > 1 else {}
