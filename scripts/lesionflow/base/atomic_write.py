"""Atomic writes: a file appears complete under its final name, or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def write_atomically(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Path to write to, renamed to ``path`` once the block ends without an error.

    The temporary name lies in the same folder (so that the rename is atomic) and ends
    like the final one (so that writers that choose a format by the suffix choose the same). After an error
    or a kill there is no file under the final name.
    """
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    partial = final.with_name(f".{os.getpid()}-{final.name}")
    try:
        yield partial
        partial.replace(final)
    finally:
        partial.unlink(missing_ok=True)
