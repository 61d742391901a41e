"""What a scan's header shows before any pixel is read, remembered from call to call."""

import gzip
import hashlib
import io
import json
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import nibabel as nib
from isal import igzip

from lesionflow.base.atomic_write import whole
from lesionflow.base.digests import code_digest
from lesionflow.base.errors import ScanError
from lesionflow.imaging.file_types import MATLAB
from lesionflow.imaging.nifti import BROKEN, CHUNK, chosen_affine, spatial_shape

MAGIC = {b"n+1\0": nib.Nifti1Header, b"n+2\0": nib.Nifti2Header}
LONGEST_HEADER = 544
GZIP = b"\x1f\x8b"
SAMPLES, SAMPLE = 64, 1024  # of a file that is not packed: how many, of how many bytes


@dataclass(frozen=True)
class Finding:
    """Verdict on a file: ``status`` ("ok" or as in the cohort table), why, and its content's mark.

    ``content`` changes with what is in the file and not with its times or place: the size and the
    last eight bytes, which in a gzip are the CRC-32 and the length of the unpacked data (RFC 1952);
    of a plain file a hash of samples spread over it as well. Empty where the file cannot be opened.
    """

    status: str
    reason: str
    content: str


def inspect(
    path: Path, policy: str = "strict", echo: int | None = None, variable: str | None = None
) -> Finding:
    """Verdict on a NIfTI or MATLAB file by its header, its size and its last bytes.

    Parameters
    ----------
    path
        Scan, mask or label map.
    policy, echo
        As in ``nifti.read_scan``.
    variable
        Name of the array in a MATLAB file; without it such a file is refused.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - 8, 0))
            tail = file.read()
            content = f"{size}-{tail.hex()}"
            if not path.name.endswith(".gz"):
                content += f"-{_sampled(file, size)}"
        if size == 0:
            raise ScanError(f"{path} is empty (0 bytes)")
        if path.name.endswith(MATLAB):
            _inspect_matlab(path, variable)
        else:
            _inspect_header(path, size, tail, policy, echo)
    except FileNotFoundError:
        return Finding("missing-input", f"{path} does not exist", "")
    except IsADirectoryError:
        return Finding("unreadable", f"{path} is a folder, not a NIfTI file", "")
    except ScanError as error:
        reason = str(error) if str(path) in str(error) else f"{path}: {error}"
        return Finding(error.status, reason, content)
    except BROKEN as error:
        return Finding("unreadable", f"{path} cannot be read: {error}", "")
    return Finding("ok", "", content)


def _sampled(file: BinaryIO, size: int) -> str:
    digest = hashlib.sha256()
    for n in range(SAMPLES):
        file.seek(n * size // SAMPLES)
        digest.update(file.read(SAMPLE))
    return digest.hexdigest()[:16]


def _inspect_matlab(path: Path, variable: str | None) -> None:
    from lesionflow.imaging.matlab import inspect_matlab

    if variable is None:
        raise ScanError(
            f"{path} is a MATLAB file, which tells no geometry: the model card would have to (input.matlab)"
        )
    inspect_matlab(path, variable)


def _inspect_header(path: Path, size: int, tail: bytes, policy: str, echo: int | None) -> None:
    if not path.name.endswith((".nii", ".nii.gz")):
        raise ScanError(f"{path} is called neither .nii nor .nii.gz")
    packed = path.name.endswith(".gz")
    with path.open("rb") as raw:
        if packed and raw.read(2) != GZIP:
            raise ScanError(f"{path} is not a gzip file, whatever its name says")
        raw.seek(0)
        with gzip.open(raw) if packed else raw as file:
            block = file.read(LONGEST_HEADER)
    kind = MAGIC.get(block[344:348]) or MAGIC.get(block[4:8])
    if kind is None:
        raise ScanError(f"{path} is not a NIfTI file (no NIfTI mark in its header)")
    header = kind.from_fileobj(io.BytesIO(block[: kind.sizeof_hdr] + b"\0\0\0\0"))
    dtype = header.get_data_dtype()
    if dtype.kind not in "iuf":
        what = "colours" if dtype.names else str(dtype)
        raise ScanError(f"{path} holds {what}, not one real number a voxel")
    shape = header.get_data_shape()
    expected = int(header["vox_offset"]) + dtype.itemsize * math.prod(int(n) for n in shape)
    if packed and int.from_bytes(tail[4:], "little") == expected % 2**32:
        length = expected
    else:  # not a plain gzip: several members or a damaged one, read to know
        length = unpacked_bytes(path) if packed else size
    if length < expected:
        raise ScanError(f"{path} is truncated: {length} of {expected} bytes")
    chosen_affine(header, spatial_shape(shape, echo)[0], policy)


def unpacked_bytes(path: Path) -> int:
    """Bytes that a gzip holds, all of it read and held against its checksum.

    Raises
    ------
    ScanError
        If it breaks off or is not what was packed.
    """
    total = 0
    try:
        with igzip.open(path) as file:
            while chunk := file.read(CHUNK):
                total += len(chunk)
    except BROKEN as error:
        raise ScanError(f"{path} is truncated or damaged: {error}") from error
    return total


class Memory:
    """Findings by path, size, time and question, kept in one JSON file.

    What other code found, and what could not be opened, is not remembered: rights and disks change
    without a trace in the file's times.
    """

    def __init__(self, store: Path):
        self.store = store
        self.by = code_digest(Path(__file__))
        self.known: dict[str, dict[str, str]] = {}
        self.used: dict[str, dict[str, str]] = {}
        if store.is_file():
            try:
                kept = json.loads(store.read_text(encoding="utf-8"))
                self.known = kept["found"] if kept["by"] == self.by else {}
            except (ValueError, KeyError, TypeError):
                self.known = {}

    def inspect(
        self, path: Path, policy: str, echo: int | None, variable: str | None = None
    ) -> Finding:
        """``inspect``, or what it found the last time if the file is as it was."""
        try:
            stat = path.stat()
        except (OSError, ValueError):
            return inspect(path, policy, echo, variable)
        key = f"{path}|{stat.st_size}|{stat.st_mtime_ns}|{policy}|{echo}|{variable}"
        found = self.known.get(key) or asdict(inspect(path, policy, echo, variable))
        if found["content"]:
            self.used[key] = found
        return Finding(**found)

    def save(self) -> None:
        """Write what was used, if that is not what the file holds already."""
        if self.used != self.known:
            with whole(self.store) as partial:
                kept = {"by": self.by, "found": self.used}
                partial.write_text(json.dumps(kept, indent=0), encoding="utf-8")
