"""The scans of a cohort, from a directory or a scan table, by names alone."""

import csv
import fnmatch
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from lesionflow.base.errors import CohortError
from lesionflow.cohort.scan import EXTRAS, Scan, label
from lesionflow.imaging.file_types import NIFTI

NOT_SUBJECTS = {
    "derivatives",
    "sourcedata",
    "code",
    "stimuli",
    "phenotype",
    "results",
    "work",
    "logs",
    "benchmarks",
    "models",
}
ENTITY = re.compile(r"(?:^|_)(ses|run|echo|part)-([A-Za-z0-9]+)(?=_|\.|$)")
NOT_MAGNITUDE = {"phase", "real", "imag"}


def list_scans(
    cohort: Path,
    patterns: Mapping[str, list[str]],
    references: Iterable[str] = ("swi",),
    endings: tuple[str, ...] = NIFTI,
) -> list[Scan]:
    """Scans of a cohort directory or scan table, sorted by name.

    Parameters
    ----------
    cohort
        A BIDS directory, a directory of ``SUBJECT/CHANNEL/*.nii[.gz]`` folders, or a scan table.
    patterns
        File name patterns by channel (and by ``mask``, ``regions``, ``truth``).
    references
        Channels in the order of the models; the runs of the first that is there make scans: a second
        T1 does not make two scans of one SWI.
    endings
        Of the names of images in a directory.

    Raises
    ------
    CohortError
        If there is no such cohort or no scan in it, if a table is not valid, or if two scans get
        the same name.
    """
    if cohort.is_dir():
        scans = _list_directory(cohort, patterns, list(references), endings)
    elif cohort.is_file():
        scans = read_table(cohort, patterns)
    else:
        raise CohortError(
            f"cohort: {cohort} does not exist (a BIDS directory, a directory of SUBJECT/swi/ folders "
            "or a scan table; for a trial, `make demo` makes one)"
        )
    if not scans:
        raise CohortError(f"cohort: no subject folder in {cohort}")
    seen: dict[str, Scan] = {}
    for scan in scans:
        for key, value in (("session", scan.session), ("run", scan.run), ("subject", scan.subject)):
            if not label(value) and (value or key == "subject"):
                raise CohortError(
                    f"cohort: {key} {value!r} has no letter or digit of BIDS (A-Z, a-z, 0-9) in its "
                    "name: rename it, or give it one in a scan table"
                )
        if other := seen.get(scan.name):
            raise CohortError(
                f"cohort: two scans are called {scan.name}: subject {other.subject!r}, session "
                f"{other.session!r}, run {other.run!r} and subject {scan.subject!r}, session "
                f"{scan.session!r}, run {scan.run!r} (names keep letters and digits only)"
            )
        seen[scan.name] = scan
    return sorted(scans, key=lambda scan: scan.name)


def _folders(path: Path | str) -> list[os.DirEntry[str]]:
    with os.scandir(path) as entries:
        found = [e for e in entries if e.is_dir() and not e.name.startswith(".")]
    return sorted(found, key=lambda entry: entry.name)


def _list_directory(
    root: Path,
    patterns: Mapping[str, list[str]],
    references: list[str],
    endings: tuple[str, ...],
) -> list[Scan]:
    subjects = [e for e in _folders(root) if e.name not in NOT_SUBJECTS]
    if any(e.name.startswith("sub-") for e in subjects):
        subjects = [e for e in subjects if e.name.startswith("sub-")]
    matchers = {
        channel: re.compile("|".join(map(fnmatch.translate, texts)) or r"(?!)")
        for channel, texts in patterns.items()
    }
    scans = []
    for entry in subjects:
        subject = entry.name.removeprefix("sub-")
        try:
            folders = _folders(entry.path)
            found = {
                e.name[4:]: _matches(_folders(e.path), matchers, endings)
                for e in folders
                if e.name.startswith("ses-")
            }
            others = [e for e in folders if not e.name.startswith("ses-")]
            loose = _matches(others, matchers, endings)
        except OSError as error:
            scans.append(Scan(subject, problem=f"{entry.path} cannot be listed: {error}"))
            continue
        if loose or not found:
            found[""] = loose
        for session, files in sorted(found.items()):
            scans += _by_run(subject, session, files, references)
    return scans


def _matches(
    folders: Iterable[os.DirEntry[str]],
    matchers: Mapping[str, re.Pattern[str]],
    endings: tuple[str, ...],
) -> list[tuple[str, str, dict[str, str]]]:
    """Channel, path and entities of the images in these folders that belong to a channel."""
    found = []
    for folder in folders:
        with os.scandir(folder.path) as entries:
            names = sorted(e.name for e in entries if e.name.endswith(endings))
        for name in names:
            entities = dict(ENTITY.findall(name))
            if name.startswith(".") or entities.get("part") in NOT_MAGNITUDE:
                continue
            for channel, matcher in matchers.items():
                if folder.name == channel or matcher.match(name):
                    found.append((channel, f"{folder.path}/{name}", entities))
    return found


def _by_run(
    subject: str, session: str, found: list[tuple[str, str, dict[str, str]]], references: list[str]
) -> list[Scan]:
    """One scan a run of the reference channel, each with the files of its run, or else those of none.

    Of several models' references the first that is there. Where the scan itself has no run, neither
    need the files beside it: one of any run serves.
    """
    runs_of: dict[str, set[str]] = {}
    for channel, _, entities in found:
        runs_of.setdefault(channel, set()).add(entities.get("run", ""))
    first = next((channel for channel in references if channel in runs_of), "")
    scans = []
    for run in sorted(runs_of.get(first, {""})):
        scan = Scan(subject, session, run)
        for channel in runs_of:
            of_channel = [(p, e.get("run", "")) for c, p, e in found if c == channel]
            own = [p for p, r in of_channel if r == run]
            if channel != first:
                own = own or [p for p, r in of_channel if not r or not run]
            if own:
                scan.files[channel] = own
        scans.append(scan)
    return scans


def read_table(path: Path, channels: Iterable[str]) -> list[Scan]:
    """Scans of a scan table, in its order.

    Columns are ``subject``, optional ``session`` and ``run``, one a channel, and ``mask``,
    ``regions`` and ``truth``. Relative paths are relative to the table.

    Raises
    ------
    CohortError
        If a column is unknown, ``subject`` is missing or empty, or the file is no table.
    """
    separator = {".tsv": "\t", ".csv": ","}.get(path.suffix.lower())
    if separator is None:
        raise CohortError(f"cohort: {path} is neither a directory nor a .tsv or .csv table")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header, *lines = [
                [c.strip() for c in row] for row in csv.reader(file, delimiter=separator)
            ]
    except (ValueError, csv.Error) as error:
        raise CohortError(f"cohort: {path} cannot be read as a table: {error}") from error
    known = ["subject", "session", "run", *dict.fromkeys([*channels, *EXTRAS])]
    unknown = [c for n, c in enumerate(header) if c not in known or c in header[:n]]
    if unknown or "subject" not in header:
        problem = f"unknown column {unknown[0]!r}" if unknown else "no column 'subject'"
        raise CohortError(f"cohort: {path}: {problem} (columns are {', '.join(known)})")
    scans = []
    for line, row in enumerate(lines, start=2):
        if not any(row):
            continue
        if any(row[len(header) :]):
            raise CohortError(
                f"cohort: {path}, line {line}: {len(row)} cells under {len(header)} columns"
            )
        filled = [*row, *[""] * (len(header) - len(row))]
        values = {c: v for c, v in zip(header, filled, strict=False) if v not in ("n/a", "NA")}
        subject = values.get("subject", "").removeprefix("sub-")
        if not label(subject):
            raise CohortError(f"cohort: {path}, line {line}: subject {subject!r} is no name")
        files = {c: [str((path.parent / values[c]).absolute())] for c in known[3:] if values.get(c)}
        session = values.get("session", "").removeprefix("ses-")
        run = values.get("run", "").removeprefix("run-")
        scans.append(Scan(subject, session, run, files))
    return scans


def selected(names: list[str], include: list[str], exclude: list[str]) -> set[str]:
    """Names that some ``include`` pattern (none: all) and no ``exclude`` pattern matches.

    Raises
    ------
    CohortError
        If a pattern matches no scan: it is a misspelt name.
    """

    def matching(key: str, globs: list[str]) -> set[str]:
        hits: set[str] = set()
        for glob in globs:
            found = set(fnmatch.filter(names, glob))
            if not found:
                raise CohortError(f"{key}: {glob!r} matches no scan (the first is {names[0]})")
            hits |= found
        return hits

    wanted = matching("include", include) if include else set(names)
    return wanted - matching("exclude", exclude)


def single_file(scan: Scan, channel: str, echo: int | None, hint: str) -> tuple[str, str]:
    """The one file of a channel and an empty reason, or an empty path and why there is none.

    ``hint`` says where the file was looked for.
    """
    paths = scan.files.get(channel, [])
    if echo is not None and paths:
        echoes = [dict(ENTITY.findall(Path(p).name)).get("echo", "") for p in paths]
        of_echo = [p for p, e in zip(paths, echoes, strict=True) if e.lstrip("0") == str(echo)]
        paths = of_echo or [p for p, e in zip(paths, echoes, strict=True) if not e]
        if not paths:
            return "", f"no file for {channel} is of echo {echo}, only of {', '.join(echoes)}"
    if not paths:
        return "", f"no file for {channel} ({hint})"
    if len(paths) > 1:
        return "", (
            f"{len(paths)} files match {channel}: {' and '.join(paths)} "
            "(narrow its patterns, name an echo, or use a scan table)"
        )
    return paths[0], ""
