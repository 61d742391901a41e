"""Check files by their headers before any pixel is read, and cache the results between runs."""

import json
import math
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from isal import igzip

from lesionflow.base.atomic_write import write_atomically
from lesionflow.base.digests import code_digest
from lesionflow.base.errors import ScanError
from lesionflow.base.file_digests import State, file_state
from lesionflow.imaging.file_types import MATLAB
from lesionflow.imaging.nifti import CHUNK, READ_ERRORS
from lesionflow.imaging.nifti_header import check_data, header_affine, read_header, spatial_shape


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
    """Check a NIfTI or MATLAB file by its header, its size and its last bytes.

    Parameters
    ----------
    path
        Scan, mask or label image.
    policy, echo
        As in ``nifti.read_scan``.
    variable
        Name of the array in a MATLAB file; MATLAB files are refused without it.
    """
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            # opening a named pipe waits for its writer, and a device may be endless
            return Finding("unreadable", f"{path} is not a regular file")
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - 8, 0))
            tail = file.read()
        if size == 0:
            raise ScanError(f"{path} is empty (0 bytes)")
        if path.name.endswith(MATLAB):
            _inspect_matlab(path, variable)
        else:
            _inspect_header(path, size, tail, policy, echo)
    except FileNotFoundError:
        return Finding("missing-input", f"{path.absolute()} does not exist")
    except IsADirectoryError:
        return Finding("unreadable", f"{path} is a directory, not a NIfTI file")
    except ScanError as error:
        reason = str(error) if str(path) in str(error) else f"{path}: {error}"
        return Finding(error.status, reason)
    except READ_ERRORS as error:
        return Finding("unreadable", f"{path} cannot be read: {error}")
    return Finding("ok", "")


def _inspect_matlab(path: Path, variable: str | None) -> None:
    from lesionflow.imaging.matlab import inspect_matlab

    if variable is None:
        raise ScanError(
            f"{path} is a MATLAB file, which has no geometry: describe it in the model card (input.matlab)"
        )
    inspect_matlab(path, variable)


def _inspect_header(path: Path, size: int, tail: bytes, policy: str, echo: int | None) -> None:
    if not path.name.endswith((".nii", ".nii.gz")):
        raise ScanError(f"{path} ends in neither .nii nor .nii.gz")
    header = read_header(path)
    check_data(header)
    dtype = header.get_data_dtype()
    if dtype.kind not in "iuf":
        kind_of_values = "colours" if dtype.names else str(dtype)
        raise ScanError(f"{path} contains {kind_of_values}, not one real number per voxel")
    shape = header.get_data_shape()
    expected = int(header["vox_offset"]) + dtype.itemsize * math.prod(int(n) for n in shape)
    compressed = path.name.endswith(".gz")
    if compressed and int.from_bytes(tail[4:], "little") == expected % 2**32:
        length = expected
    else:  # several gzip members or a damaged file: only reading it shows which
        length = uncompressed_size(path) if compressed else size
    if length < expected:
        raise ScanError(f"{path} is truncated: {length} of {expected} bytes")
    header_affine(header, spatial_shape(shape, echo)[0], policy)


def uncompressed_size(path: Path) -> int:
    """Bytes in a gzip file, by reading all of it; checksums are verified.

    Raises
    ------
    ScanError
        If the file is truncated or damaged.
    """
    total = 0
    try:
        with igzip.open(path) as file:
            while chunk := file.read(CHUNK):
                total += len(chunk)
    except READ_ERRORS as error:
        raise ScanError(f"{path} is truncated or damaged: {error}") from error
    return total


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
    states : dict
        State of each file by path, from before it was checked; None if there is no such file.
    """

    def __init__(self, path: Path):
        self.path = path
        module = Path(__file__)
        self.code = code_digest(module, module.parents[2])
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
        """The result of ``inspect``, from the cache if the file has not changed."""
        state = self.states.setdefault(str(path), file_state(path))
        key = f"{path}|{state}|{policy}|{echo}|{variable}"
        known = state is not None and key in self.stored
        finding = Finding("ok", "") if known else inspect(path, policy, echo, variable)
        if finding.status == "ok":
            self.in_order.add(key)
        return finding

    def save(self) -> None:
        """Write the checks of this run, unless the file has the same ones; without the file, they are repeated."""
        if self.in_order != self.stored:
            content = {"code": self.code, "in_order": sorted(self.in_order)}
            with suppress(OSError), write_atomically(self.path) as partial:
                partial.write_text(json.dumps(content, indent=0), encoding="utf-8")
