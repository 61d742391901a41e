"""What Snakemake's own report (``--report``) holds: the results that cohort.csv speaks of.

Snakemake stops if a marked file is missing, and takes the picture of an earlier run for that of a scan that has failed
since. So the graph that it reports on has only the scans whose results are in cohort.csv. Nothing runs.

Snakemake writes the params of jobs into a script element of the page, as JSON in which ``</script>`` ends the element. Cards and
scan tables, and with them reasons and paths, may come from elsewhere: here ``<`` is escaped.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

from lesionflow.base import layout
from lesionflow.base.errors import CohortError
from lesionflow.cohort.plan import Record, paths_of_runs
from lesionflow.results.scan_status import scan_wildcards

# Of pictures in a page, which contains them; a zip has them beside the page. Chromium opened a page with 200 MB of
# pictures in 5 s, and did not open one with 400 MB.
MAX_EMBEDDED_MB = 100


@dataclass(frozen=True)
class ReportContents:
    """What the report holds beside the tables of the cohort; the defaults are for a call that writes none.

    Attributes
    ----------
    pictures
        Whether the pictures are marked for it.
    evaluation
        Whether the evaluation is part of it even if it is not a target.
    """

    pictures: bool = True
    evaluation: bool = False


def plan_report(
    records: list[Record],
    models: Sequence[str],
    warn: Callable[[str], None],
    arguments: Sequence[str] | None = None,
) -> ReportContents:
    """Plan Snakemake's report, if this call writes one instead of running anything.

    Parameters
    ----------
    records
        The plan. A scan without results in cohort.csv gets a problem, for each model of which it has none.
    models
        Names of the cards.
    warn
        Called with a message if the pictures are left out.
    arguments
        Of the command line; by default those of this process.

    Raises
    ------
    CohortError
        If cohort.csv is missing, or is that of other models.
    """
    report = _report_file(sys.argv if arguments is None else arguments)
    if report is None:
        return ReportContents()
    _escape_results()
    _leave_out_unfinished(records, models)
    pictures = [
        layout.path(pattern, **scan_wildcards(record, model))
        for record in records
        for model in models
        if model not in record["problems"]
        for pattern in (layout.QC_FIGURE, layout.QC_PAGES)
    ]
    if reason := _leave_out_pictures(pictures, report):
        warn(reason)
    return ReportContents(pictures=not reason, evaluation=_has_evaluation(records, models))


def _report_file(arguments: Sequence[str]) -> Path | None:
    """The report; None if this call does something else."""
    if "--report-after-run" in arguments:
        return None
    for argument, following in zip(arguments, [*arguments[1:], "-"], strict=True):
        option, _, value = argument.partition("=")
        if option == "--report":
            given = value or following
            return Path("report.html" if given.startswith("-") else given)
    return None


def _escape_results() -> None:
    """Make Snakemake escape what it writes of the results and their jobs."""
    from snakemake.report.html_reporter import data

    render_results = data.render_results

    @wraps(render_results)
    def escaped(*args: Any) -> str:
        return str(render_results(*args)).replace("<", r"\u003c")

    data.render_results = escaped


def _leave_out_unfinished(records: list[Record], models: Sequence[str]) -> None:
    from lesionflow.results.tables_io import read_as_text  # imports pandas, which no run needs here

    path, remedy = layout.path(layout.COHORT), "run the same command without --report first"
    if not path.exists():
        raise CohortError(f"--report: {path} is missing: {remedy}")
    table = read_as_text(path).set_index("scan")
    for model in models:
        column = f"{model}_model" if len(models) > 1 else "model"
        if column not in table or not set(table[column]) <= {"", model}:
            raise CohortError(f"--report: {path} is not that of {', '.join(models)}: {remedy}")
        finished = set(table.index[table[column] == model])
        for record in records:
            if record["scan"] not in finished:
                record["problems"].setdefault(model, ["no results", f"none in {path}"])


def _leave_out_pictures(pictures: Sequence[Path], report: Path) -> str:
    """Why the report is without pictures; empty if it holds them."""
    size = sum(path.stat().st_size for path in pictures if path.exists()) / 1e6
    if report.suffix == ".zip" or size <= MAX_EMBEDDED_MB:
        return ""
    return (
        f"{report} leaves out the pictures ({len(pictures)} files, {size:.0f} MB), too much for a page: "
        f"--report {report.with_suffix('.zip')} has them"
    )


def _has_evaluation(records: Sequence[Record], models: Sequence[str]) -> bool:
    """Whether all marked files of the evaluation exist, and the scans of which it was made can be named."""
    files = (layout.EVALUATION, layout.THRESHOLDS, layout.EVALUATION_PAGE)
    usable = [record for record in records if record["truth"][0] == "ok"]
    return all(layout.path(file).exists() for file in files) and bool(
        paths_of_runs("{scan}", usable, models)
    )
