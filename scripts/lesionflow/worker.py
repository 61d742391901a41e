"""The process that stays warm between the jobs of a run (see ``warm``).

``python -m lesionflow.worker SOCKET STEP CODE RUN`` listens at the socket, and calls ``work`` of the script
STEP for one job after the other. It ends when RUN, the process of the Snakemake whose jobs they are, has
ended (a scheduler's job ends with its Snakemake), after ``IDLE_S`` without a job, after a failure that may
have left it broken, and when the job that it works for has gone.
"""

import importlib
import logging
import os
import resource
import sys
import threading
import time
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from lesionflow.sockets import WorkerLost, is_alive, leave, listening, peer

IDLE_S = float(os.environ.get("LESIONFLOW_WORKER_IDLE_S", 120))
BEAT_S = 2.0


class Records(logging.Handler):
    """What was logged, for the job's own log."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[tuple[int, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep level and text."""
        self.records.append((record.levelno, record.getMessage()))


def main(address: str, step: str, code: str, run: str) -> None:
    """Serve until there is nobody to serve."""
    threading.Thread(target=_end_with, args=(run, address), daemon=True).start()
    with listening(Path(address)) as listener:
        listener.settimeout(IDLE_S)
        sound = True
        while sound:
            try:
                line, _ = listener.accept()
            except TimeoutError:
                break
            try:
                peer(line)
            except WorkerLost:
                line.close()
                continue
            with Connection(line.detach()) as connection:
                sound = _serve(connection, step, code)
    leave(Path(address))


def _serve(connection: Connection, step: str, code: str) -> bool:
    """One job; whether this process can be trusted with another."""
    try:
        connection.send(("worker", step, code))
        arguments = connection.recv()
    except (OSError, EOFError):  # it has gone without a word
        return True
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
    try:
        connection.send((kind, content, records.records, peak_mb))
    except OSError:
        return False
    return kind != "failed"


def _worked(step: str, arguments: dict[str, Any]) -> tuple[str, Any]:
    try:
        return "done", importlib.import_module(step).work(**arguments)
    except Exception as error:
        message = " ".join(f"{type(error).__name__}: {error}".split())
        told = {"message": message, "traceback": traceback.format_exc()}
        if isinstance(
            error, ValueError
        ):  # of the scan or the network: another process says the same
            return "refused", {**told, "message": str(error)}
        return "failed", told


def _beat(connection: Connection, done: threading.Event) -> None:
    """Say now and then that this process lives; end it where the job has gone."""
    while not done.wait(BEAT_S):
        try:
            connection.send(("alive",))
        except OSError:
            os._exit(1)


def _end_with(run: str, address: str) -> None:
    """End this process when the process ``run`` has ended."""
    while is_alive(run):
        time.sleep(1)
    leave(Path(address))


if __name__ == "__main__":
    main(*sys.argv[1:])
