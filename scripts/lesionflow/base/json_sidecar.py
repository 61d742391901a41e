"""JSON sidecars: small files beside an image with the measurements of a step."""

import json
from pathlib import Path
from typing import Any

from lesionflow.base.atomic_write import write_atomically
from lesionflow.base.errors import DamagedFileError


def write(path: str | Path, values: dict[str, Any]) -> None:
    """Write values as JSON, with the keys in their order; NaN raises ValueError."""
    with write_atomically(path) as partial:
        partial.write_text(json.dumps(values, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def read(path: str | Path) -> dict[str, Any]:
    """Read a file written by ``write``.

    Raises
    ------
    DamagedFileError
        If the file is empty, cut off or overwritten.
    FileNotFoundError
        If there is no such file.
    """
    content = Path(path).read_bytes()
    try:
        return json.loads(content.decode())
    except ValueError as error:
        found = str(error) if content else "it is empty"
        raise DamagedFileError(path, "a JSON file", found) from error
