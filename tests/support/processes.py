"""Looking at other processes."""

import os
import subprocess
import sys
import time
from pathlib import Path

from support.paths import HOUSE


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


def client(code, temporary, *words, **how):
    """A process of a test's own code, whose sockets lie in the folder ``temporary``."""
    paths = ":".join(str(HOUSE / name) for name in ("scripts", "tests", "tests/unit"))
    return subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"from lesionflow.workflow import sockets; sockets.LONGEST = 200\n{code}",
            *words,
        ],
        env={**os.environ, "PYTHONPATH": paths, "TMPDIR": str(temporary)},
        **how,
    )
