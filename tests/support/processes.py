"""Looking at other processes."""

import os
import subprocess
import sys
import time
from pathlib import Path

from support.paths import REPOSITORY


def state(pid):
    """Its letter in /proc (R, S, T, Z ...), or None where there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return None


def parent(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def ended(pid, within=10):
    """Whether a process ends in so many seconds."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        if state(pid) in (None, "Z"):
            return True
        time.sleep(0.05)
    return False


def text_of(path, within=30):
    """What another process writes to a file, as soon as something is there."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        if path.exists() and (text := path.read_text()):
            return text
        time.sleep(0.05)
    raise AssertionError(f"nothing came to {path}")


def client(code, temporary, *words, executable=sys.executable, **options):
    """A process that runs a test's code, with its sockets in the folder ``temporary``."""
    start = (
        f"import sys; sys.path.insert(0, {str(REPOSITORY / 'tests')!r}); import support\n"
        "from lesionflow.workflow.processes import sockets; sockets.MAX_FOLDER_LENGTH = 200\n"
    )
    return subprocess.Popen(
        [executable, "-c", start + code, *words],
        env={**os.environ, "TMPDIR": str(temporary)},
        **options,
    )
