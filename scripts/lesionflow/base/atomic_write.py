"""Atomic writes: a file appears complete under its final name, or not at all."""

import errno
import hashlib
import itertools
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lesionflow.base.leftovers import host, is_leftover

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # a write that fails for lack of space
NO_FSYNC = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)  # of file systems without it
MAX_NAME = 255  # bytes of a file name
PREFIX = r"\.([0-9a-f]{8})-(\d+)-\d+-"  # of a temporary name: host, process id, count
PREFIX_LENGTH = 40  # at most
_count = itertools.count()  # tells the threads of this process apart


@contextmanager
def write_atomically(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Path to write to, renamed to ``path`` once the block ends without an error.

    The temporary name lies in the same folder (so that the rename is atomic) and ends
    like the final one (so that writers that choose a format by the suffix choose the same). After an error
    or a kill there is no file under the final name. The data are on the disk before the rename. What killed
    writers of the same file left behind is removed.

    Raises
    ------
    OSError
        If the file cannot be written. Its ``filename`` is ``path`` if there is no space left.
    """
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    # without the prefix that the name has if a block of this function writes to its path by this function
    name = _shortened(re.sub(rf"^{PREFIX}", "", final.name))
    _remove_leftovers(final.parent, name)
    partial = final.with_name(f".{host()}-{os.getpid()}-{next(_count)}-{name}")
    try:
        yield partial
        _sync(partial)
        partial.replace(final)
    except OSError as error:
        if error.errno in NO_SPACE and error.filename in (None, partial, str(partial)):
            error.filename = str(final)
        raise
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text atomically, as UTF-8."""
    with write_atomically(path) as partial:
        partial.write_text(text, encoding="utf-8")


def _shortened(name: str) -> str:
    """A name short enough for a prefix: a digest and the end of the name in place of a long one."""
    if len(os.fsencode(name)) <= MAX_NAME - PREFIX_LENGTH:
        return name
    return f"{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}-{name[-30:]}"


def _remove_leftovers(folder: Path, name: str) -> None:
    """Remove the temporary files of ``name`` whose writers have ended."""
    pattern = re.compile(PREFIX + re.escape(name))
    with os.scandir(folder) as entries:  # Path.iterdir would make an object for each file
        found = [match for entry in entries if (match := pattern.fullmatch(entry.name))]
    for match in found:
        leftover = folder / match[0]
        # another writer may remove it as well, and it may be a folder, or belong to another user
        with suppress(OSError):
            if is_leftover(leftover, match[1], int(match[2])):
                leftover.unlink()


def _sync(path: Path) -> None:
    """Wait until the data of a file are on the disk, so that neither a full disk nor a power failure shortens it.

    ``LESIONFLOW_FSYNC=0`` in the environment leaves it to the system, for disks on which it takes long.
    """
    if os.environ.get("LESIONFLOW_FSYNC") == "0":
        return
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno not in NO_FSYNC:
            raise
    finally:
        os.close(number)
