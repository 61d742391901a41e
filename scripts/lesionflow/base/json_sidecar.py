"""What a step found out about a scan, in a small JSON file beside its image."""

import json
from pathlib import Path
from typing import Any

from lesionflow.base.atomic_write import whole


def write(path: str | Path, found: dict[str, Any]) -> None:
    """Write facts as JSON, keys in the order given."""
    with whole(path) as partial:
        partial.write_text(json.dumps(found, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def read(path: str | Path) -> dict[str, Any]:
    """Facts that ``write`` wrote."""
    return json.loads(Path(path).read_text(encoding="utf-8"))
