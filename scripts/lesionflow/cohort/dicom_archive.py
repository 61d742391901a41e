"""The DICOM files below folders, read once for as long as they stay the same, and the volumes that they hold."""

import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from lesionflow.base.atomic_write import write_atomically
from lesionflow.base.digests import code_digest, sha256_file
from lesionflow.base.file_digests import file_state
from lesionflow.cohort.dicom_series import Archive, Volume
from lesionflow.cohort.names import printable
from lesionflow.imaging import dicom_headers
from lesionflow.imaging.dicom_headers import MARK, DamagedDicomError, Header, read_dicom_header
from lesionflow.imaging.file_types import MATLAB, PAIR_DATA, WITH_GEOMETRY

UID = re.compile(r"[0-9]+(\.[0-9]+)+")
OTHER_FORMATS = (*WITH_GEOMETRY, *PAIR_DATA, MATLAB)


class DicomHeaders:
    """Headers of DICOM files, read once for as long as the files stay the same.

    Parameters
    ----------
    path
        The cache, a JSON file; one that cannot be read counts as empty.
    """

    def __init__(self, path: Path):
        self.path = path
        self.code = code_digest(Path(dicom_headers.__file__), Path(__file__).parents[2])
        self.stored: dict[str, list] = {}
        self.used: dict[str, list] = {}
        with suppress(OSError, ValueError, KeyError, TypeError):
            content = json.loads(path.read_text(encoding="utf-8"))
            self.stored = dict(content["files"]) if content["code"] == self.code else {}

    def read(self, path: str) -> Header | None:
        """``dicom_headers.read_dicom_header``; errors are not kept."""
        state = file_state(path)
        known = self.stored.get(path)
        if state is None or known is None or known[0] != list(state):
            known = [state and list(state), read_dicom_header(Path(path))]
        self.used[path] = known
        return known[1]

    def cell(self, path: str) -> tuple[Archive, str]:
        """The volumes that a cell of a scan table names, and the SeriesInstanceUID of the chosen series, if there is one.

        A file stands for its series in its folder.
        """
        path, series = cell_parts(path)
        if Path(path).is_dir():
            return self.archive(path), series
        archive = self.archive(str(Path(path).parent))
        own = (v.series for v in archive.volumes if path in v.files)
        return archive, next(own, series or path)

    def save(self) -> None:
        """Write the headers that were used; without the file, they are read again."""
        if self.used and self.used != self.stored:
            with suppress(OSError), write_atomically(self.path) as partial:
                content = {"code": self.code, "files": self.used}
                partial.write_text(json.dumps(content), encoding="utf-8")

    def archive(self, folder: str, without: Sequence[str] = ()) -> Archive:
        """The volumes of a folder and the folders below it, but for some folders in it."""
        archive = Archive(folder)
        volumes: dict[tuple, Volume] = {}
        for path in _files_below(folder, without, archive.damaged):
            try:
                header = self.read(path)
            except (DamagedDicomError, OSError) as error:
                archive.damaged.append(printable(f"{path} is a damaged DICOM file: {error}"))
                continue
            if header:
                _add_file(volumes, path, header)
        of_series = Counter(volume.series for volume in volumes.values())
        for volume in volumes.values():
            volume.is_whole = of_series[volume.series] == 1
        archive.volumes = sorted(
            volumes.values(), key=lambda v: (v.number, v.series, v.echo_time or 0)
        )
        archive.n_patients = len({v.patient for v in archive.volumes if v.patient})
        return archive


def _files_below(folder: str, without: Sequence[str], unread: list[str]) -> Iterator[str]:
    """Regular files below a folder that may be DICOM, sorted; links to folders are not followed.

    Folders that cannot be listed are added to ``unread``, with the reason.
    """

    def add_unread(error: OSError) -> None:
        unread.append(printable(f"{error.filename} cannot be listed: {error.strerror}"))

    for parent, folders, names in os.walk(folder, onerror=add_unread):
        left_out = without if parent == folder else ()
        folders[:] = sorted(n for n in folders if not n.startswith(".") and n not in left_out)
        for name in sorted(names):
            path = os.path.join(parent, name)  # noqa: PTH118
            is_other = name.startswith(".") or name.lower().endswith(OTHER_FORMATS)
            if not is_other and Path(path).is_file():
                yield path


def _add_file(volumes: dict[tuple, Volume], path: str, header: Header) -> None:
    """Add a file to the volumes that it holds slices of."""
    for kind, echo_time, n_slices in header["volumes"]:
        key = header["series"], kind, echo_time
        if key not in volumes:
            names = ("series", "study", "patient", "number", "description", "date")
            about = {name: header[name] for name in names}
            volumes[key] = Volume(
                **about, image_type=header["type"], kind=kind, echo_time=echo_time
            )
        _add(volumes[key], path, header, n_slices)


def _add(volume: Volume, path: str, header: Header, n_slices: int) -> None:
    """Add a file to a volume; a second copy of the same image is left out, if its content is the same."""
    instance = header["instance"]
    of_two = {
        "patient": "patients (PatientID)",
        "study": "studies",
        "date": "dates of studies",
    }
    for key, what in of_two.items():
        if header[key] != getattr(volume, key):
            volume.problem = printable(
                f"{next(iter(volume.files))} and {path} are of two {what}, but have the same SeriesInstanceUID"
            )
            break
    if other := next((p for p, i in volume.files.items() if i == instance), None):
        if sha256_file(other) != sha256_file(path):
            volume.problem = printable(
                f"{other} and {path} differ, but have the same SOPInstanceUID"
            )
        return
    volume.files[path] = instance
    volume.n_slices += n_slices


def cell_parts(cell: str) -> tuple[str, str]:
    """Folder or file, and SeriesInstanceUID if there is one, of a cell ``FOLDER#SeriesInstanceUID``."""
    path, _, series = cell.rpartition("#")
    return (path, series) if path and UID.fullmatch(series) else (cell, "")


def names_dicom(path: str) -> bool:
    """Whether a path, as of ``cell_parts``, is a folder or a file that is marked as DICOM."""
    with suppress(OSError, ValueError):
        if Path(path).is_dir():
            return True
        if Path(path).is_file() and not path.lower().endswith(OTHER_FORMATS):
            with Path(path).open("rb") as file:
                return file.read(MARK.stop)[MARK] == b"DICM"
    return False
