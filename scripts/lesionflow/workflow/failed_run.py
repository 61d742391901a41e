"""Tables and page of a run that failed: every scan with its status, the step that failed and the reason."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from lesionflow.base import layout
from lesionflow.base.errors import ReviewError
from lesionflow.cohort.plan import Record
from lesionflow.results.scan_status import States, Unfinished
from lesionflow.workflow.module_use import Steps


def write_tables(
    evaluates_only: bool,
    plan: list[Record],
    models: Mapping[str, Mapping[str, Any]],
    description: Mapping[str, Any],
    unfinished: Unfinished,
) -> tuple[States, list[str]]:
    """Write the tables and the page of a failed run: those of the cohort, or of the evaluation.

    Snakemake has no record of them, so that the rules that write them in a run without a failure do so in the next one.

    Parameters
    ----------
    evaluates_only
        Whether the run was to write the evaluation, and not the tables of the cohort.
    plan
        The plan of the run.
    models
        Summary of each model by name (``columns.model_summary``).
    description
        What the run is (``run_record.describe``).
    unfinished
        From ``unfinished_steps``.

    Returns
    -------
    states
        Status and reason by scan and model, as in the tables.
    problems : list of str
        Messages for the user: why the tables are without the reviews, if they are.
    """
    problems: list[str] = []
    results, logs = layout.FOLDERS.results, layout.FOLDERS.logs
    if evaluates_only:
        from lesionflow.evaluation.evaluation_files import write_evaluation

        cards = description["models"]
        table = write_evaluation(plan, models, cards, results, logs, unfinished)
        first = table.drop_duplicates(["scan", "model"])
        states: States = {
            (str(row.scan), str(row.model)): (str(row.status), str(row.reason))
            for row in first.itertuples()
        }
    else:
        # imports pandas, which only a failed run needs
        from lesionflow.results.pages.cohort_page import write_report
        from lesionflow.results.scan_status import scan_states, scan_wildcards

        states = scan_states(plan, models, results, logs, unfinished)
        problems = _cohort_tables(plan, models, states, description["settings"]["review"])
        scans = [
            layout.path(layout.SCAN_PAGE_DATA, results, **scan_wildcards(record, model))
            for record in plan
            for model in models
            if states[record["scan"], model][0] == "ok"
        ]
        if problems:  # the tables are those of a run without reviews, and so is the page
            settings = {**description["settings"], "review": []}
            description = {**description, "settings": settings}
        has_references = any("truth" in record["files"] for record in plan)
        write_report(results, scans, description, has_references)
    return states, problems


def _cohort_tables(
    plan: list[Record],
    models: Mapping[str, Mapping[str, Any]],
    states: States,
    review_files: Sequence[str],
) -> list[str]:
    """Write the tables of the cohort; returns the reason if that was done without the reviews: they cannot be used."""
    from lesionflow.results.cohort_tables import write_cohort_tables

    try:
        write_cohort_tables(plan, models, states, layout.FOLDERS.results, review_files)
    except ReviewError as error:
        write_cohort_tables(plan, models, states, layout.FOLDERS.results)
        return [str(error)]
    return []


def unfinished_steps(dag: Any, steps_of: Steps) -> dict[tuple[str, str], set[str]]:
    """Steps by scan and model that a run had to do and has not finished, from Snakemake's graph of jobs.

    An import is a step of the scans that wait for it: those of its model or, if the card computes brain masks, those
    whose brain is still to be found.
    """
    steps: dict[tuple[str, str], set[str]] = defaultdict(set)
    imports = set()
    for job in dag.needrun_jobs() if dag else ():
        step, wildcards = steps_of[job.rule.name], job.wildcards_dict
        if step and "scan" in wildcards:
            steps[wildcards["scan"], wildcards["model"]].add(step)
        elif step == "import_fold":
            imports.add(wildcards["model"])
    of_brain_masks = imports - {model for _, model in steps}
    for (_, model), names in steps.items():
        if model in imports or (of_brain_masks and "find_brain" in names):
            names.add("import_fold")
    return dict(steps)
