"""The scripts and styles that all pages share, beside report.html."""

from collections.abc import Iterable
from pathlib import Path

from lesionflow.base.atomic_write import write_atomically

ASSETS = Path(__file__).parent / "assets"


def copy_shared_files(files: Iterable[Path]) -> None:
    """Write the shared files; each path ends with the name of one."""
    for path in files:
        with write_atomically(path) as partial:
            partial.write_bytes((ASSETS / path.name).read_bytes())
