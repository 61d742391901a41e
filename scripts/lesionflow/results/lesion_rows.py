"""A scan's own small table, read without pandas, whose start takes longer than most steps."""

import csv
from pathlib import Path
from typing import Any

WHOLE = ("lesion", "i", "j", "k")
REAL = ("volume_mm3", "max_probability")


def read_lesions(path: str | Path) -> list[dict[str, Any]]:
    """The lesions of a scan's table in its order: numbers as numbers, ``kept`` as a truth value, text else."""
    with Path(path).open(encoding="utf-8", newline="") as file:
        rows: list[dict[str, Any]] = list(csv.DictReader(file, delimiter="\t"))
    for row in rows:
        row |= {name: int(row[name]) for name in WHOLE}
        row |= {name: float(row[name]) for name in REAL}
        row["kept"] = row["kept"] == "true"
    return rows
