"""Scans of a cohort directory, by file names, without opening images."""

import fnmatch
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lesionflow.cohort.bidsignore import IgnoredFiles
from lesionflow.cohort.entities import (
    NOT_MAGNITUDE,
    PROJECTIONS,
    Match,
    entities_of,
    group_files,
    is_projection,
)
from lesionflow.cohort.names import printable
from lesionflow.cohort.scan import Listing, Scan, label

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
BROKEN_LINK = "a link whose target does not exist: fetch the data that it names"


@dataclass
class _Walk:
    """What the walk through a directory needs at each folder.

    Attributes
    ----------
    root
        The cohort directory.
    matchers
        Compiled file name patterns by channel.
    endings
        File name extensions of images.
    ignored
        What ``.bidsignore`` excludes.
    listing
        The result, to which left-out files are added.
    references, scan_entities
        See ``list_directory``.
    """

    root: Path
    matchers: Mapping[str, re.Pattern[str]]
    endings: tuple[str, ...]
    ignored: IgnoredFiles
    listing: Listing
    references: Sequence[str]
    scan_entities: Sequence[str]

    def channels(self, folder: str, name: str) -> list[str]:
        """The channels that an image is a candidate for: by its folder or its name."""
        if name.startswith(".") or not name.endswith(self.endings):
            return []
        return [c for c, matcher in self.matchers.items() if folder == c or matcher.match(name)]

    def leave_out(self, path: str, reason: str) -> None:
        """Record a file or folder that looks like a scan and is not listed."""
        self.listing.left_out.setdefault(reason, []).append(printable(path))


def list_directory(
    root: Path,
    patterns: Mapping[str, list[str]],
    references: list[str],
    endings: tuple[str, ...],
    scan_entities: Sequence[str] = (),
) -> Listing:
    """Scans of a BIDS directory, or of a directory of ``SUBJECT/CHANNEL/*.nii[.gz]`` folders.

    Parameters are those of ``listing.list_scans``. Files that ``.bidsignore`` excludes are left out.
    """
    matchers = {
        channel: re.compile("|".join(map(fnmatch.translate, globs)) or r"(?!)")
        for channel, globs in patterns.items()
    }
    ignored = IgnoredFiles(root)
    walk = _Walk(root, matchers, endings, ignored, Listing([]), references, scan_entities)
    entries = [e for e in _entries(root) if e.name not in NOT_SUBJECTS]
    folders = {entry.name for entry in entries if _is_folder(entry)}
    is_bids = any(name.startswith("sub-") for name in folders)
    for entry in entries:
        if entry.name not in folders:
            _leave_out_file(walk, entry)
        elif is_bids and not entry.name.startswith("sub-"):
            _leave_out_folder(walk, entry)
        else:
            walk.listing.scans += _scans_of_subject(walk, entry)
    return walk.listing


def _entries(path: Path | str) -> list[os.DirEntry[str]]:
    """Visible files and folders in a folder, sorted by name."""
    with os.scandir(path) as entries:
        visible = [entry for entry in entries if not entry.name.startswith(".")]
    return sorted(visible, key=lambda entry: entry.name)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a loop of links
        return False


def _is_broken_link(entry: os.DirEntry[str]) -> bool:
    return entry.is_symlink() and not Path(entry.path).exists()


def _leave_out_file(walk: _Walk, entry: os.DirEntry[str]) -> None:
    """Record an entry beside the subject folders that may have been a subject or is an image."""
    if _is_broken_link(entry):
        walk.leave_out(entry.path, BROKEN_LINK)
    elif entry.name.endswith(walk.endings):
        walk.leave_out(entry.path, "an image outside of a subject folder")


def _leave_out_folder(walk: _Walk, entry: os.DirEntry[str]) -> None:
    """Record a folder beside BIDS subjects if it holds images of a channel, or cannot be listed."""
    try:
        folders = [e for e in _entries(entry.path) if _is_folder(e)]
        inner = [e for f in folders if f.name.startswith("ses-") for e in _entries(f.path)]
        candidates = [*folders, *(e for e in inner if _is_folder(e))]
        found = any(
            walk.channels(folder.name, e.name)
            for folder in candidates
            for e in _entries(folder.path)
        )
    except OSError as error:
        walk.leave_out(entry.path, f"a folder that cannot be listed ({error.strerror})")
        return
    if found:
        walk.leave_out(
            entry.path,
            "a folder with scans whose name does not begin with sub-, as those of the others do",
        )


def _scans_of_subject(walk: _Walk, subject_folder: os.DirEntry[str]) -> list[Scan]:
    subject = printable(subject_folder.name).removeprefix("sub-")
    names = [subject_folder.name]
    sessions: dict[str, list[Match]] = {}
    without_session: list[Match] = []
    try:
        for folder in _folders(walk, subject_folder):
            if folder.name.startswith("ses-"):
                sessions[printable(folder.name)[4:]] = [
                    match
                    for inner in _folders(walk, folder)
                    for match in _matches(walk, inner, [*names, folder.name])
                ]
            else:
                without_session += _matches(walk, folder, names)
    except OSError as error:
        return [
            Scan(subject, problem=printable(f"{subject_folder.path} cannot be listed: {error}"))
        ]
    if without_session or not sessions:
        sessions[""] = without_session
    return [
        scan
        for session, matches in sorted(sessions.items())
        for scan in group_files(subject, session, matches, walk.references, walk.scan_entities)
    ]


def _folders(walk: _Walk, parent: os.DirEntry[str]) -> list[os.DirEntry[str]]:
    """Folders of a subject or session; images beside them are left out."""
    folders = []
    for entry in _entries(parent.path):
        if _is_folder(entry):
            folders.append(entry)
        elif walk.channels("", entry.name):
            walk.leave_out(entry.path, "an image that is in no folder such as anat/")
        elif _is_broken_link(entry):
            walk.leave_out(entry.path, BROKEN_LINK)
    return folders


def _matches(walk: _Walk, folder: os.DirEntry[str], bids_names: list[str]) -> list[Match]:
    """Images in a folder that match a channel.

    ``bids_names`` are the names of the folders above, of which ``sub-`` and ``ses-`` have to agree with the file's.
    """
    matches = []
    for entry in _entries(folder.path):
        if not (channels := walk.channels(folder.name, entry.name)):
            continue
        entities = entities_of(entry.name)
        if entities.get("part", "").lower() in NOT_MAGNITUDE:
            continue
        if is_projection(entry.name) and not PROJECTIONS.intersection(channels):
            walk.leave_out(entry.path, "an intensity projection over several slices")
            continue
        if walk.ignored.excludes(os.path.relpath(entry.path, walk.root)):
            walk.leave_out(entry.path, "an image that .bidsignore excludes")
            continue
        if other := [name for name in bids_names if _differs(name, entities)]:
            walk.leave_out(entry.path, f"an image whose name does not belong to {other[0]}")
            continue
        matches += [(channel, entry.path, entities) for channel in channels]
    return matches


def _differs(folder: str, entities: Mapping[str, str]) -> bool:
    """Whether the name of a BIDS folder (``sub-01``, ``ses-1``) contradicts the entities of a file in it."""
    key, _, value = folder.partition("-")
    return key in ("sub", "ses") and entities.get(key, label(value)) != label(value)
