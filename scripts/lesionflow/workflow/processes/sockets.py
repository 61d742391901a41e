"""Sockets between the jobs of a run and the servers that run them; only the user can open them."""

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
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from itertools import product
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

RUN = "LESIONFLOW_RUN"  # process id of the Snakemake whose jobs share servers
CODE = "LESIONFLOW_CODE"  # digest of the code of all steps
CLUSTER_JOB = "LESIONFLOW_CLUSTER_JOB"  # in which that Snakemake runs
START_S = 60  # for a server to open its socket
IDLE_S = float(
    os.environ.get("LESIONFLOW_WORKER_IDLE_S", 120)
)  # a server ends after this time without a job
BEAT_S = 2.0  # between two reports that a process lives
SILENT_S = 120  # without such a report, and a process is stopped
LONGEST = 50  # characters of a folder's name; the path of a socket has at most 107
SLOTS = 256  # servers of one step
SHARE = 2  # jobs that share a server


class WorkerLost(Exception):
    """A shared process did not finish a job; the job itself may be in order."""


def enter_run(digests: Mapping[str, str]) -> bool:
    """Make this Snakemake the one whose jobs share servers; False where it runs inside of such a one.

    A scheduler's job may start one Snakemake for each of its steps: they use the servers of the first.

    Parameters
    ----------
    digests
        Of the code of each step.
    """
    os.environ[CODE] = hashlib.sha256("".join(digests.values()).encode()).hexdigest()[:16]
    job = os.environ.get("SLURM_JOB_ID") or os.environ.get("JOB_ID") or ""  # SLURM, Grid Engine
    run = os.environ.get(RUN, "")
    if run and os.environ.get(CLUSTER_JOB) == job and Path("/proc", run).exists():
        return False
    os.environ.update({RUN: str(os.getpid()), CLUSTER_JOB: job})
    return True


def current_run() -> str | None:
    """The run that this process belongs to; None on systems that do not tell whose process is at a socket."""
    return os.environ.get(RUN) if sys.platform.startswith("linux") else None


def folder() -> Path:
    """Folder of the sockets."""
    return private_folder(short_folder(tempfile.gettempdir()))


def short_folder(temporary: str) -> Path:
    """The folder of temporary files, or /tmp where its name is too long for the path of a socket."""
    return Path(temporary if len(temporary) < LONGEST else "/tmp")


def private_folder(parent: Path) -> Path:
    """The user's folder of sockets below ``parent``, which nobody else can enter.

    Raises
    ------
    WorkerLost
        If the folder is another user's, or others can enter it.
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
    """A new socket that listens at ``address``."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(address))
    listener.listen(128)
    return listener


def connected(address: Path) -> tuple[socket.socket, int]:
    """A socket to the server at ``address``, and its process.

    Raises
    ------
    FileNotFoundError, ConnectionRefusedError
        If no server listens there.
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
    """The process at the other end of a socket.

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


def received(connection: Connection) -> Any:
    """The next message.

    Raises
    ------
    TimeoutError
        If none comes within ``SILENT_S`` seconds.
    EOFError, OSError
        If the other process has ended.
    """
    if not connection.poll(SILENT_S):
        raise TimeoutError(f"sent nothing for {SILENT_S} s and was stopped")
    return connection.recv()


@contextmanager
def slot(name: str) -> Iterator[tuple[Path, int]]:
    """Address and number of a server of this name in which a job has a place until the block ends.

    Raises
    ------
    WorkerLost
        If all ``SLOTS`` servers are busy.
    """
    place = folder()
    with ExitStack() as held:
        for number, seat in product(range(SLOTS), range(SHARE)):
            lock = held.enter_context((place / f"{name}-{number}-{seat}.lock").open("w"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield place / f"{name}-{number}.sock", number
            return
    raise WorkerLost(f"{SLOTS} servers are busy")


def found_or_started(
    address: Path, run: str, mode: str, environment: Mapping[str, str] | None = None
) -> tuple[socket.socket, int]:
    """A socket to the server at ``address``, and its process; the first job that comes starts it.

    Parameters
    ----------
    address, run, mode
        As for ``server.main``. The server outlives this process.
    environment
        What the server has in its environment beside this process' own.

    Raises
    ------
    WorkerLost
        If it does not open its socket; the message has the last line of its log.
    """
    with suppress(FileNotFoundError, ConnectionRefusedError):
        return connected(address)
    with address.with_suffix(".lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        with suppress(FileNotFoundError, ConnectionRefusedError):
            return connected(address)
        return _started(address, run, mode, environment or {})


def _started(
    address: Path, run: str, mode: str, environment: Mapping[str, str]
) -> tuple[socket.socket, int]:
    address.unlink(missing_ok=True)
    for left in address.parent.iterdir():  # files of runs that have ended
        if not Path("/proc", left.name.split("-")[0]).exists():
            left.unlink(missing_ok=True)
    start = (
        f"import sys; sys.path.append({str(Path(__file__).resolve().parents[3])!r})\n"
        "from lesionflow.workflow.processes.server import main; main(*sys.argv[1:])"
    )
    with address.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen(
            # -P: the working directory is the user's, and no module in it may stand in for one of ours
            [sys.executable, "-P", "-c", start, str(address), run, mode],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # a signal that stops one job does not stop it
        )
    end = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < end:
        try:
            return connected(address)
        except (FileNotFoundError, ConnectionRefusedError):
            time.sleep(0.01)
    process.kill()
    raise WorkerLost(f"no server could be started{log_tail(address)}")


def stop(pid: int, address: Path) -> None:
    """End the server at ``address``."""
    address.unlink(missing_ok=True)  # first, so that no job connects while it ends
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def log_tail(address: Path) -> str:
    """The last line that the server at ``address`` has written, to be put behind a message."""
    log = address.with_suffix(".log")
    lines = log.read_text(errors="replace").split("\n") if log.is_file() else []
    lines = [line.strip() for line in lines if line.strip()]
    return f": {lines[-1][:300]}" if lines else ""


def is_alive(run: str) -> bool:
    """Whether the Snakemake process of a run still runs."""
    try:
        os.kill(int(run), 0)
    except ProcessLookupError:
        return False
    return True


def leave(address: Path) -> None:
    """End this process, the server at ``address``, whatever the threads of a framework are doing."""
    for suffix in (".sock", ".log"):
        address.with_suffix(suffix).unlink(missing_ok=True)
    os._exit(0)
