"""Sockets between the jobs of a run and the servers that run them, in a folder that only the user can open."""

import fcntl
import hashlib
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from itertools import product
from multiprocessing.connection import Connection
from pathlib import Path
from stat import S_ISDIR
from typing import Any

import psutil

from lesionflow.base.leftovers import host, is_leftover, remove_process_folder

RUN = "LESIONFLOW_RUN"  # process id of the Snakemake process whose jobs share servers
SECRET = "LESIONFLOW_SECRET"  # of the run, which its jobs and servers know
CODE = "LESIONFLOW_CODE"  # digest of the code of all steps
CLUSTER_JOB = "LESIONFLOW_CLUSTER_JOB"  # id of the cluster job in which that process runs
START_S = 60  # longest time for a server to open its socket
IDLE_S = float(os.environ.get("LESIONFLOW_WORKER_IDLE_S", 120))  # after which an idle server ends
HEARTBEAT_S = 2.0  # interval of the heartbeats that a running job sends
HEARTBEAT_TIMEOUT_S = 120  # a process without a heartbeat for so long is stopped
MAX_FOLDER_LENGTH = 44  # bytes; the path of a socket has at most 103 on macOS, 107 on Linux
MAX_SERVERS = 256  # of one step
MAX_FOLDERS = 100  # names of the private folder that are tried
JOBS_PER_SERVER = 2  # jobs of one step that run in a server at the same time


class SharedProcessError(Exception):
    """A shared process cannot be used, or did not finish a job; the job may succeed in a process of its own."""


def enter_run(digests: Mapping[str, str]) -> bool:
    """Let the jobs of this Snakemake process share servers, unless it runs inside a process whose jobs do.

    A cluster job may start one Snakemake process per step; all of them use the servers of the first.

    Parameters
    ----------
    digests
        Digest of the code of each step.

    Returns
    -------
    bool
        False if this process uses the servers of another one.
    """
    os.environ[CODE] = hashlib.sha256("".join(digests.values()).encode()).hexdigest()[:16]
    job = os.environ.get("SLURM_JOB_ID") or os.environ.get("JOB_ID") or ""  # SLURM, Grid Engine
    run = os.environ.get(RUN, "")
    if run and os.environ.get(CLUSTER_JOB) == job and is_alive(run):
        return False
    os.environ.update({RUN: str(os.getpid()), CLUSTER_JOB: job})
    os.environ[SECRET] = os.environ.get(SECRET) or secrets.token_hex()
    return True


def current_run() -> str | None:
    """The run that this process belongs to; None if it belongs to none."""
    return os.environ.get(RUN)


def folder() -> Path:
    """The user's folder for sockets, which is made if it does not exist."""
    return private_folder(short_folder(tempfile.gettempdir()))


def short_folder(temporary: str) -> Path:
    """The folder of temporary files, or /tmp if its name is too long for the path of a socket."""
    return Path(temporary if len(os.fsencode(temporary)) < MAX_FOLDER_LENGTH else "/tmp")


def private_folder(parent: Path) -> Path:
    """The user's folder for sockets in ``parent``, with permissions 0700; the jobs of a run find the same one.

    It is ``lesionflow-UID``, or ``lesionflow-UID-1`` and so on if that is a file or a link, belongs to another user,
    or can be opened by other users.

    Raises
    ------
    SharedProcessError
        If there is something else under ``MAX_FOLDERS`` names.
    """
    for number in range(MAX_FOLDERS):
        folder = parent / f"lesionflow-{os.getuid()}{f'-{number}' if number else ''}"
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        status = folder.lstat()
        private = S_ISDIR(status.st_mode) and status.st_mode & 0o777 == 0o700
        if private and status.st_uid == os.getuid():
            return folder
    raise SharedProcessError(
        f"{parent} has no folder that only this user can open: remove lesionflow-{os.getuid()} "
        "there, or set TMPDIR to another folder"
    )


def server_name(run: str, text: str) -> str:
    """Name of the files of a server: the run and the host, and a digest of what else tells servers apart."""
    return f"{run}-{host()}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def listen(address: Path) -> socket.socket:
    """Open a socket that listens at ``address``, with the id of this process in a file beside it."""
    address.with_suffix(".pid").write_text(str(os.getpid()))  # before anybody can connect
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(address))
    listener.listen(128)
    return listener


def connect(address: Path) -> tuple[socket.socket, int]:
    """Connect to the server at ``address``; return the socket and the server's process id.

    Raises
    ------
    FileNotFoundError, ConnectionRefusedError
        If no server listens at the address.
    """
    client = socket.socket(socket.AF_UNIX)
    try:
        client.connect(str(address))
        return client, int(address.with_suffix(".pid").read_text())
    except BaseException:
        client.close()
        raise


def receive(connection: Connection) -> Any:
    """Receive the next message of a server.

    Raises
    ------
    TimeoutError
        If none arrives within ``HEARTBEAT_TIMEOUT_S`` seconds.
    EOFError, OSError
        If the other process has ended.
    """
    wait_for(connection)
    return connection.recv()


def wait_for(connection: Connection) -> None:
    """Wait until a server sends something; raises TimeoutError as ``receive`` does."""
    if not connection.poll(HEARTBEAT_TIMEOUT_S):
        raise TimeoutError(f"sent nothing for {HEARTBEAT_TIMEOUT_S} s and was stopped")


@contextmanager
def slot(name: str) -> Iterator[tuple[Path, int]]:
    """Address and number of the first server of this name with a free slot, reserved until the block ends.

    Raises
    ------
    SharedProcessError
        If all ``MAX_SERVERS`` servers are busy.
    """
    directory = folder()
    with ExitStack() as locks:
        for number, seat in product(range(MAX_SERVERS), range(JOBS_PER_SERVER)):
            lock = locks.enter_context((directory / f"{name}-{number}-{seat}.lock").open("w"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield directory / f"{name}-{number}.sock", number
            return
    raise SharedProcessError(f"all {MAX_SERVERS} servers of this step are busy")


def connect_or_start(
    address: Path, run: str, mode: str, environment: Mapping[str, str] | None = None
) -> tuple[socket.socket, int]:
    """Connect to the server at ``address``, which the first job starts; return the socket and the process id.

    Parameters
    ----------
    address, run, mode
        As for ``server.main``. The server outlives this process.
    environment
        Variables that are added to the environment of the server.

    Raises
    ------
    SharedProcessError
        If the server does not open its socket; the message ends with the last line of its log.
    """
    with suppress(FileNotFoundError, ConnectionRefusedError):
        return connect(address)
    with address.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with suppress(FileNotFoundError, ConnectionRefusedError):
            return connect(address)
        return _start(address, run, mode, environment or {})


def _start(
    address: Path, run: str, mode: str, environment: Mapping[str, str]
) -> tuple[socket.socket, int]:
    address.unlink(missing_ok=True)
    _remove_files_of_ended_runs(address.parent)
    code = (
        f"import sys; sys.path.append({str(Path(__file__).resolve().parents[3])!r})\n"
        "from lesionflow.workflow.processes.server import main; main(*sys.argv[1:])"
    )
    with address.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen(
            # -P: a module in the user's working directory must not replace one of lesionflow
            [sys.executable, "-P", "-c", code, str(address), run, mode],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # so that a signal to a job does not stop the server
        )
    deadline = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            return connect(address)
        except (FileNotFoundError, ConnectionRefusedError):
            time.sleep(0.01)
    process.kill()
    raise SharedProcessError(f"no server could be started{log_tail(address)}")


def _remove_files_of_ended_runs(directory: Path) -> None:
    """Remove the files of servers whose runs have ended; nothing else, whatever it is."""
    for path in directory.iterdir():
        if match := re.fullmatch(
            r"(\d+)-([0-9a-f]{8})-[0-9a-f]{8}[-\d]*\.(sock|lock|log|pid)", path.name
        ):
            with suppress(OSError):  # another job may remove it as well, and it may be a folder
                if is_leftover(path, match[2], int(match[1])):
                    path.unlink()


def stop(pid: int, address: Path) -> None:
    """Kill the process ``pid`` if it is a server that was started for ``address``."""
    address.unlink(missing_ok=True)  # first, so that no job connects while it ends
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        if str(address) in process.cmdline():
            process.kill()


def log_tail(address: Path) -> str:
    """The last line in the log of the server at ``address``, as the end of an error message."""
    log = address.with_suffix(".log")
    lines = log.read_text(errors="replace").split("\n") if log.is_file() else []
    lines = [line.strip() for line in lines if line.strip()]
    return f": {lines[-1][:300]}" if lines else ""


def is_alive(run: str) -> bool:
    """Whether the Snakemake process of a run is still running."""
    try:
        os.kill(int(run), 0)
    except (ProcessLookupError, PermissionError):  # or the id is now that of another user's process
        return False
    return True


def shut_down(address: Path) -> None:
    """End this process, the server at ``address``, without waiting for threads of a framework."""
    for suffix in (".sock", ".log", ".pid"):
        address.with_suffix(suffix).unlink(missing_ok=True)
    remove_process_folder()
    os._exit(0)
