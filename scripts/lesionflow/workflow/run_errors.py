"""Errors that the user can mend, as one line of Snakemake's output."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from snakemake.exceptions import WorkflowError

from lesionflow.base.errors import LesionflowError


class RunError(WorkflowError):
    """An error that the user can mend. Snakemake prints its message last, without the lines of code that raised it."""

    @property
    def __traceback__(self) -> None:  # type: ignore[override]
        return None

    @__traceback__.setter
    def __traceback__(self, traceback: Any) -> None:
        pass


def check_rights(folder: Path) -> None:
    """Check that a folder of the working directory, or the directory if it has no such folder, can be written to.

    Raises
    ------
    LesionflowError
        If it cannot: Snakemake would stop with a traceback.
    """
    folder = folder if folder.exists() else Path()
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise LesionflowError(
            f"{folder.absolute()} cannot be written: give yourself the right to, and run the same command again"
        )


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Turn errors that the user can mend into errors that Snakemake prints as one line.

    Raises
    ------
    RunError
        With the message of a ``LesionflowError``, or the path and the reason of an ``OSError``.
    """
    try:
        yield
    except LesionflowError as error:
        raise RunError(str(error)) from error
    except OSError as error:
        if error.filename is None:
            raise
        path = Path(error.filename).absolute()
        raise RunError(
            f"{path}: {error.strerror}: run the same command again afterwards"
        ) from error
