"""Whether a file holds all of its data, without reading more of it than is needed."""

import os
from pathlib import Path
from typing import Any

from isal import igzip
from isal.igzip_lib import IsalError

from lesionflow.base.errors import ScanError

CHUNK = 1 << 20  # bytes decompressed at once: they fit into the processor's cache
GZIP_ERRORS: Any = (OSError, EOFError, ValueError, IsalError)


def check_length(path: Path, expected: int) -> None:
    """Check that a file, decompressed if it is a gzip file, has at least ``expected`` bytes.

    A gzip file ends with the length of its content; only if that differs is the file read.

    Raises
    ------
    ScanError
        If it has fewer bytes, or is damaged.
    """
    with path.open("rb") as file:
        length = file.seek(0, os.SEEK_END)
        file.seek(max(length - 4, 0))
        tail = file.read()
    if path.name.endswith((".gz", ".mgz")):
        if int.from_bytes(tail, "little") == expected % 2**32:
            return
        length = uncompressed_size(path)  # several gzip members, more data, or a damaged file
    if length < expected:
        raise ScanError(f"{path} is truncated: {length} of {expected} bytes")


def uncompressed_size(path: Path) -> int:
    """Bytes in a gzip file, by reading all of it; checksums are verified.

    Raises
    ------
    ScanError
        If the file is truncated or damaged.
    """
    total = 0
    try:
        with igzip.open(path) as file:
            while chunk := file.read(CHUNK):
                total += len(chunk)
    except GZIP_ERRORS as error:
        raise ScanError(f"{path} is truncated or damaged: {error}") from error
    return total
