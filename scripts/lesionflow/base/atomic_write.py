"""Files that appear under their final name only when they are whole."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Path to write to, renamed to ``path`` once the block ends without an error.

    The temporary name lies in the same folder (so that the rename is atomic) and ends
    like the final one (so that writers that go by the suffix do the same). After an error
    or a kill nothing stands under the final name.
    """
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    partial = final.with_name(f".{os.getpid()}-{final.name}")
    try:
        yield partial
        partial.replace(final)
    finally:
        partial.unlink(missing_ok=True)
