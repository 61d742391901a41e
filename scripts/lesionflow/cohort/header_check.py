"""Check files by their headers before any pixel is read, and cache the results between runs."""

import json
import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lesionflow.base.atomic_write import write_atomically
from lesionflow.base.digests import code_digest
from lesionflow.base.errors import ScanError
from lesionflow.base.file_digests import State, file_state
from lesionflow.cohort.dicom_archive import DicomHeaders
from lesionflow.imaging.file_length import check_length
from lesionflow.imaging.file_types import MATLAB, NIFTI
from lesionflow.imaging.nifti import READ_ERRORS
from lesionflow.imaging.nifti_header import check_data, header_affine, read_header, spatial_shape
from lesionflow.imaging.other_formats import check_numbers, image_files, inspect_image


@dataclass(frozen=True)
class Finding:
    """Result of the check of one file.

    Attributes
    ----------
    status
        "ok", or a status of the cohort table.
    reason
        Why the status is not ok; empty if it is.
    """

    status: str
    reason: str


def inspect(
    path: Path, policy: str = "strict", echo: int | None = None, variable: str | None = None
) -> Finding:
    """Check an image by its header, its size and its last bytes.

    Parameters
    ----------
    path
        Scan, mask or label image; where an image has two files, that of the header.
    policy, echo
        As in ``nifti.read_scan``.
    variable
        Name of the array in a MATLAB file; MATLAB files are refused without it.
    """
    try:
        _check_exists(path)
        for file in image_files(path)[1:]:
            _check_exists(file)
        if path.name.endswith(MATLAB):
            _inspect_matlab(path, variable)
        elif path.name.endswith(NIFTI):
            _inspect_header(path, policy, echo)
        else:
            inspect_image(path, policy, echo)
    except FileNotFoundError as error:
        missing = Path(error.filename).absolute()
        of = "" if missing == path.absolute() else f", which belongs to {path}"
        return Finding("missing-input", f"{missing} does not exist{of}")
    except IsADirectoryError:
        return Finding("unreadable", f"{path} is a directory, not an image")
    except ScanError as error:
        reason = str(error) if str(path) in str(error) else f"{path}: {error}"
        return Finding(error.status, reason)
    except READ_ERRORS as error:
        return Finding("unreadable", f"{path} cannot be read: {error}")
    return Finding("ok", "")


def _check_exists(path: Path) -> None:
    """Check that a file is a regular file with content."""
    if path.exists() and not path.is_file() and not path.is_dir():
        # opening a named pipe waits for its writer, and a device may be endless
        raise ScanError(f"{path} is not a regular file")
    with path.open("rb") as file:
        if not file.read(1):
            raise ScanError(f"{path} is empty (0 bytes)")


def _inspect_matlab(path: Path, variable: str | None) -> None:
    from lesionflow.imaging.matlab import inspect_matlab

    if variable is None:
        raise ScanError(
            f"{path} is a MATLAB file, which has no geometry: describe it in the model card (input.matlab)"
        )
    inspect_matlab(path, variable)


def _inspect_header(path: Path, policy: str, echo: int | None) -> None:
    header = read_header(path)
    check_data(header)
    check_numbers(path, header.get_data_dtype())
    shape = header.get_data_shape()
    n_bytes = header.get_data_dtype().itemsize * math.prod(int(n) for n in shape)
    check_length(path, int(header["vox_offset"]) + n_bytes)
    header_affine(header, spatial_shape(shape, echo)[0], policy)


class HeaderCache:
    """The checks of earlier runs, in one JSON file.

    A file that was in order is not opened again if it has the same path and state (``file_digests.file_state``) and is
    checked with the same options and the same code. Other files are always checked again: permissions and disks change
    without a trace in the state of a file.

    Parameters
    ----------
    path
        The JSON file; one that cannot be read counts as empty.

    Attributes
    ----------
    dicom : DicomHeaders
        The headers of DICOM files, in a file beside it.
    states : dict
        State of each file by path, from before it was checked; None if there is no such file.
    """

    def __init__(self, path: Path):
        self.path = path
        module = Path(__file__)
        self.code = code_digest(module, module.parents[2])
        self.dicom = DicomHeaders(path.with_name("dicom.json"))
        self.stored: set[str] = set()
        self.in_order: set[str] = set()
        self.states: dict[str, State | None] = {}
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            self.stored = set(content["in_order"]) if content["code"] == self.code else set()
        except (OSError, ValueError, KeyError, TypeError):
            pass  # not written yet, by another version, or damaged

    def inspect(
        self, path: Path, policy: str, echo: int | None, variable: str | None = None
    ) -> Finding:
        """The result of ``inspect``, from the cache if the files of the image have not changed."""
        states = [self.states.setdefault(name, file_state(name)) for name in self.files(path)]
        key = f"{path}|{states}|{policy}|{echo}|{variable}"
        known = None not in states and key in self.stored
        finding = Finding("ok", "") if known else inspect(path, policy, echo, variable)
        if finding.status == "ok":
            self.in_order.add(key)
        return finding

    def files(self, path: Path) -> list[str]:
        """The files of an image, the path itself first; if its header does not tell, that path alone."""
        with suppress(ScanError, *READ_ERRORS):
            return list(map(str, image_files(path)))
        return [str(path)]

    def watch(self, files: Sequence[str]) -> None:
        """Note the states of files that are checked otherwise."""
        for path in files:
            self.states.setdefault(path, file_state(path))

    def save(self) -> None:
        """Write the checks of this run, unless the file has the same ones; without the file, they are repeated."""
        if self.in_order != self.stored:
            content = {"code": self.code, "in_order": sorted(self.in_order)}
            with suppress(OSError), write_atomically(self.path) as partial:
                partial.write_text(json.dumps(content, indent=0), encoding="utf-8")
        self.dicom.save()
