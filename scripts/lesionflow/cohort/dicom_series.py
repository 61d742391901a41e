"""The volumes of DICOM series, and the choice of one for a channel."""

import fnmatch
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lesionflow.cohort.names import path_problem, printable
from lesionflow.imaging.dicom_headers import COMBINED, EXCLUDED

DISTORTION_CORRECTED = (
    "DIS3D",
    "DIS2D",
)  # in the order of preference; ND or nothing: not corrected
CORRECTION = re.compile(r"[\s_]*(DIS3D|DIS2D|ND)$", re.I)


@dataclass
class Volume:
    """One volume of a DICOM series: all of it, or one of its echoes or components.

    Attributes
    ----------
    series, study, patient, number, description, date, image_type
        From the headers: SeriesInstanceUID, StudyInstanceUID, PatientID (a part of its digest), SeriesNumber,
        SeriesDescription, StudyDate, ImageType.
    kind
        See ``dicom_headers.kind_of_image``.
    echo_time
        In ms; None if unknown.
    n_slices
        Number of slices.
    files
        By path: SOPInstanceUID.
    problem
        Why the files cannot be used; empty if they can.
    is_whole
        Whether its series has no other volume.
    """

    series: str
    study: str
    patient: str
    number: int
    description: str
    date: str
    image_type: list[str]
    kind: str
    echo_time: float | None
    n_slices: int = 0
    files: dict[str, str] = field(default_factory=dict)
    problem: str = ""
    is_whole: bool = True

    def __str__(self) -> str:
        echo = "" if self.echo_time is None else f", echo time {self.echo_time:g} ms"
        return (
            f"series {self.number} {self.description!r} ({self.kind}, ImageType {'/'.join(self.image_type)}, "
            f"{self.n_slices} slices{echo}, {self.series})"
        )

    @property
    def paths(self) -> list[str]:
        """The files, first the one that stands for all as the input of a job."""
        paths = sorted(self.files)
        first = next((path for path in paths if not path_problem(path)), paths[0])
        return [first, *(path for path in paths if path != first)]


@dataclass
class Archive:
    """The volumes of a folder, and what cannot be read in it.

    Attributes
    ----------
    folder
        The folder, for messages.
    volumes
        In the order of their series.
    damaged
        The files that may be part of any of them, and the folders that may hold some, with the reason.
    n_patients
        Number of patients, by PatientID.
    """

    folder: str
    volumes: list[Volume] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    n_patients: int = 0


def choose_volume(
    archive: Archive,
    channel: str,
    patterns: Sequence[str],
    echo: int | None = None,
    series: str = "",
    foreign: Sequence[str] = (),
) -> tuple[Volume | None, str, str]:
    """The only volume of a folder that fits a channel; else None, a status and its reason.

    Projections, phase images, susceptibility maps, localizers, mosaics and reformatted images never fit. For the channel
    ``swi``, the combined image is preferred to the magnitude; for others, it does not fit. Of a series and its
    copy with a correction of distortion, the latter is taken.

    Parameters
    ----------
    archive
        The volumes of a scan.
    channel
        A channel.
    patterns
        Of the description of its series, without regard to case. The only series of a folder need not match, unless it matches
        ``foreign``.
    echo
        Echo, from 1.
    series
        SeriesInstanceUID, if the user has chosen a series.
    foreign
        Patterns of other channels.
    """
    if archive.damaged:
        return (
            None,
            "unreadable",
            (
                f"{archive.damaged[0]}. It may belong to any series of {printable(archive.folder)}: replace or remove it"
            ),
        )
    volumes = [v for v in archive.volumes if not series or v.series == series]
    where = printable(archive.folder)
    if not volumes:
        what = (
            f"no series {series}" if series else "no MR image in DICOM (a file that is marked DICM)"
        )
        return None, "missing-input", f"{where} has {what}"
    if archive.n_patients > 1 and not series:
        shown = "; ".join(map(str, volumes))
        reason = (
            f"{where} has images of {archive.n_patients} patients (PatientID): make a folder for each, or choose one by "
            f"FOLDER#SeriesInstanceUID in a scan table: {shown}"
        )
        return None, "missing-input", reason
    suitable = [v for v in volumes if v.kind not in EXCLUDED]
    if not series:
        several = len({v.series for v in volumes}) > 1
        suitable = [
            v
            for v in suitable
            if _matches(v, channel, patterns) or not (several or _matches(v, "", foreign))
        ]
    if channel != "swi":
        suitable = [v for v in suitable if v.kind != COMBINED]
    elif any(v.kind == COMBINED for v in suitable):
        suitable = [v for v in suitable if v.kind == COMBINED]
    suitable = _corrected(suitable)
    if echo and len({v.series for v in suitable}) == 1 and len(suitable) > 1:
        suitable = sorted(suitable, key=lambda v: v.echo_time or 0)[echo - 1 : echo]
    if not suitable:
        shown = "; ".join(map(str, volumes))
        reason = f"no series of {where} fits {channel} (description {' '.join(patterns)}): {shown}"
        return None, "missing-input", reason
    if len(suitable) > 1:
        several_echoes = len({v.series for v in suitable}) == 1
        remedy = (
            "choose one with echo: 1, 2, ..."
            if several_echoes
            else "choose one by FOLDER#SeriesInstanceUID in a scan table, or narrow dicom_series"
        )
        shown = "; ".join(map(str, suitable))
        reason = f"{len(suitable)} series of {where} fit {channel}: {shown} ({remedy})"
        return None, "missing-input", reason
    (volume,) = suitable
    if problem := volume.problem or path_problem(volume.paths[0]):
        return None, "unreadable", problem
    return volume, "ok", ""


def offers(archive: Archive, channel: str, patterns: Mapping[str, Sequence[str]]) -> bool:
    """Whether a folder has a series that can be meant for a channel."""
    globs = patterns.get(channel, [])
    return any(_matches(v, channel, globs) for v in archive.volumes if v.kind not in EXCLUDED)


def _matches(volume: Volume, channel: str, patterns: Sequence[str]) -> bool:
    text = volume.description.lower()
    is_swi = channel == "swi" and volume.kind == COMBINED
    return is_swi or any(fnmatch.fnmatchcase(text, pattern.lower()) for pattern in patterns)


def _corrected(volumes: Sequence[Volume]) -> list[Volume]:
    """Of the same image with and without a correction of distortion, the corrected one."""
    best: dict[tuple, tuple[int, list[Volume]]] = {}
    for volume in volumes:
        tokens = {token.upper() for token in volume.image_type}
        ranks = [n for n, token in enumerate(DISTORTION_CORRECTED) if token in tokens]
        rank = min(ranks, default=len(DISTORTION_CORRECTED))
        stem = CORRECTION.sub("", volume.description)
        key = stem, volume.kind, volume.n_slices, volume.echo_time, volume.date
        known_rank, known = best.get(key, (rank, []))
        if rank < known_rank:
            known = []
        if rank <= known_rank:
            best[key] = rank, [*known, volume]
    return [volume for _, group in best.values() for volume in group]
