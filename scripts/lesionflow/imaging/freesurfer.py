"""FreeSurfer's images (.mgh, .mgz), by NiBabel, without its defaults for what a header does not state."""

import math
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from isal import igzip
from nibabel.freesurfer.mghformat import MGHHeader
from nibabel.wrapstruct import WrapStructError

from lesionflow.base.errors import ScanError
from lesionflow.imaging.file_length import check_length
from lesionflow.imaging.nifti_header import check_affine, spatial_shape

VERSION = 1
FIRST_DATA_BYTE = 284
GOOD_RAS_FLAG = slice(28, 30)  # its bytes: 1 if the header states a position


def inspect_mgh(path: Path, echo: int | None) -> None:
    """Check the header of an image and its length.

    Raises
    ------
    ScanError
        If it is not a complete image, or does not state the position of its voxels.
    """
    with _opened(path) as file:
        header = _header(path, file.read(FIRST_DATA_BYTE))
    shape = spatial_shape(header.get_data_shape(), echo)[0]
    check_affine(header.get_affine(), shape)
    n_bytes = header.get_data_dtype().itemsize * math.prod(int(n) for n in header["dims"])
    check_length(path, FIRST_DATA_BYTE + n_bytes)


def read_mgh(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Voxels, in their own type, and the affine of an image that ``inspect_mgh`` accepts."""
    with _opened(path) as file:
        content = file.read()  # to the end, so that the checksum of a gzip file is verified
    header = _header(path, content[:FIRST_DATA_BYTE])
    image: Any = nib.MGHImage.from_bytes(content)
    data = np.asarray(image.dataobj)
    return data.astype(data.dtype.newbyteorder("=")), header.get_affine()


def _opened(path: Path) -> Any:
    return igzip.open(path) if path.name.endswith((".mgz", ".gz")) else path.open("rb")


def _header(path: Path, block: bytes) -> Any:
    if len(block) < FIRST_DATA_BYTE:
        raise ScanError(
            f"{path} is truncated: {len(block)} of the {FIRST_DATA_BYTE} bytes of its header"
        )
    try:
        header: Any = MGHHeader(block[: MGHHeader.template_dtype.itemsize], check=False)
    except (WrapStructError, ValueError) as error:
        raise ScanError(f"{path} is not a FreeSurfer image: {error}") from error
    if header["version"] != VERSION:
        raise ScanError(f"{path} is not a FreeSurfer image (its first number is not {VERSION})")
    if (header["dims"] < 1).any():
        raise ScanError(f"the shape in the header of {path} is {tuple(header['dims'].tolist())}")
    if int(header["type"]) not in (0, 1, 3, 4, 10):
        raise ScanError(f"{path} has the type {int(header['type'])}, not one number per voxel")
    if block[GOOD_RAS_FLAG] != b"\0\1":  # nibabel replaces a flag of 0 by a position of its own
        raise ScanError(
            f"{path} does not state the position of its voxels (goodRASFlag is 0)",
            "header-conflict",
        )
    return header
