"""Print the table of a finished cohort, and where its results are."""

import sys
from pathlib import Path

import pandas as pd


def main(results: Path) -> None:
    """Print what a newcomer looks at first."""
    cohort = pd.read_csv(results / "cohort.csv", dtype=str, keep_default_na=False)
    wanted = [
        "scan",
        "status",
        "cmb_count",
        "cmb_volume_mm3",
        "brain_volume_ml",
        "backend",
        "reason",
    ]
    shown = cohort[[name for name in wanted if name in cohort.columns]].copy()
    shown["reason"] = shown["reason"].str.slice(0, 60)
    print(shown.to_string(index=False))
    print()
    for name in ("cohort.csv", "lesions.csv", "report.html"):
        print((results / name).resolve())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
