"""Systems other than Linux: its own calls and files are taken away from Python, as on macOS.

A folder on ``PYTHONPATH`` with this as ``sitecustomize.py`` does so in every process of a test.
"""

import os
import select
import shutil
import signal
import socket
import sys
from pathlib import Path

# what macOS lacks of these modules
LINUX_ONLY = {
    os: (
        *("sched_getaffinity", "sched_setaffinity", "memfd_create", "pidfd_open", "eventfd"),
        *("posix_fallocate", "posix_fadvise", "getrandom", "O_TMPFILE", "setresuid", "splice"),
        *("copy_file_range", "getxattr", "setxattr", "listxattr"),
    ),
    socket: ("SO_PEERCRED", "SO_PASSCRED", "SOCK_CLOEXEC", "SOCK_NONBLOCK"),
    signal: ("pidfd_send_signal", "SIGPWR", "SIGSTKFLT", "sigtimedwait", "sigwaitinfo"),
    select: ("epoll",),
}
FOLDERS = ("/proc", "/sys", "/dev/shm")


def take_away():
    """Remove the calls, and refuse to open the files, except for psutil, which has other ones on macOS."""
    for module, names in LINUX_ONLY.items():
        for name in names:
            if hasattr(module, name):
                delattr(module, name)
    stat = os.stat

    def refuse(event, args):
        if event in ("open", "os.listdir", "os.scandir") and _is_linux_only(args[0]):
            raise FileNotFoundError(2, "taken away by a test", args[0])

    def checked_stat(path, *args, **options):
        if _is_linux_only(path):
            raise FileNotFoundError(2, "taken away by a test", path)
        return stat(path, *args, **options)

    os.stat = checked_stat
    sys.addaudithook(refuse)


def _is_linux_only(path):
    if not isinstance(path, str | os.PathLike) or not str(path).startswith(FOLDERS):
        return False
    frame = sys._getframe(2)
    while frame is not None:
        if "/psutil/" in frame.f_code.co_filename:
            return False
        frame = frame.f_back
    return True


def without_linux(folder, monkeypatch):
    """Let every Python process that this one starts be without what only Linux has."""
    folder.mkdir()
    shutil.copy(__file__, folder / "sitecustomize.py")
    folders = [str(folder), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, folders)))


if Path(__file__).stem == "sitecustomize":
    take_away()
