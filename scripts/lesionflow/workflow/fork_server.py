"""The process that a run's jobs are forks of (see ``forks``).

``python -m lesionflow.workflow.fork_server SOCKET RUN`` imports the script of a step when the step's first job comes, and forks
for every job. It ends when RUN, the process of the Snakemake whose jobs they are, has ended, and after ``IDLE_S``
without a job.
"""

import importlib
import os
import pickle
import signal
import socket
import sys
import threading
import time
import traceback
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

from lesionflow.workflow import sockets
from lesionflow.workflow.sockets import BEAT_S, IDLE_S, WorkerLost

LATE = (  # what jobs import only where they need it, and what they come as
    *("pandas.io.formats.csvs", "scipy.ndimage"),
    *("snakemake.io", "snakemake.iocontainers"),
)


def serve(address: Path, run: str) -> None:
    """Fork for every job that comes, until the run has ended or nobody has come for a while."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for forks
    with sockets.listening(address) as listener:
        listener.settimeout(1)
        for name in LATE:
            with suppress(ImportError):
                importlib.import_module(name)
        last = time.monotonic()
        while sockets.is_alive(run) and time.monotonic() - last < IDLE_S:
            with suppress(TimeoutError, WorkerLost, OSError, EOFError):
                line, _ = listener.accept()
                with line:
                    sockets.peer(line)
                    last = time.monotonic()
                    _fork(line, listener)
    sockets.leave(address)


def _fork(line: socket.socket, listener: socket.socket) -> None:
    _, output, *_ = socket.recv_fds(line, 1, 2)
    with Connection(os.dup(line.fileno())) as connection:
        try:
            step, where, job = connection.recv()
            with suppress(Exception):  # what is wrong is found again, and told, in the fork
                importlib.import_module(step)
            if os.fork() == 0:
                listener.close()
                _work(connection, output, step, where, job)
        finally:
            for number in output:
                os.close(number)


def _work(
    connection: Connection,
    output: list[int],
    step: str,
    where: tuple[str, dict[str, str]],
    job: bytes,
) -> None:
    """In the fork: one job, and the end."""
    speaking = threading.Lock()
    threading.Thread(target=_beat, args=(connection, speaking), daemon=True).start()
    ended = "done"
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number, own in zip(output, (1, 2), strict=True):
            os.dup2(number, own)
        folder, environment = where
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        importlib.import_module(step).main(pickle.loads(job))
    except BaseException:
        traceback.print_exc()
        ended = "failed"
    with suppress(OSError), speaking:
        sys.stdout.flush()
        sys.stderr.flush()
        used = getrusage(RUSAGE_SELF)
        connection.send((ended, used.ru_maxrss / 1024, used.ru_utime + used.ru_stime))
    os._exit(0)


def _beat(connection: Connection, speaking: threading.Lock) -> None:
    """Say now and then that this process lives; end it where the job has gone."""
    while True:
        with speaking:
            try:
                connection.send(("alive", os.getpid()))
            except OSError:
                os._exit(1)
        if connection.poll(BEAT_S):  # the job says nothing more: it has gone
            os._exit(1)


if __name__ == "__main__":
    serve(Path(sys.argv[1]), sys.argv[2])
