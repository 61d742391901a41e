"""Snakemake's lock of a working directory, which is removed if the run that held it is dead.

A run that is killed leaves the lock, and Snakemake refuses every later run until the user adds ``--unlock``. Here each
run also holds a lock of the operating system on a file of the working directory, which ends with the process. A run
that gets this lock for itself alone, and finds no sign of a run on another machine or of jobs in the queue of a
scheduler, removes what the killed run has left.
"""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from typing import Any, TextIO

from snakemake.persistence import PersistenceBase

from lesionflow.workflow import run_record

LOCK = "lesionflow.lock"  # in the folder .snakemake


def apply(report: Callable[[str], None]) -> None:
    """Make Snakemake remove the lock of a dead run; ``report`` is called with a message if it does."""
    original = PersistenceBase.lock

    @wraps(original)
    @contextmanager
    def lock(self: Any) -> Iterator[None]:
        with (self.path / LOCK).open("a") as file:
            alone = _take(file)
            if alone and self.locked and run_record.all_dead():
                report(
                    "the run that held the lock of this directory was killed: its lock is removed"
                )
                self.unlock()
                (self.path / "locks").mkdir(
                    exist_ok=True
                )  # Snakemake removes the folder, and needs it
            with original(self):
                if alone:  # let others look at the lock of Snakemake
                    fcntl.flock(file, fcntl.LOCK_SH)
                yield

    PersistenceBase.lock = lock  # type: ignore[method-assign]


def _take(file: TextIO) -> bool:
    """Lock a file; whether no other process has locked it, as far as the file system can tell."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_SH)
        return False
    except OSError:  # the file system has no locks
        return False
    return True
