"""The log of a job, which records how the job ended."""

import logging
import os
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from typing import Any

from lesionflow.base.errors import LesionflowError

FAILED = "FAILED: "
DONE = "DONE"


@contextmanager
def logged(snakemake: Any) -> Iterator[None]:
    """Write the log records of a job to its log, with the outcome of the job as the last line.

    The last line is ``DONE``, or ``FAILED: `` and the reason in one line, after the traceback. The reason is the
    message of a ``LesionflowError``; for other errors the name of the class comes before the message. A log without
    such a line is that of a job that was killed.

    Only records of this thread are written: jobs that share a process run in threads of it. CPU time is that of
    the process while the job ran.
    """
    path, thread = Path(str(snakemake.log[0])), threading.get_ident()
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, mode="w", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    handler.addFilter(lambda record: record.thread == thread)
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    start_s = _cpu_s()
    try:
        yield
        peak_mb = getrusage(RUSAGE_SELF).ru_maxrss / 1000
        cpu_s = _cpu_s() - start_s
        logging.info(
            "process %d, peak memory %.0f MB, %.2f s of CPU time", os.getpid(), peak_mb, cpu_s
        )
        _close(handler, DONE)
    except BaseException as error:
        reason, class_name = " ".join(str(error).split()), type(error).__name__
        if not isinstance(error, LesionflowError):
            reason = f"{class_name}: {reason}" if reason else class_name
        _close(handler, traceback.format_exc() + FAILED + reason)
        raise
    finally:
        root.removeHandler(handler)
        handler.close()


def _cpu_s() -> float:
    usage = getrusage(RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _close(handler: logging.FileHandler, text: str) -> None:
    handler.acquire()
    print(text, file=handler.stream)
    handler.release()


def outcome(log: Path) -> str | None:
    """Why the job that wrote ``log`` failed; None if it succeeded or did not start."""
    if not log.is_file():
        return None
    lines = log.read_text(encoding="utf-8", errors="replace").rstrip().splitlines()
    last = lines[-1] if lines else ""
    if last == DONE:
        return None
    if last.startswith(FAILED):
        return last.removeprefix(FAILED)
    return f"ended without a result: killed, out of memory or out of time (see {log})"
