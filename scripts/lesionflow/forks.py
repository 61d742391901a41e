"""Jobs as forks of a process that has their imports: Python, NumPy and NiBabel take longer to start than most steps to run.

The first job of a run leaves a process behind (``python -m lesionflow.forks ADDRESS RUN``) that imports a step's
script when the step's first job comes, and forks for every job. So a job has a process of its own, in which nothing
of another job's is. That process has the job's environment, working directory and output, and ends when the job has gone.

Nothing depends on it: where it cannot be had, or the fork dies or is silent, the job says so and goes on by itself.
"""

import hashlib
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
from typing import Any

from lesionflow import sockets
from lesionflow.sockets import BEAT_S, CODE, IDLE_S, WorkerLost, current_run, heard

LATE = (  # what jobs import only where they need it, and what they come as
    *("pandas.io.formats.csvs", "scipy.ndimage"),
    *("snakemake.io", "snakemake.iocontainers"),
)


def hand_over(job: Any) -> None:
    """Have a fork do a job of Snakemake's and end this process as it ended; return where that cannot be had.

    Parameters
    ----------
    job
        As Snakemake gives it to the script of its rule, whose ``main`` the fork calls with it.
    """
    run = current_run()
    if not run:
        return
    try:
        done = _ask(job, _address(run), run)
    except (WorkerLost, OSError) as error:
        print(f"{error}; this job goes on by itself", file=sys.stderr)
        return
    sys.exit(0 if done else 1)


def start() -> None:
    """Start the run's process before it is needed; where that fails, jobs see to it themselves (see ``warm.start``)."""
    if run := current_run():
        with suppress(WorkerLost, OSError):
            sockets.found_or_started("forks", _address(run), run)[0].close()


def _address(run: str) -> Path:
    """Of a run's process: one for each environment that its steps have, and none of other code."""
    kind = hashlib.sha256(f"{sys.prefix} {os.environ.get(CODE)}".encode()).hexdigest()[:12]
    return sockets.folder() / f"{run}-forks-{kind}.sock"


def _ask(job: Any, address: Path, run: str) -> bool:
    line, server = sockets.found_or_started("forks", address, run)
    fork = None
    with Connection(os.dup(line.fileno())) as connection, line:
        try:
            socket.send_fds(line, [b"."], [1, 2])
            where = str(Path.cwd()), dict(os.environ), sys.path
            connection.send((job.rule, where, pickle.dumps(job)))
            while (message := heard(connection))[0] == "alive":
                fork = message[1]
        except (OSError, EOFError, TimeoutError) as error:
            why = str(error) if isinstance(error, TimeoutError) else "died (out of memory?)"
            if fork:
                with suppress(ProcessLookupError):
                    os.kill(fork, signal.SIGKILL)
            else:
                sockets.stop(server, address)
            who = f"the job's fork (process {fork})" if fork else f"what forks (process {server})"
            raise WorkerLost(f"{who} {why}") from error
    return message[0] == "done"


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
    where: tuple[str, dict[str, str], list[str]],
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
        folder, environment, paths = where
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.path.extend(path for path in paths if path not in sys.path)
        importlib.import_module(step).main(pickle.loads(job))
    except BaseException:
        traceback.print_exc()
        ended = "failed"
    with suppress(OSError), speaking:
        sys.stdout.flush()
        sys.stderr.flush()
        connection.send((ended,))
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
