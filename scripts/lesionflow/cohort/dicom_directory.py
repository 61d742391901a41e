"""Scans of a directory of DICOM files: one folder per subject, with or without folders of sessions."""

from dataclasses import replace
from pathlib import Path

from lesionflow.base.errors import CohortError
from lesionflow.cohort.dicom_archive import DicomHeaders
from lesionflow.cohort.dicom_series import Archive
from lesionflow.cohort.names import printable
from lesionflow.cohort.scan import Listing, Scan

NO_SUBJECT = "a file in no folder of a subject"


def list_dicom_directory(root: Path, headers: DicomHeaders) -> Listing:
    """Scans of a directory of ``SUBJECT/[ses-LABEL/]...`` folders with DICOM files anywhere in them.

    Parameters
    ----------
    root
        The directory.
    headers
        Reads the headers of the files.

    Returns
    -------
    Listing
        One scan per folder ``ses-LABEL`` of a subject, or, of a subject without such folders, per date of a study; a
        subject with studies of one date has one scan without a session.

    Raises
    ------
    CohortError
        If there is no such directory.
    """
    if not root.is_dir():
        raise CohortError(f"dicom: {root.absolute()} is not a directory")
    listing = Listing([])
    for entry in sorted(root.iterdir()):
        if entry.name.startswith(".") or entry.name == "DICOMDIR":
            continue
        if not entry.is_dir():
            listing.left_out.setdefault(NO_SUBJECT, []).append(printable(str(entry)))
            continue
        subject = printable(entry.name).removeprefix("sub-")
        try:
            listing.scans += _scans_of_subject(subject, entry, headers)
        except OSError as error:
            problem = printable(f"{entry} cannot be listed: {error.strerror}")
            listing.scans.append(Scan(subject, problem=problem))
    return listing


def _scans_of_subject(subject: str, folder: Path, headers: DicomHeaders) -> list[Scan]:
    names = sorted(path.name for path in folder.iterdir())
    sessions = [name for name in names if name.startswith("ses-") and (folder / name).is_dir()]
    scans = [
        Scan(subject, printable(name)[4:], archive=headers.archive(str(folder / name)))
        for name in sessions
    ]
    archive = headers.archive(str(folder), sessions)
    if archive.volumes or archive.damaged or not scans:
        dates = sorted({volume.date for volume in archive.volumes})
        if len(dates) > 1:
            scans += [Scan(subject, date, archive=_of_date(archive, date)) for date in dates]
        else:
            scans.append(Scan(subject, archive=archive))
    return scans


def _of_date(archive: Archive, date: str) -> Archive:
    return replace(archive, volumes=[v for v in archive.volumes if v.date == date])
