"""Print the main columns of a cohort table and the paths of the results: ``show_results.py RESULTS``."""

import sys
from pathlib import Path

import pandas as pd

COLUMNS = (
    *("scan", "status", "cmb_count", "cmb_volume_mm3", "brain_volume_ml"),
    *("backend", "reason"),
)


def main(results: Path) -> None:
    """Print the main columns of cohort.csv and the paths of the results."""
    cohort = pd.read_csv(results / "cohort.csv", dtype=str, keep_default_na=False)
    table = cohort[[name for name in COLUMNS if name in cohort.columns]].copy()
    table["reason"] = table["reason"].str.slice(0, 60)
    print(table.to_string(index=False))
    print()
    for name in ("cohort.csv", "lesions.csv", "report.html"):
        print((results / name).resolve())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
