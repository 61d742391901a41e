"""The server: a process that runs jobs for Snakemake, in one fork per job or in threads that share loaded networks.

``main(SOCKET, RUN, MODE)`` serves until the Snakemake process RUN has ended, or until no job has arrived for
``IDLE_S`` seconds. In mode ``fork`` every job is a fork of this process, which has imported the libraries and the
job's script; jobs share no state. In mode ``thread`` jobs run in threads of this process, so that networks stay
loaded between jobs; networks are called one at a time (``networks.inference.fold_runner``), and one job reads and
writes files while another one computes.
"""

import importlib
import importlib.util
import os
import pickle
import signal
import socket
import tempfile
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
from lesionflow.base.job_log import lacks_space, reason
from lesionflow.base.leftovers import remove_process_folder
from lesionflow.base.peak_memory import peak_memory
from lesionflow.workflow.processes import sockets
from lesionflow.workflow.processes.authentication import authenticate_client
from lesionflow.workflow.processes.sockets import HEARTBEAT_S, IDLE_S, SharedProcessError

PRELOADED = (  # modules that steps import inside functions, and those of pickled jobs
    *("pandas.io.formats.csvs", "scipy.ndimage"),
    *("snakemake.io", "snakemake.iocontainers"),
)
Request = tuple[str, str, dict[str, str], bytes]  # script, working directory, environment, job


def main(address: str, run: str, mode: str) -> None:
    """Serve jobs at the socket ``address`` (see the docstring of the module)."""
    path, threads = Path(address), list[threading.Thread]()
    with sockets.listen(path) as listener:
        listener.settimeout(1)
        if mode == "fork":
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system reaps the forks
            for name in PRELOADED:
                with suppress(ImportError):
                    importlib.import_module(name)
        last_request = time.monotonic()  # after the imports, which take long on a busy machine
        while sockets.is_alive(run) and (threads or time.monotonic() - last_request < IDLE_S):
            threads = [thread for thread in threads if thread.is_alive()]
            with suppress(TimeoutError, SharedProcessError, OSError, EOFError):
                client, _ = listener.accept()
                with client:
                    authenticate_client(client)
                    if mode == "fork":
                        _run_in_fork(client, listener)
                    else:
                        threads.append(_run_in_thread(client, path))
                    last_request = time.monotonic()
    sockets.shut_down(path)


@cache
def load_step(script: str) -> ModuleType:
    """Import the script of a step by its path, since a step may have the name of an installed package."""
    spec = importlib.util.spec_from_file_location(f"lesionflow_step_{Path(script).stem}", script)
    if spec is None or spec.loader is None:
        raise ImportError(f"{script} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _receive_job(client: socket.socket) -> tuple[list[int], Connection, Request]:
    """Receive the file descriptors of the job's stdout and stderr, the connection to its client, and the job."""
    _, output, *_ = socket.recv_fds(client, 1, 2)
    connection = Connection(os.dup(client.fileno()))
    return output, connection, connection.recv()


def _run_in_fork(client: socket.socket, listener: socket.socket) -> None:
    output, connection, (script, folder, environment, job) = _receive_job(client)
    with connection:
        try:
            with suppress(Exception):  # the fork raises the same error, and reports it
                load_step(script)
            if os.fork() == 0:
                listener.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for number, standard in zip(output, (1, 2), strict=True):
                    os.dup2(number, standard)
                os.environ.clear()
                os.environ.update(environment)
                tempfile.tempdir = None  # so that the TMPDIR of the job counts
                _run(connection, script, job, lambda: os.chdir(folder))
                remove_process_folder()
                os._exit(0)
        finally:
            for number in output:
                os.close(number)


def _run_in_thread(client: socket.socket, address: Path) -> threading.Thread:
    output, connection, (script, _, _, job) = _receive_job(client)
    for number in output:
        os.close(number)

    def work() -> None:
        with connection:
            outcome = _run(connection, script, job)
        if outcome == "crashed":  # the next job gets a new process
            sockets.shut_down(address)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def _run(
    connection: Connection, script: str, job: bytes, before: Callable[[], None] = lambda: None
) -> str:
    """Run one job and send its outcome, error message, peak memory (MiB) and CPU time (s) to the client.

    Returns
    -------
    str
        ``done``, ``failed`` (an error that the user can fix, such as a full disk) or ``crashed`` (any other error).
    """
    done = threading.Event()
    heartbeat = threading.Thread(target=_send_heartbeats, args=(connection, done), daemon=True)
    heartbeat.start()
    usage_before, outcome, message = getrusage(RUSAGE_SELF), "done", ""
    step = Path(script).stem
    try:
        before()
        load_step(script).main(pickle.loads(job))
    except BaseException as error:
        message = f"{step}: {reason(error, step)}"
        if isinstance(error, LesionflowError) or lacks_space(error):
            outcome = "failed"
        else:
            outcome, message = "crashed", f"{traceback.format_exc()}{message}"
    done.set()
    heartbeat.join()
    usage = getrusage(RUSAGE_SELF)
    cpu_s = usage.ru_utime + usage.ru_stime - usage_before.ru_utime - usage_before.ru_stime
    with suppress(OSError):
        connection.send((outcome, message, peak_memory() / 2**20, cpu_s))
    return outcome


def _send_heartbeats(connection: Connection, done: threading.Event) -> None:
    """Send a heartbeat every few seconds; end this process when the job's Snakemake process has ended."""
    running = True
    while running:
        try:
            connection.send(("alive", os.getpid()))
            closed = connection.poll(0)  # the client sends nothing more, so this is the end of file
        except OSError:
            closed = True
        if closed:
            remove_process_folder()
            os._exit(1)
        running = not done.wait(HEARTBEAT_S)
