"""List the scans of a cohort directory or scan table by file names, without opening images."""

import csv
import fnmatch
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from lesionflow.base.errors import CohortError
from lesionflow.cards.model_card import NOT_CHANNELS
from lesionflow.cohort.scan import Scan, label
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
        Reference channels in the order of the models. Each run of the first one that a session has is
        one scan; a second run of another channel does not make another scan.
    endings
        File name extensions of images in a directory.

    Raises
    ------
    CohortError
        If the cohort does not exist or has no scan, if a table is not valid, or if two scans would
        have the same name.
    """
    if cohort.is_dir():
        scans = _list_directory(cohort, patterns, list(references), endings)
    elif cohort.is_file():
        scans = read_table(cohort, patterns)
    else:
        raise CohortError(
            f"cohort: {cohort} does not exist (a BIDS directory, a directory of SUBJECT/swi/ folders "
            "or a scan table; `make demo` makes one to try)"
        )
    if not scans:
        raise CohortError(f"cohort: no subject folder in {cohort}")
    by_name: dict[str, Scan] = {}
    for scan in scans:
        for key, value in (("session", scan.session), ("run", scan.run), ("subject", scan.subject)):
            if not label(value) and (value or key == "subject"):
                raise CohortError(
                    f"cohort: {key} {value!r} has no letter or digit (A-Z, a-z, 0-9) for its BIDS "
                    "name: rename it, or list it under another name in a scan table"
                )
        if other := by_name.get(scan.name):
            raise CohortError(
                f"cohort: two scans have the name {scan.name}: subject {other.subject!r}, session "
                f"{other.session!r}, run {other.run!r} and subject {scan.subject!r}, session "
                f"{scan.session!r}, run {scan.run!r} (names keep letters and digits only)"
            )
        by_name[scan.name] = scan
    return sorted(scans, key=lambda scan: scan.name)


def _folders(path: Path | str) -> list[os.DirEntry[str]]:
    """Visible folders in a folder, sorted by name."""
    with os.scandir(path) as entries:
        folders = [e for e in entries if e.is_dir() and not e.name.startswith(".")]
    return sorted(folders, key=lambda entry: entry.name)


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
        channel: re.compile("|".join(map(fnmatch.translate, globs)) or r"(?!)")
        for channel, globs in patterns.items()
    }
    scans = []
    for entry in subjects:
        subject = entry.name.removeprefix("sub-")
        try:
            folders = _folders(entry.path)
            sessions = {
                e.name[4:]: _matches(_folders(e.path), matchers, endings)
                for e in folders
                if e.name.startswith("ses-")
            }
            other_folders = [e for e in folders if not e.name.startswith("ses-")]
            without_session = _matches(other_folders, matchers, endings)
        except OSError as error:
            scans.append(Scan(subject, problem=f"{entry.path} cannot be listed: {error}"))
            continue
        if without_session or not sessions:
            sessions[""] = without_session
        for session, files in sorted(sessions.items()):
            scans += _by_run(subject, session, files, references)
    return scans


def _matches(
    folders: Iterable[os.DirEntry[str]],
    matchers: Mapping[str, re.Pattern[str]],
    endings: tuple[str, ...],
) -> list[tuple[str, str, dict[str, str]]]:
    """Channel, path and BIDS entities of the images in these folders that match a channel."""
    matches = []
    for folder in folders:
        with os.scandir(folder.path) as entries:
            names = sorted(e.name for e in entries if e.name.endswith(endings))
        for name in names:
            entities = dict(ENTITY.findall(name))
            if name.startswith(".") or entities.get("part") in NOT_MAGNITUDE:
                continue
            for channel, matcher in matchers.items():
                if folder.name == channel or matcher.match(name):
                    matches.append((channel, f"{folder.path}/{name}", entities))
    return matches


def _by_run(
    subject: str,
    session: str,
    matches: list[tuple[str, str, dict[str, str]]],
    references: list[str],
) -> list[Scan]:
    """One scan per run of the reference channel: the first of the models' reference channels that has a file.

    The files of other channels are those of the same run, or else those without a run. A scan without a
    run takes files of any run.
    """
    runs: dict[str, set[str]] = {}
    for channel, _, entities in matches:
        runs.setdefault(channel, set()).add(entities.get("run", ""))
    reference = next((channel for channel in references if channel in runs), "")
    scans = []
    for run in sorted(runs.get(reference, {""})):
        scan = Scan(subject, session, run)
        for channel in runs:
            files = [(p, e.get("run", "")) for c, p, e in matches if c == channel]
            paths = [p for p, r in files if r == run]
            if channel != reference:
                paths = paths or [p for p, r in files if not r or not run]
            if paths:
                scan.files[channel] = paths
        scans.append(scan)
    return scans


def read_table(path: Path, channels: Iterable[str]) -> list[Scan]:
    """Scans of a scan table, in the order of its rows.

    Columns are ``subject``, optional ``session`` and ``run``, one per channel, and ``mask``,
    ``regions`` and ``truth``. Relative paths are relative to the table.

    Raises
    ------
    CohortError
        If a column is unknown, ``subject`` is missing or empty, or the file is not a table.
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
    columns = ["subject", "session", "run", *dict.fromkeys([*channels, *NOT_CHANNELS])]
    unknown = [c for n, c in enumerate(header) if c not in columns or c in header[:n]]
    if unknown or "subject" not in header:
        problem = f"unknown column {unknown[0]!r}" if unknown else "no column 'subject'"
        raise CohortError(f"cohort: {path}: {problem} (columns are {', '.join(columns)})")
    scans = []
    for line, row in enumerate(lines, start=2):
        if not any(row):
            continue
        if any(row[len(header) :]):
            raise CohortError(
                f"cohort: {path}, line {line}: {len(row)} cells under {len(header)} columns"
            )
        cells = [*row, *[""] * (len(header) - len(row))]
        values = {c: v for c, v in zip(header, cells, strict=False) if v not in ("n/a", "NA")}
        subject = values.get("subject", "").removeprefix("sub-")
        if not label(subject):
            raise CohortError(f"cohort: {path}, line {line}: subject {subject!r} is not a name")
        files = {
            c: [str((path.parent / values[c]).absolute())] for c in columns[3:] if values.get(c)
        }
        session = values.get("session", "").removeprefix("ses-")
        run = values.get("run", "").removeprefix("run-")
        scans.append(Scan(subject, session, run, files))
    return scans


def selected(names: list[str], include: list[str], exclude: list[str]) -> set[str]:
    """Names that match an ``include`` pattern (all names if there is none) and no ``exclude`` pattern.

    Raises
    ------
    CohortError
        If a pattern matches no scan, as a misspelt name does.
    """

    def matching(key: str, globs: list[str]) -> set[str]:
        all_matches: set[str] = set()
        for glob in globs:
            matches = set(fnmatch.filter(names, glob))
            if not matches:
                raise CohortError(f"{key}: {glob!r} matches no scan (the first is {names[0]})")
            all_matches |= matches
        return all_matches

    included = matching("include", include) if include else set(names)
    return included - matching("exclude", exclude)


def single_file(scan: Scan, channel: str, echo: int | None, hint: str) -> tuple[str, str]:
    """Path of the only file of a channel and an empty reason, or an empty path and the reason.

    Parameters
    ----------
    scan
        The scan with its candidates.
    channel
        A channel, ``mask``, ``regions`` or ``truth``.
    echo
        Echo (from 1) to choose among files with an echo entity; None: any.
    hint
        Where the file is expected; part of the reason.
    """
    paths = scan.files.get(channel, [])
    if echo is not None and paths:
        echoes = [dict(ENTITY.findall(Path(p).name)).get("echo", "") for p in paths]
        with_echo = [p for p, e in zip(paths, echoes, strict=True) if e.lstrip("0") == str(echo)]
        paths = with_echo or [p for p, e in zip(paths, echoes, strict=True) if not e]
        if not paths:
            return "", f"no file for {channel} has echo {echo}, only {', '.join(echoes)}"
    if not paths:
        return "", f"no file for {channel} ({hint})"
    if len(paths) > 1:
        return "", (
            f"{len(paths)} files match {channel}: {' and '.join(paths)} "
            "(narrow its patterns, name an echo, or use a scan table)"
        )
    return paths[0], ""
