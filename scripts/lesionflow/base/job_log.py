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
    """Write the log records of a job to its log, and close the log with how the job ended.

    The last line is ``DONE``, or ``FAILED: `` and the reason in one line. An error that the user can mend is its
    own reason; the reason of any other names its class as well. The traceback stands before it. A log with neither
    line belongs to a job that was killed.

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
    begun_s = _cpu_s()
    try:
        yield
        peak_mb = getrusage(RUSAGE_SELF).ru_maxrss / 1000
        cpu_s = _cpu_s() - begun_s
        logging.info(
            "process %d, peak memory %.0f MB, %.2f s of CPU time", os.getpid(), peak_mb, cpu_s
        )
        _close(handler, DONE)
    except BaseException as error:
        reason, kind = " ".join(str(error).split()), type(error).__name__
        if not isinstance(error, LesionflowError):
            reason = f"{kind}: {reason}" if reason else kind
        _close(handler, traceback.format_exc() + FAILED + reason)
        raise
    finally:
        root.removeHandler(handler)
        handler.close()


def _cpu_s() -> float:
    used = getrusage(RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _close(handler: logging.FileHandler, text: str) -> None:
    handler.acquire()
    print(text, file=handler.stream)
    handler.release()


def outcome(log: Path) -> str | None:
    """How the job that wrote ``log`` ended: None where it ended well or never began, else the reason."""
    if not log.is_file():
        return None
    lines = log.read_text(encoding="utf-8", errors="replace").rstrip().splitlines()
    last = lines[-1] if lines else ""
    if last == DONE:
        return None
    if last.startswith(FAILED):
        return last.removeprefix(FAILED)
    return f"ended without a result: killed, out of memory or out of time (see {log})"
