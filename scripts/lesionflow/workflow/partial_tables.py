"""Tables of a failed run: every scan with its status, the step that failed and the reason."""

from collections.abc import Iterable, Mapping
from typing import Any

from lesionflow.base import layout
from lesionflow.cohort.plan import Record


def write(
    targets: Iterable[str], scans: list[Record], models: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Write the partial table of a failed run: of the evaluation if it was the only target, else of the cohort.

    Parameters
    ----------
    targets
        The targets of the Snakemake command line.
    scans
        The plan.
    models
        Summary of each model by name (``columns.model_summary``).

    Returns
    -------
    list of str
        Messages for the user, one line each: the scans that failed, and what to do.
    """
    # imports pandas, which only a failed run needs
    from lesionflow.results.cohort_tables import cohort_table
    from lesionflow.results.tables_io import write_table

    names = [str(target) for target in targets]
    if names and all("evaluat" in name for name in names):
        from lesionflow.evaluation.scan_metrics import evaluation_tables

        path = layout.path(layout.PARTIAL_EVALUATION)
        table = evaluation_tables(scans, models, layout.RESULTS, layout.LOGS)[0]
    else:
        path = layout.path(layout.PARTIAL_COHORT)
        table = cohort_table(scans, models, layout.RESULTS, layout.LOGS)
    write_table(path, table)
    failed = table[table.status.str.startswith("failed")]
    failures = failed.drop_duplicates(["scan", "status"])
    return [
        *(f"{row.scan}: {row.status}: {row.reason}" for row in failures.itertuples()),
        f"{failed.scan.nunique()} of {table.scan.nunique()} scans failed; {path} has every scan with its status. "
        "Run the same command again to compute what is missing, or exclude a scan to finish without it.",
    ]


def remove() -> None:
    """Remove the partial tables, which a run that succeeded has replaced with complete ones."""
    for pattern in (layout.PARTIAL_COHORT, layout.PARTIAL_EVALUATION):
        layout.path(pattern).unlink(missing_ok=True)
