"""What a run would compute and why, in terms of scans: the text that ends a dry run."""

import ast
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from lesionflow.base import layout
from lesionflow.results.scan_status import FINAL_RESULTS, STEPS, scan_wildcards
from lesionflow.workflow.run_progress import IMPORT
from lesionflow.workflow.terminal_text import names_in_short, plural, printable

NEW = "no results yet"
OTHER = "results of an earlier step are made again"
PARAMS = {  # that are no settings
    "code": "another version of lesionflow",
    "plan_digest": "the list of scans, or the status of one, changed",
}
LOST = "results are missing, or are not as they were written"
MAX_REASONS = 3  # of one scan
MAX_VALUE = 20  # characters of a setting that is shown
TABLES = {"aggregate": "tables", "report": "report", "evaluate": "evaluation"}


class NeededJob(NamedTuple):
    """A job that a run would do, and its own reasons: none if it only follows from other jobs."""

    rule: str
    scan: str
    model: str
    reasons: tuple[str, ...]


def dry_run_lines(
    jobs: Sequence[NeededJob],
    scans: Collection[str],
    models: Sequence[str],
    new: Collection[tuple[str, str]],
) -> list[str]:
    """The scans that a run would compute, by reason.

    Parameters
    ----------
    jobs
        The jobs of the run.
    scans
        All scans of the cohort.
    models
        Names of the models.
    new
        Scans, each with its model, that have no results yet.
    """
    of_scan: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    order = {rule: number for number, rule in enumerate(STEPS)}
    for job in sorted(jobs, key=lambda job: order.get(job.rule, len(order))):
        if job.scan:
            of_scan[job.scan, job.model] |= dict.fromkeys(job.reasons)
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for pair in ((scan, model) for model in models for scan in scans):
        if pair in of_scan:
            reasons = [NEW] if pair in new else list(of_scan[pair])[:MAX_REASONS] or [OTHER]
            groups[" and ".join(reasons), pair[1]].append(pair[0])
    lines = []
    for (why, model), names in groups.items():
        of_model = f" under {printable(model)}" if len(models) > 1 else ""
        lines.append(
            f"{len(names):,} of {plural(len(scans), 'scan')}{of_model}: "
            f"{printable(why)}: {printable(names_in_short(names))}"
        )
    imports = Counter(job.model for job in jobs if job.rule == IMPORT)
    for model, count in sorted(imports.items()):
        lines.append(f"{plural(count, 'fold')} of {printable(model)} to import")
    rules = {job.rule for job in jobs}
    made = [name for rule, name in TABLES.items() if rule in rules]
    if made and groups:
        lines.append(f"and the {' and the '.join(made)}")
    elif made:
        own = dict.fromkeys(text for job in jobs if job.rule in TABLES for text in job.reasons)
        ending = f": {printable('; '.join(list(own)[:MAX_REASONS]))}" if own else ""
        lines.append(f"{' and '.join(made)} only{ending}")
    return lines


def new_scans(records: Iterable[Mapping[str, Any]], models: Iterable[str]) -> set[tuple[str, str]]:
    """Scans, each with its model, of which none of the final results exists."""
    return {
        (record["scan"], model)
        for record in records
        for model in models
        if not any(
            layout.path(pattern, **scan_wildcards(record, model)).is_file()
            for pattern in FINAL_RESULTS
        )
    }


def changed_settings(
    rule: str, current: Mapping[str, Any], texts: Mapping[str, str], old: Collection[str]
) -> list[str]:
    """The settings of a job that have changed since its last run.

    Parameters
    ----------
    rule
        Name of the rule.
    current
        Its params by name.
    texts
        Their texts in Snakemake's records; of those that have changed.
    old
        The texts of the last run that are no texts of params any more.

    Returns
    -------
    list of str
        ``threshold changed from 0.5 to 0.2``; or that lesionflow is another version.
    """
    words: dict[str, None] = {}
    left = [value for text in old if isinstance(value := _value(text), dict)]
    scalars = [text for text in old if not isinstance(_value(text), dict)]
    for name in texts:
        value = current[name]
        if name in PARAMS:
            words[PARAMS[name]] = None
        elif isinstance(value, dict):
            before = max(left, key=lambda earlier: len(earlier.keys() & value.keys()), default={})
            changed = _changed_keys(before, value)
            words |= dict.fromkeys(changed or [f"{name} changed"])
        elif len(texts) == 1 and len(scalars) == 1:
            words[_change(name, _value(scalars[0]), value)] = None
        else:
            words[f"{name} changed"] = None
    return list(words) or [f"settings of {rule} changed"]


def changed_inputs(
    old: Sequence[str], new: Sequence[str], paths: Sequence[str], kinds: Mapping[str, str]
) -> list[str]:
    """What of the inputs of a job has changed since its last run.

    Parameters
    ----------
    old, new
        What identifies each input in Snakemake's records (``rerun_by_content.Contents.of_input``), then and now.
    paths
        The inputs now.
    kinds
        Kind of each file of the cohort by its path: ``file`` for a channel, ``mask``, ``regions``, ...
    """
    words: dict[str, None] = {}
    for identity, path in zip(new, paths, strict=True):
        if identity in old:
            continue
        if path in kinds:
            words[f"its {kinds[path]} changed"] = None
        elif identity.startswith("models_dir: "):
            words["other weights of the model"] = None
        else:
            words["other input files"] = None
    return list(words) or ["other input files"]


def _changed_keys(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The entries of nested sections that differ."""
    words = []
    for key in dict.fromkeys([*before, *after]):
        old, new = before.get(key), after.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            words += _changed_keys(old, new)
        elif old != new:
            words.append(_change(key, old, new))
    return words


def _change(name: Any, old: Any, new: Any) -> str:
    """A changed setting, with its values if they are short."""
    shown = [str(value) for value in (old, new)]
    simple = all(not isinstance(value, dict | list | tuple) for value in (old, new))
    if simple and old is not None and max(map(len, shown)) <= MAX_VALUE:
        return f"{name} changed from {shown[0]} to {shown[1]}"
    return f"{name} changed"


def _value(text: str) -> Any:
    """The value of a param from its text in Snakemake's records; the text itself if it is none of Python's literals."""
    with suppress(ValueError, SyntaxError, MemoryError, RecursionError):
        return ast.literal_eval(text)
    return text
