"""Reading and writing of NIfTI files."""

import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import nibabel as nib
import numpy as np
from isal import igzip
from isal.igzip_lib import IsalError
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.volumeutils import apply_read_scaling
from nibabel.wrapstruct import WrapStructError

from lesionflow.base.atomic_write import write_atomically
from lesionflow.base.errors import ScanError
from lesionflow.imaging.file_length import CHUNK
from lesionflow.imaging.grids import Grid
from lesionflow.imaging.nifti_header import (
    ONE_VOLUME,
    check_data,
    header_affine,
    read_header,
    spatial_shape,
)

READ_ERRORS: Any = (  # raised when a damaged file is read
    *(ImageFileError, HeaderDataError, WrapStructError, OSError, EOFError),
    *(OverflowError, ValueError, zlib.error, IsalError),
)
COMPRESSION_LEVEL = 1  # of ISA-L: files as small as with zlib's level 1, in a tenth of the time
LARGEST_FRACTION = 1e-3  # of a label that was stored as a floating-point number


def read_scan(
    path: str | os.PathLike[str], affine: str = "strict", echo: int | None = None
) -> nib.Nifti1Image:
    """Read a scan as a 3-D float32 image with the affine selected by ``header_affine`` and the header of the file.

    Intensities are scaled by the header's slope and intercept. Values that are not finite are kept.

    Parameters
    ----------
    path
        NIfTI-1 or NIfTI-2, ``.nii`` or ``.nii.gz``.
    affine
        Policy of ``header_affine``.
    echo
        Volume of a 4-D file, counted from 1.

    Raises
    ------
    ScanError
        If the file cannot be read to its end, is not an image of real numbers, or has no valid affine.
    """
    with scan_errors(path):
        header = read_header(path)
        check_data(header)
        shape, volume = spatial_shape(header.get_data_shape(), echo)
        selected = header_affine(header, shape, affine)
        image = nib.load(path)
        assert isinstance(image, nib.Nifti1Image)
        if image.get_data_dtype().kind not in "iuf":
            raise ScanError(f"{path} contains {image.get_data_dtype()}, not one number per voxel")
        volumes = np.asarray(_values(image, path), np.float32)
    data = volumes.reshape(shape + (-1,))[..., volume or 0]
    return nib.Nifti1Image(data, selected, image.header)


def read_label_image(
    path: str | os.PathLike[str], affine: str = "strict"
) -> tuple[np.ndarray, np.ndarray]:
    """Read a 3-D image of whole numbers, such as an atlas, with every digit.

    Parameters
    ----------
    path, affine
        As in ``read_scan``.

    Returns
    -------
    labels : array (x, y, z), int64
        0 for values that are not finite, as some programs write the background.
    affine : array (4, 4)

    Raises
    ------
    ScanError
        As ``read_scan``, and if a value is not a whole number of at most 64 bits.
    """
    with scan_errors(path):
        header = read_header(path)
        check_data(header)
        shape, _ = spatial_shape(header.get_data_shape(), ONE_VOLUME)
        selected = header_affine(header, shape, affine)
        image: Any = nib.load(path)
        values = np.asarray(_values(image, path)).reshape(shape)
    if values.dtype.kind == "f":
        values = np.where(np.isfinite(values), values, 0)
        fractions = np.abs(values - np.rint(values)) > LARGEST_FRACTION
        if fractions.any():
            raise ScanError(
                f"{path} is not an image of labels: {int(fractions.sum())} voxels are not whole numbers, such as "
                f"{values[fractions][0]:g}. Was it resampled with interpolation? Labels need the nearest neighbour"
            )
        values = np.rint(values)
    if values.size and max(abs(int(values.min())), abs(int(values.max()))) >= 2**63:
        raise ScanError(f"{path} has labels of more than 64 bits")
    return values.astype(np.int64), selected


def is_integer_image(path: str | os.PathLike[str]) -> bool:
    """Whether all voxels are finite according to the header: integers without scaling."""
    image: Any = nib.load(path)
    stored = image.dataobj
    return stored.dtype.kind in "iu" and (stored.slope, stored.inter) == (1, 0)


@contextmanager
def scan_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Replace the errors of a damaged file by a ``ScanError``, and let each name the file."""
    try:
        yield
    except ScanError as error:
        if str(path) in str(error):
            raise
        raise ScanError(f"{path}: {error}", error.status) from error
    except READ_ERRORS as error:
        raise ScanError(f"{path} cannot be read: {error}") from error


def _values(image: nib.Nifti1Image, path: str | os.PathLike[str]) -> Any:
    """The scaled values of an image. A gzip file is read to its end, so that its checksum is verified."""
    if not str(path).endswith(".gz"):
        return image.dataobj
    stored: Any = image.dataobj
    values = np.empty(stored.shape, stored.dtype, order="F")
    remaining = values.T.reshape(-1).view(np.uint8).data
    with igzip.open(path) as file:
        file.seek(stored.offset)
        while n_read := file.readinto(remaining[:CHUNK]):
            remaining = remaining[n_read:]
        while file.read(CHUNK):  # nibabel stops before the checksum at the end
            pass
    if remaining:
        raise EOFError(f"{len(remaining)} bytes are missing at its end")
    return apply_read_scaling(values, stored.slope, stored.inter)


def load(path: str | os.PathLike[str]) -> nib.Nifti1Image:
    """Load an image that lesionflow has written, with float32 or integer data and the affine of its sform.

    The data of an uncompressed file are mapped into memory; a gzip file is decompressed at once.

    Raises
    ------
    ScanError
        If the file cannot be read to its end.
    """
    with scan_errors(path):
        image = nib.load(path)
        assert isinstance(image, nib.Nifti1Image)
        return nib.Nifti1Image(
            _values(image, path), image.affine, image.header, None, image.file_map
        )


def save(path: str | os.PathLike[str], data: np.ndarray, affine: np.ndarray) -> None:
    """Write an image atomically, with sform and qform equal to ``affine`` and coded 1 ("scanner")."""
    image = nib.Nifti1Image(data, affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    write_image(path, image)


def save_like(
    path: str | os.PathLike[str], data: np.ndarray, source: str | os.PathLike[str]
) -> None:
    """Write ``data`` on the grid of the file ``source``, with exactly its affine, codes and units.

    The length of a fourth axis and the data type are those of ``data``; there is no scaling.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    original = nib.load(source)
    assert isinstance(original, nib.Nifti1Image)
    if data.shape[:3] != original.shape[:3]:
        raise ValueError(
            f"the shape {data.shape[:3]} differs from that of {source}: {original.shape[:3]}"
        )
    header = original.header.copy()
    header.extensions.clear()
    header.set_data_dtype(data.dtype)
    header.set_slope_inter(1, 0)
    header["cal_min"] = header["cal_max"] = 0
    header["descrip"] = b"lesionflow"
    header.set_data_shape(data.shape)
    write_image(path, type(original)(data, None, header))


def write_image(path: str | os.PathLike[str], image: nib.Nifti1Image) -> None:
    """Write an image atomically as it is."""
    with _opened(path) as file:
        image.to_stream(file)


def write_nifti(path: str | os.PathLike[str], header: Any, voxels: bytes) -> None:
    """Write a header and voxels as they were read from another file, atomically."""
    with _opened(path) as file:
        file.write(header.binaryblock.ljust(int(header["vox_offset"]), b"\0"))
        file.write(voxels)


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[Any]:
    """Open a file to be written atomically, compressed if its name ends in .gz."""
    with write_atomically(path) as partial, partial.open("wb") as raw:
        if not partial.name.endswith(".gz"):
            yield raw
            return
        with igzip.IGzipFile("", "wb", COMPRESSION_LEVEL, raw, mtime=0) as file:
            yield file


def channels_last(image: nib.Nifti1Image) -> np.ndarray:
    """Data of an image as (x, y, z, channel), also if the file has one channel and no fourth axis."""
    return with_channel_axis(np.asanyarray(image.dataobj))


def with_channel_axis(data: np.ndarray) -> np.ndarray:
    """An array (x, y, z) or (x, y, z, channel) as (x, y, z, channel)."""
    return data.reshape(data.shape[:3] + (-1,))


def read_scan_grid(
    path: str | os.PathLike[str], affine: str = "strict", echo: int | None = None
) -> Grid:
    """The grid of a scan from its header, without reading its voxels; parameters as for ``read_scan``."""
    header = read_header(path)
    shape = spatial_shape(header.get_data_shape(), echo)[0]
    return Grid(header_affine(header, shape, affine), shape)
