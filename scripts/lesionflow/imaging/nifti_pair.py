"""NIfTI images in two files: a header (.hdr) and the voxels (.img)."""

import math
from pathlib import Path
from typing import Any

import nibabel as nib
from isal import igzip

from lesionflow.base.errors import ScanError
from lesionflow.imaging.file_length import check_length
from lesionflow.imaging.nifti_header import (
    FIRST_DATA_BYTE,
    check_data,
    header_affine,
    read_header,
    spatial_shape,
)

PAIR_MAGIC = {b"ni1\0": nib.Nifti1Header, b"ni2\0": nib.Nifti2Header}
SINGLE_FILE_MAGIC = {348: b"n+1", 540: b"n+2"}  # by the size of the header


def pair_files(path: Path) -> list[Path]:
    """The header and the voxels of a pair, of which ``path`` is one."""
    name = path.name.removesuffix(".gz")
    compressed = path.name[len(name) :]
    stem = name[:-4]
    return [path.with_name(f"{stem}{ending}{compressed}") for ending in (".hdr", ".img")]


def inspect_pair(path: Path, policy: str, echo: int | None) -> Any:
    """Check the header of a pair and the length of its voxels; returns the header, unchanged.

    Raises
    ------
    ScanError
        If it is an ANALYZE file, which states no position of the voxels, or as for a NIfTI file.
    """
    header = read_header(path, PAIR_MAGIC, "a header of a NIfTI pair")
    check_data(header, first_byte=0)
    shape = header.get_data_shape()
    header_affine(header, spatial_shape(shape, echo)[0], policy)
    n_bytes = header.get_data_dtype().itemsize * math.prod(int(n) for n in shape)
    check_length(pair_files(path)[1], int(header["vox_offset"]) + n_bytes)
    return header


def read_pair(path: Path) -> tuple[Any, bytes]:
    """The image of a pair as a header of a single file, which differs in the place of the voxels alone, and the voxels.

    Raises
    ------
    ScanError
        If the voxels are not complete.
    """
    header = read_header(path, PAIR_MAGIC, "a header of a NIfTI pair")
    check_data(header, first_byte=0)
    voxels = pair_files(path)[1]
    opener: Any = igzip.open if voxels.name.endswith(".gz") else open
    with opener(voxels, "rb") as file:
        content = file.read()
    start = int(header["vox_offset"])
    n_bytes = header.get_data_dtype().itemsize * math.prod(header.get_data_shape())
    if len(content) < start + n_bytes:
        raise ScanError(f"{voxels} is truncated: {len(content)} of {start + n_bytes} bytes")
    single = header.copy()
    single["magic"] = SINGLE_FILE_MAGIC[header.sizeof_hdr]
    single["vox_offset"] = FIRST_DATA_BYTE[header.sizeof_hdr]
    return single, content[start : start + n_bytes]
