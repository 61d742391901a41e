"""The log of a job, which records how the job ended."""

import errno
import logging
import os
import re
import shutil
import socket
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from typing import Any

from lesionflow.base.atomic_write import NO_SPACE
from lesionflow.base.errors import LesionflowError
from lesionflow.base.peak_memory import peak_memory

FAILED = "FAILED: "
DONE = "DONE"
FULL_BYTES = 2**20  # free space of a device that counts as full
NO_MEMORY = (
    "bad_alloc",
    "allocate memory",
)  # in errors of C++ libraries that Python has no class for
ERROR_LINE = re.compile(r"[\w.]*(Error|Exception)(: .*)?|\S+ \S+ (ERROR|CRITICAL) .*")


@contextmanager
def logged(snakemake: Any) -> Iterator[None]:
    """Write the log records of a job to its log, with the outcome of the job as the last line.

    The last line is ``DONE``, or ``FAILED: `` and the ``reason``, after the traceback. A log without
    such a line is that of a job that was killed.

    Only records of this thread are written: jobs that share a process run in threads of it. CPU time is that of
    the process while the job ran. What libraries print to stderr, as TensorFlow does, goes to the log as well if the process is
    that of this job alone.

    Raises
    ------
    OSError
        If there is no space for the first line of the log; the job does not start.
    LesionflowError
        If the folder of the log cannot be written.
    """
    path, thread = Path(str(snakemake.log[0])).absolute(), threading.get_ident()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = _handler(path)
    except PermissionError as error:
        raise LesionflowError(
            f"{path} cannot be written: {error.strerror}: give yourself the right to write to its folder"
        ) from error
    handler.addFilter(lambda record: record.thread == thread)
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    start_s = _cpu_s()
    try:
        with _stderr_to(handler):
            yield
        peak_mb = peak_memory() / 1e6
        cpu_s = _cpu_s() - start_s
        logging.info(
            "process %d, peak memory %.0f MB, %.2f s of CPU time", os.getpid(), peak_mb, cpu_s
        )
        _close(handler)
        _append(path, DONE)
    except BaseException as error:
        _close(handler)
        rule = getattr(snakemake, "rule", "")
        with suppress(OSError):  # the error of the job says more than that of its log
            _append(path, traceback.format_exc() + FAILED + reason(error, rule))
        raise
    finally:
        root.removeHandler(handler)


def reason(error: BaseException, rule: str) -> str:
    """Why a job failed, in one line.

    The message of a ``LesionflowError``, and what to do if there is no space or memory left; for other errors the name
    of the class comes before the message.
    """
    message, class_name = " ".join(str(error).split()), type(error).__name__
    if isinstance(error, LesionflowError):
        return message
    if lacks_space(error):
        code, path = getattr(error, "errno", None), getattr(error, "filename", None)
        remedy = "free some and run the same command again"
        if code == errno.EFBIG:
            remedy = (
                "the file is too large: raise the limit of ulimit -f or use another file system"
            )
        elif code == errno.EDQUOT:
            remedy = f"your quota is used up: {remedy}"
        return f"no space left on the device{f': {path}' if path else ''} ({remedy})"
    if lacks_memory(error):
        remedy = f"raise mem_mb of the rule {rule}, or run fewer jobs at the same time"
        return f"out of memory{f': {message}' if message else ''} ({remedy})"
    return f"{class_name}: {message}" if message else class_name


def lacks_space(error: BaseException) -> bool:
    """Whether a file could not be written because its device, quota or limit has no space left."""
    code = getattr(error, "errno", None)  # TensorFlow and HDF5 have only a message
    return code in NO_SPACE or os.strerror(errno.ENOSPC) in str(error)


def lacks_memory(error: BaseException) -> bool:
    """Whether memory could not be allocated."""
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    return any(words in str(error) for words in NO_MEMORY)


def _handler(path: Path) -> logging.FileHandler:
    """A handler with a first line in the file, so that the file has a block in which its last line fits later."""
    handler = logging.FileHandler(path, mode="w", encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    text = f"process {os.getpid()} on {socket.gethostname()}"
    first = handler.format(logging.makeLogRecord({"msg": text, "levelname": "INFO"}))
    try:
        with _errors_of(path):  # which the handler would only print
            print(first, file=handler.stream, flush=True)
    except OSError:
        _close(handler)
        raise
    return handler


@contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    """Name the file in errors of writing, which have no name."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise


@contextmanager
def _stderr_to(handler: logging.FileHandler) -> Iterator[None]:
    """Let stderr of this process be the log; not in a thread, whose process has one stderr for several jobs."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    try:
        stderr = os.dup(2)
    except OSError:  # the process has none
        yield
        return
    try:
        assert handler.stream is not None  # opened by _handler
        # the same open file: what libraries write and what the handler writes follow each other
        os.dup2(handler.stream.fileno(), 2)
        yield
    finally:
        with suppress(OSError, ValueError, AttributeError):  # Python's own buffer
            sys.stderr.flush()
        os.dup2(stderr, 2)
        os.close(stderr)


def _close(handler: logging.FileHandler) -> None:
    with suppress(OSError):  # no space for the last records
        handler.close()


def _append(path: Path, text: str) -> None:
    """Append the end of a log; if there is no space for it, put its last line in the place of the first ones."""
    content = f"{text}\n".encode(errors="backslashreplace")
    try:
        with path.open("ab") as log:
            log.write(content)
    except OSError:
        with _errors_of(path), path.open("r+b", buffering=0) as log:
            log.write(content.splitlines(keepends=True)[-1])
            log.truncate()


def _cpu_s() -> float:
    usage = getrusage(RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def outcome(log: Path) -> str | None:
    """Why the job that wrote ``log`` failed; None if it succeeded or did not start."""
    if not log.is_file():
        return None
    text = log.read_text(encoding="utf-8", errors="replace")
    lines = text.rstrip("\0 \n").splitlines() or [""]
    if lines[-1] == DONE:
        return None
    if lines[-1].startswith(FAILED):
        return lines[-1].removeprefix(FAILED)
    if error := next((line for line in reversed(lines) if ERROR_LINE.fullmatch(line)), ""):
        return f"ended without a result: {error} (see {log})"
    if shutil.disk_usage(log.parent).free < FULL_BYTES:
        return f"no space left on the device: {log} (free some and run the same command again)"
    if not lines[-1]:
        return f"ended without a result: killed, or no space left on the device ({log} is empty)"
    return f"ended without a result: killed, out of memory or out of time (see {log})"
