"""The process that runs jobs for Snakemake: each in a fork of its own, or in threads that share loaded networks.

``main(SOCKET, RUN, MODE)`` serves until RUN, the Snakemake process whose jobs these are, has ended, or until no
job has come for ``IDLE_S`` seconds. In the mode ``fork`` every job is a fork of this process, which has imported the
libraries and the job's script: nothing is shared between jobs. In the mode ``thread`` jobs run in threads of this
process, so that a network stays loaded from one job to the next; networks are called one at a time
(``networks.inference.fold_runner``), and one job reads and writes files while another one computes.
"""

import importlib
import importlib.util
import os
import pickle
import signal
import socket
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from types import ModuleType

from lesionflow.base.errors import LesionflowError
from lesionflow.workflow.processes import sockets
from lesionflow.workflow.processes.sockets import BEAT_S, IDLE_S, WorkerLost

PRELOADED = (  # what steps import only where they need it, and what a job is pickled with
    *("pandas.io.formats.csvs", "scipy.ndimage"),
    *("snakemake.io", "snakemake.iocontainers"),
)
Request = tuple[str, str, dict[str, str], bytes]  # script, working directory, environment, job


def main(address: str, run: str, mode: str) -> None:
    """Serve jobs at the socket ``address`` (see the module)."""
    path = Path(address)
    last, working = time.monotonic(), list[threading.Thread]()
    with sockets.listening(path) as listener:
        listener.settimeout(1)
        if mode == "fork":
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system reaps the forks
            for name in PRELOADED:
                with suppress(ImportError):
                    importlib.import_module(name)
        while sockets.is_alive(run) and (working or time.monotonic() - last < IDLE_S):
            working = [thread for thread in working if thread.is_alive()]
            with suppress(TimeoutError, WorkerLost, OSError, EOFError):
                line, _ = listener.accept()
                with line:
                    sockets.peer(line)
                    last = time.monotonic()
                    if mode == "fork":
                        _fork(line, listener)
                    else:
                        working.append(_thread(line, path))
    sockets.leave(path)


@cache
def load_step(script: str) -> ModuleType:
    """The module of a step, by its file: a step may bear the name of an installed package."""
    spec = importlib.util.spec_from_file_location(f"lesionflow_step_{Path(script).stem}", script)
    if spec is None or spec.loader is None:
        raise ImportError(f"{script} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _received(line: socket.socket) -> tuple[list[int], Connection, Request]:
    """File descriptors of the job's stdout and stderr, the connection to the job, and the job."""
    _, output, *_ = socket.recv_fds(line, 1, 2)
    connection = Connection(os.dup(line.fileno()))
    return output, connection, connection.recv()


def _fork(line: socket.socket, listener: socket.socket) -> None:
    output, connection, (script, folder, environment, job) = _received(line)
    with connection:
        try:
            with suppress(Exception):  # the fork fails in the same way, and reports it
                load_step(script)
            if os.fork() == 0:
                listener.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for number, standard in zip(output, (1, 2), strict=True):
                    os.dup2(number, standard)
                os.environ.clear()
                os.environ.update(environment)
                _run(connection, script, job, lambda: os.chdir(folder))
                os._exit(0)
        finally:
            for number in output:
                os.close(number)


def _thread(line: socket.socket, address: Path) -> threading.Thread:
    output, connection, (script, _, _, job) = _received(line)
    for number in output:
        os.close(number)

    def work() -> None:
        with connection:
            ended = _run(connection, script, job)
        if ended == "crashed":  # the next job gets a process that nothing has gone wrong in
            sockets.leave(address)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def _run(
    connection: Connection, script: str, job: bytes, before: Callable[[], None] = lambda: None
) -> str:
    """Run one job and report how it ended, with its error message, its peak memory and its CPU time.

    ``done``; ``failed``: the user can mend it; ``crashed``: anything else.
    """
    done = threading.Event()
    beat = threading.Thread(target=_beat, args=(connection, done), daemon=True)
    beat.start()
    begun, ended, message = getrusage(RUSAGE_SELF), "done", ""
    try:
        before()
        load_step(script).main(pickle.loads(job))
    except LesionflowError as error:
        ended, message = "failed", f"{Path(script).stem}: {error}"
    except BaseException:
        ended, message = "crashed", traceback.format_exc()
    done.set()
    beat.join()
    used = getrusage(RUSAGE_SELF)
    cpu_s = used.ru_utime + used.ru_stime - begun.ru_utime - begun.ru_stime
    with suppress(OSError):
        connection.send((ended, message, used.ru_maxrss / 1024, cpu_s))
    return ended


def _beat(connection: Connection, done: threading.Event) -> None:
    """Report every few seconds that this process lives; end it when the job's Snakemake is gone."""
    waiting = True
    while waiting:
        try:
            connection.send(("alive", os.getpid()))
            gone = connection.poll(0)  # nothing more is sent: it is the end of the connection
        except OSError:
            gone = True
        if gone:
            os._exit(1)
        waiting = not done.wait(BEAT_S)
