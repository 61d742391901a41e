"""The summary that ends a run: statuses of the scans, what is not ok, and where the results are."""

import time
from enum import Enum, auto
from typing import Any

from lesionflow.base import layout
from lesionflow.base.time_left import in_words
from lesionflow.results.scan_status import States, scan_states
from lesionflow.workflow import rerun_reasons
from lesionflow.workflow.failed_run import unfinished_steps
from lesionflow.workflow.rerun_reasons import NeededJob
from lesionflow.workflow.terminal_text import plural, printable, problem_lines, status_counts

AGAIN = (
    "Run the same command again to compute what is missing, or exclude a scan to finish without it."
)


class Ending(Enum):
    """How a call of Snakemake ends."""

    REFUSED = auto()  # before its first job
    NOTHING_TO_DO = auto()
    FINISHED = auto()
    FAILED = auto()  # or interrupted


def summary(run: Any, ending: Ending, began: float) -> list[str]:
    """What a run has done, or why it has done nothing.

    Parameters
    ----------
    run
        The run (``run.Run``).
    ending
        How it ends.
    began
        When Snakemake began, of ``time.monotonic``.
    """
    plan = getattr(run, "plan", None)
    if ending is Ending.REFUSED or plan is None or plan.error:
        return _refused()
    took = in_words(time.monotonic() - began)
    failed = ending is Ending.FAILED
    first = {
        Ending.NOTHING_TO_DO: "Nothing to be done: all results are up to date.",
        Ending.FINISHED: f"Finished in {took}.",
        Ending.FAILED: f"The run failed after {took}. {AGAIN}",
    }[ending]
    if not run.has_cohort() or not (run.states or run.jobs() & {"aggregate", "evaluate"}):
        return [first, *_log_file(run)]
    models, states = list(run.models), _states(run, failed)
    problems = problem_lines(states, models, str(layout.path(layout.COHORT)))
    counts = status_counts(states, models)
    return [first, *counts, *_indented(problems), *_results_files(), *_log_file(run)]


def _refused() -> list[str]:
    files = _results_files()
    earlier = "; tables and report are those of an earlier run" if files else ""
    return [f"Nothing was computed{earlier}.", *files]


def dry_run_summary(run: Any, ending: Ending, needed: list[NeededJob]) -> list[str]:
    """What a run would compute and why, and which scans it would leave out."""
    plan = getattr(run, "plan", None)
    if ending in (Ending.REFUSED, Ending.FAILED) or plan is None or plan.error:
        return ["A run would stop before its first job."]
    if not run.has_cohort():
        return []
    models, scans = list(run.models), [record["scan"] for record in plan.records]
    problems = {
        (record["scan"], model): (state[0], state[1])
        for record in plan.records
        for model, state in record["problems"].items()
    }
    excluded = []
    if problems:
        count = plural(len({scan for scan, _ in problems}), "scan")
        excluded = [f"{count} left out:", *_indented(problem_lines(problems, models, "the tables"))]
    if not needed:
        return ["A run would compute nothing: all results are up to date.", *excluded]
    new = rerun_reasons.new_scans(plan.records, models)
    would = rerun_reasons.dry_run_lines(needed, scans, models, new)
    if run.computes_no_scan() and any(job.scan for job in needed):
        first = (
            "A run would stop before its first job: this target computes no scan, but it would need"
        )
        return [first, *_indented(would), *excluded]
    return ["A run would compute", *_indented(would), *excluded]


def left_out(run: Any) -> list[tuple[str, str, str]]:
    """Scans that the plan leaves out under every model, with status and reason of the first."""
    models = set(run.models)
    return [
        (record["scan"], *next(iter(record["problems"].values())))
        for record in run.plan.records
        if models and models <= set(record["problems"])
    ]


def _results_files() -> list[str]:
    """The tables and the reports that exist."""
    names = (
        ("Tables", (layout.COHORT, layout.LESIONS, layout.EVALUATION)),
        ("Report", (layout.REPORT, layout.EVALUATION_PAGE)),
    )
    lines = []
    for title, patterns in names:
        paths = [path for pattern in patterns if (path := layout.path(pattern)).is_file()]
        if paths:
            folder = printable(str(paths[0].parent.absolute()))
            lines.append(f"{title}: {folder}/{', '.join(path.name for path in paths)}")
    return lines


def _states(run: Any, failed: bool) -> States:
    """Status and reason by scan and model: those of the tables of a failed run, else from the files."""
    if run.states is not None:
        return run.states  # type: ignore[no-any-return]
    unfinished = unfinished_steps(run.workflow.dag, run.steps) if failed else {}
    logs = layout.FOLDERS.logs if unfinished else None
    return scan_states(run.plan.records, run.models, layout.FOLDERS.results, logs, unfinished)


def _log_file(run: Any) -> list[str]:
    files = [str(path) for path in run.workflow.logger_manager.get_logfile()]
    return [f"Log of all jobs: {printable(', '.join(files))}"] if files else []


def _indented(lines: list[str]) -> list[str]:
    return [f"  {line}" for line in lines]
