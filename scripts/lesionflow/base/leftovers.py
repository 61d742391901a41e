"""Files that killed processes leave behind, and a folder for temporary files that no process leaves behind."""

import atexit
import hashlib
import os
import re
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

OLD_S = 7 * 24 * 3600  # age at which a file of another host is a leftover
_lock = threading.Lock()
_folders: dict[int, Path] = {}  # temporary folder by process id: a fork has its own


@cache
def host() -> str:
    """Eight digits for the processes that share process ids: those of a host, or of a container."""
    namespace = ""
    with suppress(OSError):
        namespace = str(Path("/proc/self/ns/pid").readlink())
    return hashlib.sha256(f"{socket.gethostname()} {namespace}".encode()).hexdigest()[:8]


def is_leftover(path: Path, writer_host: str, pid: int) -> bool:
    """Whether the writer of a file has ended: on this host by its process id, on others by the age of the file.

    Raises
    ------
    OSError
        If there is no such file.
    """
    age_s = time.time() - path.lstat().st_mtime
    return not _runs(pid) if writer_host == host() else age_s > OLD_S


def process_folder() -> Path:
    """A folder in the folder for temporary files that is removed with this process.

    Only the user can open it. If the process is killed, the next one that asks for such a folder removes it.
    """
    with _lock:
        folder = _folders.get(os.getpid())
        if folder is None or not folder.is_dir():  # removed, as by a daily clean-up of /tmp
            folder = _make_folder(Path(tempfile.gettempdir()), "lesionflow")
            if os.getpid() not in _folders:
                atexit.register(remove_process_folder)
            _folders[os.getpid()] = folder
        return folder


def remove_process_folder() -> None:
    """Remove the folder of this process, if it has one: call it before ``os._exit``, which skips other clean-ups."""
    if folder := _folders.pop(os.getpid(), None):
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def temporary_folder(parent: Path, purpose: str) -> Iterator[Path]:
    """A folder in ``parent`` for the time of a block, such as one on the disk of its final place.

    Those of this purpose that killed processes have left are removed.
    """
    folder = _make_folder(parent, f".{purpose}")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _make_folder(parent: Path, purpose: str) -> Path:
    _remove_leftovers(parent, purpose)
    return Path(tempfile.mkdtemp(prefix=f"{purpose}-{host()}-{os.getpid()}-", dir=parent))


def _remove_leftovers(parent: Path, purpose: str) -> None:
    """Remove the folders of this user's processes that were killed."""
    pattern = re.compile(rf"{re.escape(purpose)}-([0-9a-f]{{8}})-(\d+)-\w+")
    with os.scandir(parent) as entries:
        found = [match for entry in entries if (match := pattern.fullmatch(entry.name))]
    for match in found:
        folder = parent / match[0]
        with suppress(OSError):  # another process may remove it as well
            mine = folder.lstat().st_uid == os.getuid() and not folder.is_symlink()
            if mine and is_leftover(folder, match[1], int(match[2])):
                shutil.rmtree(folder, ignore_errors=True)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # of another user
        pass
    return True
