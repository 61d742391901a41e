"""Texts of the terminal: the result of a scan, and the summary of a run."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TextIO

from lesionflow.results.scan_status import States

MAX_REASONS = 10  # lines of a summary with scans that are not ok
MAX_NAMES = 6  # of scans in one line
MAX_REASON = 300  # characters
MAX_LABELS = 3  # that the line of a scan names; more are structures, of which it says how many


def printable(text: str) -> str:
    """Text without characters that control a terminal: each is written as its number in hexadecimal.

    Spaces stay, and so do letters of every script; marks that change the direction of a text do not.
    """
    return "".join(
        c if c.isprintable() else ascii(c)[1:-1] for c in text.replace("\t", " ").replace("\n", " ")
    )


def plural(count: int, noun: str) -> str:
    """A number and its noun: ``1 scan``, ``1,200 scans``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def names_in_short(names: Sequence[str], limit: int = MAX_NAMES) -> str:
    """Names in one line; of many the first, and how many more there are."""
    if len(names) <= limit + 1:  # "and 1 more" is no shorter than the name
        return ", ".join(names)
    return f"{', '.join(names[:limit])} and {len(names) - limit:,} more"


def scan_result(volumes: Sequence[Mapping[str, str]]) -> str:
    """The result of a scan in a few words.

    Parameters
    ----------
    volumes
        The rows of the scan's table of volumes (``layout.SCAN_VOLUMES``), as text: ``name``, ``count`` and
        ``volume_mm3`` of each label.

    Returns
    -------
    str
        ``7 lesions, 512 mm³`` of a model with one label; with a few, the same of each by its name; with more, which are
        structures of the brain, how many have a volume.
    """
    if len(volumes) > MAX_LABELS:
        found = [row for row in volumes if float(row["volume_mm3"] or 0) > 0]
        return f"{len(found)} of {len(volumes)} structures found"
    results = []
    for row in volumes:
        count, volume = int(float(row["count"] or 0)), float(row["volume_mm3"] or 0)
        noun = "lesion" if len(volumes) == 1 else printable(row["name"])
        counted = plural(count, noun) if len(volumes) == 1 else f"{count:,} {noun}"
        results.append(f"{counted}, {volume:,.0f} mm³" if count else counted)
    return "; ".join(results)


def status_counts(states: States, models: Iterable[str]) -> list[str]:
    """How many scans have each status, one line per model: ``4 of 5 scans ok, 1 unreadable``."""
    lines = []
    several = len(list(models)) > 1
    for model in models:
        statuses = [status for (_, name), (status, _) in states.items() if name == model]
        counts = Counter(statuses)
        others = [f"{count:,} {status}" for status, count in counts.most_common() if status != "ok"]
        line = f"{counts['ok']:,} of {plural(len(statuses), 'scan')} ok"
        line = ", ".join([line, *others])
        lines.append(f"{printable(model)}: {line}" if several else line)
    return lines


def problem_lines(states: States, models: Sequence[str], table: str) -> list[str]:
    """The scans that are not ok, with status and reason; scans with the same ones share a line.

    Parameters
    ----------
    states
        Status and reason by scan and model.
    models
        Names of the models; a line names those it is about unless it is about all of them.
    table
        Where all scans are listed, for the end of a list that is too long.
    """
    of_scan: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for (scan, model), (status, reason) in states.items():
        if status != "ok":
            of_scan[scan, status, reason].append(model)
    scans: dict[tuple[str, str, tuple[str, ...]], list[str]] = defaultdict(list)
    for (scan, status, reason), its_models in of_scan.items():
        scans[status, reason, tuple(its_models)].append(scan)
    # what failed first; what the user has excluded last
    order = sorted(scans, key=lambda key: (key[0] == "excluded", not key[0].startswith("failed")))
    lines = []
    for status, reason, names in order[:MAX_REASONS]:
        listed = printable(names_in_short(scans[status, reason, names]))
        model = "" if len(names) == len(models) else f" ({printable(', '.join(names))})"
        lines.append(f"{listed}{model}: {status}{f': {shortened(reason)}' if reason else ''}")
    if len(order) > MAX_REASONS:
        left = {scan for key in order[MAX_REASONS:] for scan in scans[key]}
        lines.append(f"and {plural(len(left), 'more scan')}: see status and reason in {table}")
    return lines


def shortened(reason: str, limit: int = MAX_REASON) -> str:
    """A reason as one printable line of limited length: the end is left out, where a reason has its details."""
    text = printable(reason)
    return text if len(text) <= limit else f"{text[: limit - 3].rstrip()}..."


def width(stream: TextIO) -> int:
    """Columns of a terminal; 80 if it does not tell."""
    with suppress(OSError, ValueError):
        return os.get_terminal_size(stream.fileno()).columns or 80
    return 80
