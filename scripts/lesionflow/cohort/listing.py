"""List the scans of a cohort directory or scan table by file names, without opening images."""

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from lesionflow.base.errors import CohortError
from lesionflow.cohort.directory import list_directory
from lesionflow.cohort.entities import entities_of, separating_entities
from lesionflow.cohort.names import ignores_case
from lesionflow.cohort.scan import Listing, Scan, label
from lesionflow.cohort.scan_table import read_table
from lesionflow.imaging.file_types import WITH_GEOMETRY


def list_scans(
    cohort: Path,
    patterns: Mapping[str, list[str]],
    references: Iterable[str] = ("swi",),
    endings: tuple[str, ...] = WITH_GEOMETRY,
    scan_entities: Sequence[str] = (),
) -> Listing:
    """Scans of a cohort directory or scan table, and what looks like a scan but is not listed.

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
    scan_entities
        BIDS entities by which files of the reference channel are scans of their own.

    Raises
    ------
    CohortError
        If the cohort does not exist or has no scan, if a table is not valid, or if two scans would
        have the same name, or names whose files would be the same on the disk of the working directory.
    """
    try:
        listing = _list(cohort, patterns, list(references), endings, scan_entities)
    except OSError as error:
        raise CohortError(
            f"cohort: {cohort.absolute()} cannot be read: {error.strerror}"
        ) from error
    if listing is None:
        raise CohortError(
            f"cohort: {cohort.absolute()} does not exist (a BIDS directory, a directory of SUBJECT/swi/ folders "
            "or a scan table; `make demo` makes one to try)"
        )
    if not listing.scans:
        raise CohortError("; ".join([f"cohort: no subject folder in {cohort}", *listing.notes()]))
    return check_names(listing)


def check_names(listing: Listing) -> Listing:
    """The listing with its scans sorted by name.

    Raises
    ------
    CohortError
        If a scan cannot be named, or two would have the same name.
    """
    ignored_case = ignores_case(Path.cwd())
    by_name: dict[str, Scan] = {}
    for scan in listing.scans:
        labels = {"session": scan.session, "run": scan.run, "subject": scan.subject}
        for key, value in (labels | scan.entities).items():
            if not label(value) and (value or key == "subject"):
                raise CohortError(
                    f"cohort: {key} {value!r} has no letter or digit (A-Z, a-z, 0-9) for its BIDS "
                    "name: rename it, or list it under another name in a scan table"
                )
        name = scan.name.casefold() if ignored_case else scan.name
        if other := by_name.get(name):
            case = (
                " on the disk of the working directory, which ignores case" if ignored_case else ""
            )
            raise CohortError(
                f"cohort: two scans have the name {scan.name}{case}: subject {other.subject!r}, session "
                f"{other.session!r}, run {other.run!r} and subject {scan.subject!r}, session "
                f"{scan.session!r}, run {scan.run!r} (names keep letters and digits only)"
            )
        by_name[name] = scan
    return Listing(sorted(listing.scans, key=lambda scan: scan.name), listing.left_out)


def _list(
    cohort: Path,
    patterns: Mapping[str, list[str]],
    references: list[str],
    endings: tuple[str, ...],
    scan_entities: Sequence[str],
) -> Listing | None:
    """The listing of a directory or table; None if it does not exist."""
    if cohort.is_dir():
        return list_directory(cohort, patterns, references, endings, scan_entities)
    return Listing(read_table(cohort, patterns, scan_entities)) if cohort.is_file() else None


def selected(names: list[str], include: list[str], exclude: list[str]) -> set[str]:
    """Names that match an ``include`` pattern (all names if there is none) and no ``exclude`` pattern.

    A pattern also matches the names that begin with it and go on with another entity: ``sub-01`` means all sessions and
    runs of this subject.

    Raises
    ------
    CohortError
        If a pattern matches no scan, as a misspelt name does.
    """

    def matching(key: str, globs: list[str]) -> set[str]:
        all_matches: set[str] = set()
        for glob in globs:
            matches = {*fnmatch.filter(names, glob), *fnmatch.filter(names, f"{glob}_*")}
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
        echoes = [entities_of(Path(p).name).get("echo", "") for p in paths]
        with_echo = [p for p, e in zip(paths, echoes, strict=True) if e.lstrip("0") == str(echo)]
        paths = with_echo or [p for p, e in zip(paths, echoes, strict=True) if not e]
        if not paths:
            return "", f"no file for {channel} has echo {echo}, only {', '.join(echoes)}"
    if not paths:
        return "", f"no file for {channel} ({hint})"
    if len(paths) > 1:
        keys = (
            separating_entities([Path(p).name for p in paths]) if channel == scan.reference else []
        )
        of_own = (
            f"; scan_entities: [{', '.join(keys)}] makes each a scan of its own" if keys else ""
        )
        return "", (
            f"{len(paths)} files match {channel}: {' and '.join(paths)} "
            f"(narrow its patterns, name an echo, or use a scan table{of_own})"
        )
    return paths[0], ""
