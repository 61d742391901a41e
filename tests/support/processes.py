"""Other processes: their state, their end, and the text that they write."""

import os
import subprocess
import sys
import time

import psutil

from support.paths import REPOSITORY


def state(pid):
    """State of a process as psutil names it, or None if there is no such process."""
    try:
        return psutil.Process(int(pid)).status()
    except psutil.NoSuchProcess:
        return None


def parent(pid):
    return psutil.Process(int(pid)).ppid()


def ended(pid, within=10):
    """Whether a process ends within this number of seconds."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        if state(pid) in (None, psutil.STATUS_ZOMBIE):
            return True
        time.sleep(0.05)
    return False


def text_of(path, within=30):
    """Wait until another process has written to a file; returns the text."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        if path.exists() and (text := path.read_text()):
            return text
        time.sleep(0.05)
    raise AssertionError(f"nothing was written to {path} within {within} s")


def client(code, temporary, *arguments, executable=sys.executable, **options):
    """Start a process that runs Python code of a test, with its sockets in the folder ``temporary``."""
    start = (
        f"import sys; sys.path.insert(0, {str(REPOSITORY / 'tests')!r}); import support\n"
        "from lesionflow.workflow.processes import sockets; sockets.MAX_FOLDER_LENGTH = 200\n"
    )
    return subprocess.Popen(
        [executable, "-c", start + code, *arguments],
        env={**os.environ, "TMPDIR": str(temporary)},
        **options,
    )
