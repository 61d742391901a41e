"""The process that stays warm between the jobs of a run (see ``warm``).

``python -m lesionflow.workflow.worker_server SOCKET STEP CODE RUN`` listens at the socket, and calls ``work`` of the script
STEP for every job, in a thread; networks are called one at a time (``network``), so that one job reads and
writes its files while the other one's arithmetic runs. It ends when RUN, the process of the Snakemake whose
jobs they are, has ended (a scheduler's job ends with its Snakemake), after ``IDLE_S`` without a job, after a
failure that may have left it broken, and when a job that it works for has gone.
"""

import importlib
import logging
import os
import resource
import sys
import threading
import time
import traceback
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from lesionflow.base.errors import LesionflowError
from lesionflow.workflow.sockets import BEAT_S, IDLE_S, WorkerLost, is_alive, leave, listening, peer


class Records(logging.Handler):
    """What this thread logged, for its job's own log."""

    def __init__(self) -> None:
        super().__init__()
        self.thread = threading.get_ident()
        self.records: list[tuple[int, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep level and text."""
        if record.thread == self.thread:
            self.records.append((record.levelno, record.getMessage()))


def main(address: Path, step: str, code: str, run: str) -> None:
    """Serve until there is nobody to serve."""
    last = time.monotonic()
    with listening(address) as listener:
        listener.settimeout(1)
        serving: list[threading.Thread] = []
        while is_alive(run) and (serving or time.monotonic() - last < IDLE_S):
            serving = [thread for thread in serving if thread.is_alive()]
            with suppress(TimeoutError, WorkerLost):
                line, _ = listener.accept()
                peer(line)
                connection = Connection(line.detach())
                serving.append(
                    threading.Thread(
                        target=_serve, args=(connection, address, step, code), daemon=True
                    )
                )
                serving[-1].start()
                last = time.monotonic()
    leave(address)


def _serve(connection: Connection, address: Path, step: str, code: str) -> None:
    """One job; the end of this process if it cannot be trusted with another."""
    with connection:
        try:
            connection.send(("worker", step, code))
            arguments = connection.recv()
        except (OSError, EOFError):  # it has gone without a word
            return
        done, records = threading.Event(), Records()
        beat = threading.Thread(target=_beat, args=(connection, done), daemon=True)
        beat.start()
        root = logging.getLogger()
        root.addHandler(records)
        root.setLevel(logging.INFO)
        kind, content = _worked(step, arguments)
        root.removeHandler(records)
        done.set()
        beat.join()
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
        with suppress(OSError):
            connection.send((kind, content, records.records, peak_mb))
    if kind == "failed":
        leave(address)


def _worked(step: str, arguments: dict[str, Any]) -> tuple[str, Any]:
    try:
        return "done", importlib.import_module(step).work(**arguments)
    except Exception as error:
        message = " ".join(f"{type(error).__name__}: {error}".split())
        told = {"message": message, "traceback": traceback.format_exc()}
        if isinstance(error, LesionflowError):  # another process would say the same
            return "refused", {**told, "error": error}
        return "failed", told


def _beat(connection: Connection, done: threading.Event) -> None:
    """Say now and then that this process lives; end it where the job has gone."""
    while not done.wait(BEAT_S):
        try:
            connection.send(("alive",))
        except OSError:
            os._exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
