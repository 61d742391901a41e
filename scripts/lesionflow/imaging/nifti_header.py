"""NIfTI headers as they stand in the file: reading, checks, and the affine selected by a policy.

NiBabel and ITK replace some impossible values by plausible ones without an error. Here they are errors; docs/headers.md
has the list. The fields are those of nifti1.h and nifti2.h (https://nifti.nimh.nih.gov).
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from isal import igzip
from nibabel.nifti1 import data_type_codes

from lesionflow.base.errors import ScanError
from lesionflow.imaging.grids import SAME_MM, largest_shift_mm

GZIP = b"\x1f\x8b"
MAGIC = {b"n+1\0": nib.Nifti1Header, b"n+2\0": nib.Nifti2Header}
ONE_VOLUME = 0  # as ``echo``: the image may have one volume only, as a mask
ANALYZE_SIZE = ((348).to_bytes(4, "little"), (348).to_bytes(4, "big"))  # first bytes
LONGEST_HEADER = 540
FIRST_DATA_BYTE = {348: 352, 540: 544}  # by the size of the header, which four bytes follow
FORM_CODES = range(6)
MILLIMETRES = (0, 2)  # codes of the unit of length: unknown counts as millimetres
OTHER_LENGTHS = {1: "metres", 3: "micrometres"}
TIME_UNITS = range(0, 56, 8)
SMALLEST_MM, LARGEST_MM = 1, 2000  # longest side of a field of view in millimetres


def read_header(
    path: str | os.PathLike[str],
    magic: Mapping[bytes, Any] = MAGIC,
    what: str = "a NIfTI file",
) -> Any:
    """The header of a NIfTI-1 or NIfTI-2 file (``.nii`` or ``.nii.gz``), unchanged.

    Parameters
    ----------
    path
        Of the file.
    magic
        Class of the header by the bytes that it holds for its kind.
    what
        What the file has to be, for messages.

    Raises
    ------
    ScanError
        If the file is not what its name says.
    """
    with Path(path).open("rb") as raw:
        block = raw.read(LONGEST_HEADER)
        if str(path).endswith(".gz"):
            if not block.startswith(GZIP):
                raise ScanError(f"{path} is not a gzip file although its name ends in .gz")
            raw.seek(0)
            with igzip.open(raw) as file:
                block = file.read(LONGEST_HEADER)
    header_class = magic.get(block[344:348]) or magic.get(block[4:8])
    if header_class is None and magic is not MAGIC and block[:4] in ANALYZE_SIZE:
        raise ScanError(
            f"{path} is an ANALYZE file, which does not state where its voxels lie (nor left and right): "
            "make a NIfTI file from the original images"
        )
    if header_class is None:
        raise ScanError(f"{path} is not {what} (no NIfTI magic in its header)")
    size = header_class.sizeof_hdr
    if len(block) < size:
        raise ScanError(f"{path} is truncated: {len(block)} of the {size} bytes of its header")
    return header_class(block[:size], check=False)


def check_data(header: Any, first_byte: int | None = None) -> None:
    """Check the fields that decide where the data begin and how they are scaled.

    Parameters
    ----------
    header
        From ``read_header``.
    first_byte
        Where the data can begin; None: behind the header.

    Raises
    ------
    ScanError
        With status ``header-conflict``, if one of them is impossible.
    """
    n_axes = int(header["dim"][0])
    if not 1 <= n_axes <= 7:
        raise _conflict(f"dim[0] is {n_axes}; the number of axes is from 1 to 7")
    if (header["dim"][1 : n_axes + 1] < 1).any():
        sides = " x ".join(str(int(n)) for n in header["dim"][1 : n_axes + 1])
        raise ScanError(f"the shape in the header is {sides}: the image is empty")
    offset = float(header["vox_offset"])
    first = FIRST_DATA_BYTE[header.sizeof_hdr] if first_byte is None else first_byte
    if not (offset >= first and offset.is_integer()):
        raise _conflict(
            f"vox_offset is {offset:g}; the data of such a file begin at byte {first} or later"
        )
    if int(header["datatype"]) not in data_type_codes.value_set():
        raise _conflict(f"datatype is {int(header['datatype'])}, which is no type of NIfTI")
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 or np.isnan(slope):  # no scaling, by the standard and by nibabel
        return
    if not np.isfinite([slope, intercept]).all():
        raise _conflict(f"scl_slope is {slope:g} and scl_inter {intercept:g}: not finite numbers")


def header_affine(header: Any, shape: tuple[int, ...], policy: str = "strict") -> np.ndarray:
    """Affine (4, 4) of a NIfTI header: the coded form, selected by ``policy`` if both are coded.

    A form with code 0 is never used (it has no meaning in NIfTI-1). If sform and qform are both
    coded, the corners of the image must agree to 1e-3 mm, or ``policy`` must name the form to use.

    Parameters
    ----------
    header
        From ``read_header``: nibabel replaces impossible values in the headers that it reads.
    shape
        Shape of the image.
    policy
        ``strict``, ``sform`` or ``qform``.

    Raises
    ------
    ScanError
        With status ``header-conflict``: if no form is coded, if both are coded and differ under ``strict``,
        if the selected form is not invertible or not finite, if a field that it depends on is impossible, or if
        lengths are not in millimetres.
    """
    affine = _select_form(header, shape, policy)
    units = int(header["xyzt_units"])
    length, time = units & 7, units & ~7
    if time not in TIME_UNITS or length not in (*MILLIMETRES, *OTHER_LENGTHS):
        raise _conflict(f"xyzt_units is {units}, which is no unit of NIfTI (2 is millimetres)")
    if length not in MILLIMETRES:
        raise _conflict(
            f"the header states lengths in {OTHER_LENGTHS[length]}, millimetres are needed"
        )
    _check_field_of_view(affine, shape)
    return affine


def check_affine(affine: np.ndarray, shape: tuple[int, ...]) -> None:
    """Check the affine of an image of another format.

    Raises
    ------
    ScanError
        With status ``header-conflict``: if it is not finite or not invertible, or if its lengths cannot be millimetres.
    """
    if not _is_invertible(affine):
        raise _conflict("the position of the voxels in the header is not an invertible affine")
    _check_field_of_view(affine, shape)


def _is_invertible(affine: np.ndarray) -> bool:
    return bool(np.isfinite(affine).all() and abs(np.linalg.det(affine[:3, :3])) > 1e-9)


def _check_field_of_view(affine: np.ndarray, shape: tuple[int, ...]) -> None:
    sides = np.linalg.norm(affine[:3, :3], axis=0) * shape[:3]
    if not SMALLEST_MM <= sides.max() <= LARGEST_MM:
        raise _conflict(
            f"the field of view is {' x '.join(f'{side:.3g}' for side in sides)} mm according to the header: "
            "are its lengths in millimetres?"
        )


def _conflict(message: str) -> ScanError:
    return ScanError(message, "header-conflict")


def _select_form(header: Any, shape: tuple[int, ...], policy: str) -> np.ndarray:
    """The form that ``policy`` selects; a form that is not used may be invalid."""
    coded = {}
    for name in ("sform", "qform"):
        code = int(header[f"{name}_code"])
        if code not in FORM_CODES:
            raise _conflict(f"{name}_code is {code}; NIfTI defines 0 to {FORM_CODES[-1]}")
        coded[name] = code > 0
    if not any(coded.values()):
        raise _conflict(
            "neither sform nor qform is coded, so the position of the voxels is unknown; "
            "set one of them from the original images"
        )
    used = [name for name in coded if coded[name]]
    if len(used) == 2 and policy != "strict":
        used = [policy]
    remedy = {
        name: f"; affine: {other} uses the {other} instead" if coded[other] else ""
        for name, other in (("sform", "qform"), ("qform", "sform"))
    }
    forms = {}
    for name in used:
        try:
            form = header.get_sform() if name == "sform" else _qform(header)
        except (ValueError, np.linalg.LinAlgError) as error:
            raise _conflict(f"the qform is not valid: {error}{remedy[name]}") from error
        if not _is_invertible(form):
            raise _conflict(f"the {name} is not an invertible affine{remedy[name]}")
        forms[name] = form
    if len(forms) == 2:
        shift_mm = largest_shift_mm(forms["sform"], forms["qform"], shape)
        if shift_mm > SAME_MM:
            raise _conflict(
                f"sform and qform put the corners of the scan up to {shift_mm:.3g} mm apart; "
                "select the right one with affine: sform or affine: qform"
            )
    return forms[used[0]]


def _qform(header: Any) -> np.ndarray:
    """The affine of the quaternion and of the voxel sizes in pixdim; ValueError if they are impossible."""
    qfac, sizes = float(header["pixdim"][0]), header["pixdim"][1:4]
    if qfac not in (-1, 0, 1):
        raise ValueError(f"pixdim[0] is {qfac:g}, it has to be 1 or -1")
    if not (np.isfinite(sizes).all() and (sizes > 0).all()):
        text = " x ".join(f"{size:g}" for size in sizes)
        raise ValueError(f"the voxel sizes in pixdim are {text} mm, they have to be positive")
    if qfac == 0:  # "which should not occur, we take qfac = 1": nifti1.h
        header = header.copy()
        header["pixdim"][0] = 1
    return header.get_qform()


def spatial_shape(
    shape: tuple[int, ...], echo: int | None
) -> tuple[tuple[int, int, int], int | None]:
    """The spatial shape of an image, and the index of the volume to use where it is 4-D.

    Parameters
    ----------
    shape
        Shape in the header.
    echo
        Volume from 1; None if none was selected, ``ONE_VOLUME`` if none can be.

    Raises
    ------
    ScanError
        If the image is empty or neither 3-D nor 4-D, or if it is 4-D and ``echo`` is not one of its volumes.
    """
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) < 3 or min(shape) < 1:
        raise ScanError(f"a 3-D image is needed, this one has the shape {shape}")
    if len(shape) == 3:
        return (shape[0], shape[1], shape[2]), None
    if len(shape) > 4:
        raise ScanError(f"a 3-D image is needed, this one has {len(shape)} axes: {shape}")
    if echo == ONE_VOLUME:
        raise ScanError(f"4-D with {shape[3]} volumes: a mask or label image has one volume")
    if echo is None:
        raise ScanError(
            f"4-D with {shape[3]} volumes: select one with echo: 1 to {shape[3]} "
            "(in the config, or as input.echo in the model card)"
        )
    if not 1 <= echo <= shape[3]:
        raise ScanError(f"echo {echo} is selected, but there are {shape[3]} volumes")
    return (shape[0], shape[1], shape[2]), echo - 1
