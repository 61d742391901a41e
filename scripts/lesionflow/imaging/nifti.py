"""Reading and writing of NIfTI files, with one affine chosen by a stated policy."""

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
from lesionflow.imaging.grids import SAME_MM, Grid, largest_shift_mm

BROKEN: Any = (  # what reading a damaged file raises
    *(ImageFileError, HeaderDataError, WrapStructError, OSError, EOFError),
    *(OverflowError, ValueError, zlib.error, IsalError),
)
LEVEL = 1  # of ISA-L: files as small as with zlib's level 1, in a tenth of the time
CHUNK = (
    1 << 20
)  # bytes unpacked at once: they are still in the processor's cache when they are copied
SMALLEST_MM, LARGEST_MM = 1, 2000  # of a field of view; lengths beyond are not in millimetres


def chosen_affine(header: Any, shape: tuple[int, ...], policy: str = "strict") -> np.ndarray:
    """Affine (4, 4) of a NIfTI header: the coded form, or by policy where both are coded.

    An uncoded form is never used (NIfTI-1 gives it no meaning). Where sform and qform are both
    coded, the corners of the image must agree to 1e-3 mm, or ``policy`` must name the one to use.

    Parameters
    ----------
    header
        ``nibabel`` NIfTI header.
    shape
        Of the image.
    policy
        ``strict``, ``sform`` or ``qform``.

    Raises
    ------
    ScanError
        ``header-conflict`` where no form is coded, where both are and differ under ``strict``,
        where the chosen form is not invertible or not finite, or where lengths are not in
        millimetres.
    """
    form = _chosen_form(header, shape, policy)
    unit = header.get_xyzt_units()[0]
    if unit not in ("unknown", "mm"):
        raise ScanError(
            f"the header gives lengths in {unit}, millimetres are needed", "header-conflict"
        )
    sides = np.linalg.norm(form[:3, :3], axis=0) * shape[:3]
    if not SMALLEST_MM <= sides.max() <= LARGEST_MM:
        raise ScanError(
            f"the field of view is {' x '.join(f'{side:.3g}' for side in sides)} mm by the header: "
            "are its lengths in millimetres?",
            "header-conflict",
        )
    return form


def _chosen_form(header: Any, shape: tuple[int, ...], policy: str) -> np.ndarray:
    try:  # a form that is not asked for may be as wrong as it likes
        sform = header.get_sform(coded=True)[0]
        asked = policy != "sform" or sform is None
        qform: Any = header.get_qform(coded=True)[0] if asked else None
    except (ValueError, np.linalg.LinAlgError) as error:
        raise ScanError(
            f"the header's orientation is not valid: {error}", "header-conflict"
        ) from error
    if sform is None and qform is None:
        raise ScanError(
            "neither sform nor qform is coded, so nothing says where the voxels lie; "
            "set one from the original images",
            "header-conflict",
        )
    for name, form in (("sform", sform), ("qform", qform)):
        if form is not None and policy in ("strict", name) and not _invertible(form):
            raise ScanError(f"the {name} is not an invertible map", "header-conflict")
    if sform is None or qform is None:
        form = qform if sform is None else sform
        if not _invertible(form):
            raise ScanError("the only coded form is not an invertible map", "header-conflict")
        return form
    if policy == "strict":
        apart = largest_shift_mm(sform, qform, shape)
        if apart > SAME_MM:
            raise ScanError(
                f"sform and qform put the scan's corners up to {apart:.3g} mm apart; "
                "say which is right with affine: sform or affine: qform",
                "header-conflict",
            )
    return qform if policy == "qform" else sform


def _invertible(form: np.ndarray) -> bool:
    return bool(np.isfinite(form).all() and abs(np.linalg.det(form[:3, :3])) > 1e-9)


def spatial_shape(
    shape: tuple[int, ...], echo: int | None
) -> tuple[tuple[int, int, int], int | None]:
    """The spatial shape of an image, and the index of the volume to use where it is 4-D.

    Raises
    ------
    ScanError
        If the image is not 3-D, and ``echo`` is None or out of range.
    """
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) < 3 or min(shape) < 1:
        raise ScanError(f"a 3-D image is needed, this one's shape is {shape}")
    if len(shape) == 3:
        return (shape[0], shape[1], shape[2]), None
    if len(shape) > 4:
        raise ScanError(f"a 3-D image is needed, this one has {len(shape)} axes: {shape}")
    if echo is None:
        raise ScanError(
            f"4-D with {shape[3]} volumes: say which to use with echo: 1 to {shape[3]} "
            "(in the config, or as input.echo in the model card)"
        )
    if not 1 <= echo <= shape[3]:
        raise ScanError(f"echo {echo} was asked for, but there are {shape[3]} volumes")
    return (shape[0], shape[1], shape[2]), echo - 1


def read_scan(
    path: str | os.PathLike[str], affine: str = "strict", echo: int | None = None
) -> nib.Nifti1Image:
    """A scan as a 3-D float32 image under one affine, with the file's own header.

    Intensities are scaled by the header's slope and intercept. Nothing else is changed: values that
    are not finite are left to the caller.

    Parameters
    ----------
    path
        NIfTI-1 or NIfTI-2, ``.nii`` or ``.nii.gz``.
    affine
        Policy of ``chosen_affine``.
    echo
        Volume of a 4-D file, from 1.

    Raises
    ------
    ScanError
        If the file cannot be read whole or is not an image of real numbers.
    """
    with _named(path):
        image = nib.load(path)
        if not isinstance(image, nib.Nifti1Image):
            raise ScanError(f"{path} is not a NIfTI file but a {type(image).__name__}")
        shape, volume = spatial_shape(image.shape, echo)
        if image.get_data_dtype().kind not in "iuf":
            raise ScanError(f"{path} holds {image.get_data_dtype()}, not one number per voxel")
        whole_array = np.asarray(_values(image, path), np.float32)
    data = whole_array.reshape(shape + (-1,))[..., volume or 0]
    return nib.Nifti1Image(data, chosen_affine(image.header, shape, affine), image.header)


def is_integer_image(path: str | os.PathLike[str]) -> bool:
    """Whether the header says that all voxels are unscaled integers, and so finite."""
    image: Any = nib.load(path)
    stored = image.dataobj
    return stored.dtype.kind in "iu" and (stored.slope, stored.inter) == (1, 0)


@contextmanager
def _named(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn the errors of a damaged file into a ``ScanError`` that names the file."""
    try:
        yield
    except ScanError:
        raise
    except BROKEN as error:
        raise ScanError(f"{path} cannot be read: {error}") from error


def _values(image: nib.Nifti1Image, path: str | os.PathLike[str]) -> Any:
    """The values of an image; those of a gzip file are read to its end, which verifies its checksum."""
    if not str(path).endswith(".gz"):
        return image.dataobj
    there: Any = image.dataobj
    values = np.empty(there.shape, there.dtype, order="F")
    left = values.T.reshape(-1).view(np.uint8).data
    with igzip.open(path) as file:
        file.seek(there.offset)
        while read := file.readinto(left[:CHUNK]):
            left = left[read:]
        while file.read(CHUNK):  # NiBabel stops before the checksum at the end
            pass
    if left:
        raise EOFError(f"{len(left)} bytes are missing at its end")
    return apply_read_scaling(values, there.slope, there.inter)


def load(path: str | os.PathLike[str]) -> nib.Nifti1Image:
    """An image that lesionflow has written: float32 or integer data under its sform.

    The data of an uncompressed file are mapped into memory; a gzip file is unpacked at once.

    Raises
    ------
    ScanError
        If the file cannot be read whole.
    """
    with _named(path):
        image = nib.load(path)
        assert isinstance(image, nib.Nifti1Image)
        return nib.Nifti1Image(
            _values(image, path), image.affine, image.header, None, image.file_map
        )


def save(path: str | os.PathLike[str], data: np.ndarray, affine: np.ndarray) -> None:
    """Write an image atomically, with sform and qform equal and coded 1 ("scanner").

    World space is that of the source scan.
    """
    image = nib.Nifti1Image(data, affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    _write(path, image)


def save_like(
    path: str | os.PathLike[str], data: np.ndarray, source: str | os.PathLike[str]
) -> None:
    """Write ``data`` on the grid of the file ``source``, with exactly its affine, codes and units.

    Sizes along a fourth axis, the type and the scaling are those of ``data``.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    original = nib.load(source)
    assert isinstance(original, nib.Nifti1Image)
    if data.shape[:3] != original.shape[:3]:
        raise ValueError(f"shape {data.shape[:3]} is not that of {source}: {original.shape[:3]}")
    header = original.header.copy()
    header.extensions.clear()
    header.set_data_dtype(data.dtype)
    header.set_slope_inter(1, 0)
    header["cal_min"] = header["cal_max"] = 0
    header["descrip"] = b"lesionflow"
    header.set_data_shape(data.shape)
    _write(path, type(original)(data, None, header))


def _write(path: str | os.PathLike[str], image: nib.Nifti1Image) -> None:
    with write_atomically(path) as partial:
        if not partial.name.endswith(".gz"):
            nib.save(image, partial)
            return
        with partial.open("wb") as raw, igzip.IGzipFile("", "wb", LEVEL, raw, mtime=0) as file:
            image.to_stream(file)


def channels_last(image: nib.Nifti1Image) -> np.ndarray:
    """Data of an image as (x, y, z, channel), also where a file of one channel has no fourth axis."""
    return with_channel_axis(np.asanyarray(image.dataobj))


def with_channel_axis(data: np.ndarray) -> np.ndarray:
    """An array (x, y, z) or (x, y, z, channel) as (x, y, z, channel)."""
    return data.reshape(data.shape[:3] + (-1,))


def read_scan_grid(
    path: str | os.PathLike[str], affine: str = "strict", echo: int | None = None
) -> Grid:
    """The grid of a scan, from its header alone (see ``read_scan``)."""
    image = nib.load(path)
    assert isinstance(image, nib.Nifti1Image)
    shape = spatial_shape(image.shape, echo)[0]
    return Grid(chosen_affine(image.header, shape, affine), shape)
