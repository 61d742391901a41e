"""JSON sidecars: what a step has measured of a scan, in a small file beside its image."""

import json
from pathlib import Path
from typing import Any

from lesionflow.base.atomic_write import write_atomically


def write(path: str | Path, values: dict[str, Any]) -> None:
    """Write values as JSON, keys in their order; NaN is an error."""
    with write_atomically(path) as partial:
        partial.write_text(json.dumps(values, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def read(path: str | Path) -> dict[str, Any]:
    """The values of a file that ``write`` has written."""
    return json.loads(Path(path).read_text(encoding="utf-8"))
