"""Digests of files, which are read again only if they may have changed."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from lesionflow.base.atomic_write import write_atomically
from lesionflow.base.digests import sha256_file

State = tuple[int, int, int, int]  # size, mtime and ctime in ns, inode


def file_state(path: str | Path) -> State | None:
    """State of a file, which differs after each change of its content; None if there is no such file.

    An editor can set the time of modification (mtime) back, but not the time of the last change (ctime).
    """
    try:
        stat = Path(path).stat()
    except (OSError, ValueError):  # ValueError: a null character in the path
        return None
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino


class FileDigests:
    """SHA-256 of files by path, kept in a file between runs for as long as the state of a file stays the same.

    Parameters
    ----------
    store
        A file of JSON lines, which is appended to. It is a cache: lines that cannot be read are ignored, and without
        the file every digest is computed again.
    temporary
        Start of the paths whose digests are not stored.
    report
        Called with the path and the size in bytes of each file before it is hashed.
    """

    def __init__(
        self,
        store: Path,
        temporary: str = "\0",
        report: Callable[[Path, int], None] = lambda path, size: None,
    ):
        self.store, self.temporary, self.report = store, temporary, report
        self.digests: dict[str, tuple[State, str]] = {}
        lines: list[bytes] = []
        with suppress(OSError):
            lines = store.read_bytes().splitlines()
        for line in lines:
            with suppress(ValueError, TypeError, KeyError):
                entry = json.loads(line)
                size, mtime, ctime, inode = entry["state"]
                self.digests[entry["path"]] = (size, mtime, ctime, inode), entry["sha256"]
        if len(lines) > 1000 + 2 * len(self.digests):
            self._write_anew()

    def known(self, path: str | Path) -> str | None:
        """The digest of a file if it need not be read."""
        state, digest = self.digests.get(str(path), (None, None))
        return digest if state and state == file_state(path) else None

    def sha256(self, path: str | Path) -> str:
        """SHA-256 of a file, in hexadecimal.

        Raises
        ------
        OSError
            If the file cannot be read.
        """
        return self._digest(str(path), Path(path), lambda: sha256_file(path))

    def of_part(self, path: Path, part: str, compute: Callable[[], str]) -> str:
        """Digest of a part of a file, such as a member of an archive, computed by ``compute``."""
        return self._digest(f"{path}\0{part}", path, compute)

    def _digest(self, key: str, path: Path, compute: Callable[[], str]) -> str:
        state = file_state(path)
        stored, digest = self.digests.get(key, (None, ""))
        if stored is None or stored != state:
            self.report(path, state[0] if state else 0)
            digest = compute()
            if state is not None and state == file_state(path):  # it did not change meanwhile
                self.digests[key] = state, digest
                self._append(key, state, digest)
        return digest

    def _append(self, key: str, state: State, digest: str) -> None:
        if key.startswith(self.temporary):
            return
        with suppress(OSError):  # without the entry, the file is hashed again
            self.store.parent.mkdir(parents=True, exist_ok=True)
            with self.store.open("ab") as file:
                file.write(_line(key, state, digest))

    def _write_anew(self) -> None:
        """Leave out the entries that later ones have replaced."""
        with suppress(OSError), write_atomically(self.store) as partial:
            lines = [_line(key, *entry) for key, entry in self.digests.items()]
            partial.write_bytes(b"".join(lines))


def _line(key: str, state: State, digest: str) -> bytes:
    entry = {"path": key, "state": state, "sha256": digest}
    return json.dumps(entry).encode() + b"\n"
