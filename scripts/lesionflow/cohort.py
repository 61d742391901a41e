"""The scans of a cohort, from a directory or a scan table, by names alone."""

import fnmatch
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

EXTRAS = ("mask", "regions", "truth")  # files beside a scan that are no channel
NOT_SUBJECTS = {
    "derivatives",
    "sourcedata",
    "code",
    "stimuli",
    "phenotype",
    "results",
    "work",
    "logs",
}
ENTITY = re.compile(r"(?:^|_)(ses|run|echo|part)-([A-Za-z0-9]+)(?=_|\.|$)")
NOT_MAGNITUDE = {"phase", "real", "imag"}


class CohortError(ValueError):
    """A cohort that cannot be listed, in one line."""


@dataclass
class Scan:
    """One acquisition of one subject in one session, and the files that were found for it.

    ``files`` holds every candidate of a channel; more than one is a question for the user.
    """

    subject: str
    session: str = ""
    run: str = ""
    files: dict[str, list[str]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """``sub-01``, ``sub-01_ses-2``, ``sub-01_ses-2_run-1``."""
        parts = {"sub": self.subject, "ses": self.session, "run": self.run}
        return "_".join(f"{key}-{label(value)}" for key, value in parts.items() if value)

    @property
    def folder(self) -> str:
        """Folder of its results in a BIDS derivatives dataset: ``sub-01[/ses-2]/anat``."""
        session = f"/ses-{label(self.session)}" if self.session else ""
        return f"sub-{label(self.subject)}{session}/anat"


def label(text: str) -> str:
    """``text`` as a BIDS label: letters and digits only."""
    return re.sub(r"[^A-Za-z0-9]", "", text)


def list_scans(cohort: Path, patterns: Mapping[str, list[str]]) -> list[Scan]:
    """Scans of a cohort directory or scan table, sorted by name.

    Parameters
    ----------
    cohort
        A BIDS directory, a directory of ``SUBJECT/CHANNEL/*.nii[.gz]`` folders, or a scan table.
    patterns
        File name patterns by channel (and by ``mask``, ``regions``, ``truth``).

    Raises
    ------
    CohortError
        If there is no such cohort or no scan in it, if a table is not valid, or if two scans get
        the same name.
    """
    if cohort.is_dir():
        scans = _list_directory(cohort, patterns)
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


def _list_directory(root: Path, patterns: Mapping[str, list[str]]) -> list[Scan]:
    subjects = [e for e in _folders(root) if e.name not in NOT_SUBJECTS]
    if any(e.name.startswith("sub-") for e in subjects):
        subjects = [e for e in subjects if e.name.startswith("sub-")]
    matchers = {
        channel: re.compile("|".join(fnmatch.translate(p) for p in texts))
        for channel, texts in patterns.items()
    }
    scans = []
    for entry in subjects:
        subject = entry.name.removeprefix("sub-")
        folders = _folders(entry.path)
        sessions = {e.name[4:]: _folders(e.path) for e in folders if e.name.startswith("ses-")}
        if rest := [e for e in folders if not e.name.startswith("ses-")]:
            sessions[""] = rest
        for session, datatypes in sorted(sessions.items()) or [("", [])]:
            scans += _by_run(subject, session, _matches(datatypes, matchers))
    return scans


def _matches(
    folders: Iterable[os.DirEntry[str]], matchers: Mapping[str, re.Pattern[str]]
) -> list[tuple[str, str, dict[str, str]]]:
    """Channel, path and entities of the images in these folders that belong to a channel."""
    found = []
    for folder in folders:
        with os.scandir(folder.path) as entries:
            names = sorted(e.name for e in entries if e.name.endswith((".nii", ".nii.gz")))
        for name in names:
            entities = dict(ENTITY.findall(name))
            if name.startswith(".") or entities.get("part") in NOT_MAGNITUDE:
                continue
            for channel, matcher in matchers.items():
                if folder.name == channel or matcher.match(name):
                    found.append((channel, f"{folder.path}/{name}", entities))
    return found


def _by_run(subject: str, session: str, found: list[tuple[str, str, dict[str, str]]]) -> list[Scan]:
    """One scan a run; a file without a run entity belongs to every run that has none of its own."""
    runs = sorted({e["run"] for _, _, e in found if "run" in e}) or [""]
    loose = {c for c, _, e in found if "run" not in e and c not in EXTRAS}
    ran = {c for c, _, e in found if "run" in e and c not in EXTRAS}
    if loose & ran:
        runs = ["", *runs]
    scans = []
    for run in runs:
        scan = Scan(subject, session, run)
        for channel in dict.fromkeys(c for c, _, _ in found):
            own = [p for c, p, e in found if c == channel and e.get("run", "") == run]
            shared = [p for c, p, e in found if c == channel and "run" not in e]
            if own or (shared and channel not in loose & ran):
                scan.files[channel] = own or shared
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
        table = pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False, comment=None)
    except (ValueError, UnicodeDecodeError) as error:
        raise CohortError(f"cohort: {path} cannot be read as a table: {error}") from error
    table.columns = [str(c).strip() for c in table.columns]
    known = ["subject", "session", "run", *dict.fromkeys([*channels, *EXTRAS])]
    unknown = [c for c in table.columns if c not in known]
    if unknown or "subject" not in table.columns:
        problem = f"unknown column {unknown[0]!r}" if unknown else "no column 'subject'"
        raise CohortError(f"cohort: {path}: {problem} (columns are {', '.join(known)})")
    scans = []
    for line, row in enumerate(table.to_dict("records"), start=2):
        values: dict[str, Any] = {str(k): str(v).strip() for k, v in row.items()}
        subject = values["subject"].removeprefix("sub-")
        if not label(subject):
            raise CohortError(
                f"cohort: {path}, line {line}: subject {values['subject']!r} is no name"
            )
        files = {
            c: [str((path.parent / values[c]).absolute())]
            for c in known[3:]
            if values.get(c) not in (None, "", "n/a", "NA")
        }
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
    if len(paths) > 1 and echo is not None:
        of_echo = [p for p in paths if dict(ENTITY.findall(Path(p).name)).get("echo") == str(echo)]
        paths = of_echo or paths
    if not paths:
        return "", f"no file for {channel} ({hint})"
    if len(paths) > 1:
        return "", (
            f"{len(paths)} files match {channel}: {' and '.join(paths)} "
            "(narrow its patterns, name an echo, or use a scan table)"
        )
    return paths[0], ""
