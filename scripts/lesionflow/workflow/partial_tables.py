"""What a run that did not come to its end leaves behind: a row for every scan, with the step that failed and why."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lesionflow.cohort.plan import Record

RESULTS, LOGS = Path("results"), Path("logs")
COHORT, EVALUATION = RESULTS / "cohort.partial.csv", RESULTS / "evaluation.partial.csv"


def write(
    targets: Iterable[str], scans: list[Record], models: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Write the table of a failed run, cohort's or evaluation's, and return what the user is told.

    Parameters
    ----------
    targets
        What Snakemake was asked for.
    scans
        The plan.
    models
        What the tables need to know of each model.
    """
    from lesionflow.results.cohort_tables import cohort_table  # pandas: only where a run has failed
    from lesionflow.results.tables_io import write_table  # pandas: only where a run has failed

    asked = list(targets)
    if asked and all("evaluat" in str(target) for target in asked):
        from lesionflow.evaluation.scan_metrics import gathered

        path, table = EVALUATION, gathered(scans, models, RESULTS, LOGS)[0]
    else:
        path, table = COHORT, cohort_table(scans, models, RESULTS, LOGS)
    write_table(path, table)
    failed = table[table.status.str.startswith("failed")]
    each = failed.drop_duplicates(["scan", "status"])
    return [
        *(f"{row.scan}: {row.status}: {row.reason}" for row in each.itertuples()),
        f"{failed.scan.nunique()} of {table.scan.nunique()} scans failed; {path} has a row for every scan. "
        "The same command takes up what is missing; exclude a scan to go on without it.",
    ]


def forget() -> None:
    """Remove them: what a whole run leaves behind is cohort.csv, and evaluation.csv where it was asked for."""
    for path in (COHORT, EVALUATION):
        path.unlink(missing_ok=True)
