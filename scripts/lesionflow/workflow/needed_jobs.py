"""The jobs of a run and their reasons, read from Snakemake's graph."""

from typing import Any

from lesionflow.workflow import rerun_reasons
from lesionflow.workflow.rerun_reasons import NeededJob
from lesionflow.workflow.run_progress import Job


def described(job: Any, step: str) -> Job:
    """What a job of a step is for, from its wildcards."""
    wildcards = job.wildcards_dict
    return Job(
        step,
        wildcards.get("scan", ""),
        wildcards.get("model", ""),
        str(wildcards.get("fold", "")),
    )


def needed_job(job: Any, step: str, dag: Any, contents: Any, kinds: dict[str, str]) -> NeededJob:
    """A job of the graph with its own reasons in words.

    Parameters
    ----------
    job, dag
        Snakemake's job and graph.
    step
        The step of the job.
    contents
        See ``rerun_by_content.Contents``; None if there are none.
    kinds
        From ``kinds_of_files``.
    """
    wildcards = job.wildcards_dict
    scan, model = wildcards.get("scan", ""), wildcards.get("model", "")
    return NeededJob(step, scan, model, tuple(_reasons(job, step, dag, contents, kinds)))


def _reasons(job: Any, step: str, dag: Any, contents: Any, kinds: dict[str, str]) -> list[str]:
    reason, words = dag.reason(job), []
    if reason.forced:
        return ["asked for on the command line"]
    if reason.params_changed:
        persistence = dag.workflow.persistence
        current = dict(job.params.items())
        texts = {name: persistence._serialize_param(value) for name, value in current.items()}
        changed = {k: text for k, text in texts.items() if text in reason.params_changed.only_new}
        words += rerun_reasons.changed_settings(
            step, current, changed, reason.params_changed.only_old
        )
    made_again = contents.made_again if contents else {}
    if any(str(file) in made_again for file in job.output):
        words.append(rerun_reasons.LOST)
    elif reason.input_changed and contents:
        record = dag.workflow.persistence.metadata(job.output[0])
        paths = [str(file) for file in job.input]
        old = (record and record.input) or []
        words += rerun_reasons.changed_inputs(old, contents.of_inputs(job.input), paths, kinds)
    elif any(not _is_temporary(file) for file in reason.missing_output):
        words.append(rerun_reasons.LOST)
    if reason.incomplete_output:
        words.append("the last run was interrupted")
    if reason.software_stack_changed:
        words.append("another software environment")
    return words


def _is_temporary(file: Any) -> bool:
    return "temp" in getattr(file, "flags", {})


def kinds_of_files(records: list[dict[str, Any]]) -> dict[str, str]:
    """Kind of each file of the cohort by its path, in words: a channel is the scan's ``file``."""
    names = {"truth": "reference segmentation", "mask": "mask", "regions": "regions image"}
    return {
        path: names.get(kind, "file")
        for record in records
        for kind, path in record["files"].items()
    }
