"""What every step shares: a log that tells how its job ended."""

import logging
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
    """Send the records of a job to its log, and close it with how the job ended.

    The last line is ``DONE``, or ``FAILED: `` and the reason in one line. An error that the user can mend is its
    own reason; of any other the reason names its kind as well. The traceback stands before it. A log with neither
    line belongs to a job that was killed.
    """
    path = Path(str(snakemake.log[0]))
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, mode="w", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield
        used = getrusage(RUSAGE_SELF)
        taken_s = used.ru_utime + used.ru_stime
        logging.info("peak memory %.0f MB, %.2f s of a core", used.ru_maxrss / 1000, taken_s)
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


def _close(handler: logging.FileHandler, text: str) -> None:
    handler.acquire()
    print(text, file=handler.stream)
    handler.release()


def outcome(log: Path) -> str | None:
    """How the job that wrote ``log`` ended: None if well or not begun, else the reason."""
    if not log.is_file():
        return None
    lines = log.read_text(encoding="utf-8", errors="replace").rstrip().splitlines()
    last = lines[-1] if lines else ""
    if last == DONE:
        return None
    if last.startswith(FAILED):
        return last.removeprefix(FAILED)
    return f"ended without a word: killed, out of memory or out of time (see {log})"
