"""Sockets between a run's jobs and the processes that serve them, which only the user can open."""

import fcntl
import hashlib
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

RUN = "LESIONFLOW_RUN"  # process id of the Snakemake whose jobs share processes
CODE = "LESIONFLOW_CODE"  # mark of the code of all its steps
CLUSTER_JOB = "LESIONFLOW_CLUSTER_JOB"  # in which that Snakemake runs
START_S = 60  # for a process to open its socket
IDLE_S = float(os.environ.get("LESIONFLOW_WORKER_IDLE_S", 120))  # without a job, and it ends
BEAT_S = 2.0  # from one sign of life to the next
SILENT_S = 120  # who works for a job says every few seconds that it lives
LONGEST = 50  # of a folder's name; the whole address of a socket has at most 107 characters


class WorkerLost(Exception):
    """The process did not do the work; the work itself may be well."""


def enter_run(marks: Mapping[str, str]) -> bool:
    """Make this Snakemake the one whose jobs share processes; False where one above it is.

    A scheduler's job may start a Snakemake for each of the jobs in it: the first one's processes are theirs.

    Parameters
    ----------
    marks
        Of each step's code: processes of other code are left alone.
    """
    os.environ[CODE] = hashlib.sha256("".join(marks.values()).encode()).hexdigest()[:16]
    job = os.environ.get("SLURM_JOB_ID") or os.environ.get("JOB_ID") or ""  # SLURM, Grid Engine
    run = os.environ.get(RUN, "")
    if run and os.environ.get(CLUSTER_JOB) == job and Path("/proc", run).exists():
        return False
    os.environ.update({RUN: str(os.getpid()), CLUSTER_JOB: job})
    return True


def current_run() -> str | None:
    """The run that this process belongs to, where there are such processes: other systems do not tell who is at a socket."""
    return os.environ.get(RUN) if sys.platform.startswith("linux") else None


def folder() -> Path:
    """Where the sockets are."""
    return private_folder(short_folder(tempfile.gettempdir()))


def short_folder(temporary: str) -> Path:
    """Where sockets can lie: in the folder of temporary files, unless its name is too long for one."""
    return Path(temporary if len(temporary) < LONGEST else "/tmp")


def private_folder(parent: Path) -> Path:
    """The user's folder of sockets, which nobody else can enter.

    Raises
    ------
    WorkerLost
        If somebody else has put something in its place, or others can enter it.
    """
    folder = parent / f"lesionflow-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not folder.is_dir() or folder.is_symlink() or found.st_uid != os.getuid():
        raise WorkerLost(f"{folder} is not a folder of this user")
    if found.st_mode & 0o077:
        raise WorkerLost(f"{folder} is open to others (chmod 700 it)")
    return folder


def listening(address: Path) -> socket.socket:
    """A new socket at ``address``, at which a process serves."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(address))
    listener.listen(128)
    return listener


def connected(address: Path) -> tuple[socket.socket, int]:
    """The socket of a process that serves at ``address``, and the process.

    Raises
    ------
    FileNotFoundError, ConnectionRefusedError
        If nobody serves there.
    WorkerLost
        If it is another user's.
    """
    line = socket.socket(socket.AF_UNIX)
    try:
        line.connect(str(address))
        return line, peer(line)
    except BaseException:
        line.close()
        raise


def peer(line: socket.socket) -> int:
    """Process at the other end of a socket, which must be this user's.

    Raises
    ------
    WorkerLost
        If it is another user's.
    """
    size = struct.calcsize("3i")
    pid, uid, _ = struct.unpack("3i", line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    if uid != os.getuid():
        raise WorkerLost(f"process {pid} at the socket is another user's")
    return pid


def heard(connection: Connection) -> Any:
    """The next message.

    Raises
    ------
    TimeoutError
        If none comes for ``SILENT_S`` seconds.
    EOFError, OSError
        If nobody is there any more.
    """
    if not connection.poll(SILENT_S):
        raise TimeoutError(f"said nothing for {SILENT_S} s and was stopped")
    return connection.recv()


def found_or_started(
    module: str, address: Path, *arguments: str, environment: Mapping[str, str] | None = None
) -> tuple[socket.socket, int]:
    """A socket and a process as of ``connected``; where nobody serves, one of the jobs that come starts it.

    Parameters
    ----------
    module, arguments
        ``python -m lesionflow.MODULE ADDRESS ARGUMENTS`` is started, and outlives this process.
    address
        Where it serves.
    environment
        What it has beside this process' own.

    Raises
    ------
    WorkerLost
        If it does not open its socket, with the last line that it wrote.
    """
    with suppress(FileNotFoundError, ConnectionRefusedError):
        return connected(address)
    with address.with_suffix(".lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        with suppress(FileNotFoundError, ConnectionRefusedError):
            return connected(address)
        return _started(module, address, arguments, environment or {})


def _started(
    module: str, address: Path, arguments: tuple[str, ...], environment: Mapping[str, str]
) -> tuple[socket.socket, int]:
    address.unlink(missing_ok=True)
    for left in address.parent.iterdir():  # by runs that have ended
        if not Path("/proc", left.name.split("-")[0]).exists():
            left.unlink(missing_ok=True)
    scripts = str(Path(__file__).parents[2])
    paths = [scripts, *filter(None, [os.environ.get("PYTHONPATH")])]
    with address.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen(
            # -P: no module of the working directory, which is a user's, stands for one of ours
            [sys.executable, "-P", "-m", f"lesionflow.workflow.{module}", str(address), *arguments],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # what stops one job does not stop it
        )
    end = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < end:
        try:
            return connected(address)
        except (FileNotFoundError, ConnectionRefusedError):
            time.sleep(0.01)
    process.kill()
    raise WorkerLost(f"no worker could be started{last_words(address)}")


def stop(pid: int, address: Path) -> None:
    """End the process that serves at ``address``."""
    address.unlink(missing_ok=True)  # first: nobody shall meet it while it ends
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def last_words(address: Path) -> str:
    """What the process that served at ``address`` wrote last, to be put behind a message."""
    log = address.with_suffix(".log")
    lines = log.read_text(errors="replace").split("\n") if log.is_file() else []
    words = [line.strip() for line in lines if line.strip()]
    return f": {words[-1][:300]}" if words else ""


def is_alive(run: str) -> bool:
    """Whether the Snakemake of a run has not ended."""
    try:
        os.kill(int(run), 0)
    except ProcessLookupError:
        return False
    return True


def leave(address: Path) -> None:
    """End this process, which served at ``address``."""
    for suffix in (".sock", ".log"):
        address.with_suffix(suffix).unlink(missing_ok=True)
    os._exit(0)  # at once, whatever a framework's threads are doing
