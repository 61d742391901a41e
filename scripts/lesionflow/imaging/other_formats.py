"""Images in other formats than single NIfTI files: checked, and converted to NIfTI with their geometry."""

import math
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nibabel as nib
import numpy as np

from lesionflow.base.errors import ScanError
from lesionflow.imaging.file_length import check_length
from lesionflow.imaging.file_types import (
    FREESURFER,
    MATLAB,
    METAIMAGE,
    NIFTI,
    NRRD,
    PAIR,
    PAIR_DATA,
    WITH_GEOMETRY,
)
from lesionflow.imaging.freesurfer import inspect_mgh, read_mgh
from lesionflow.imaging.itk_headers import read_itk_header
from lesionflow.imaging.matlab import read_matlab
from lesionflow.imaging.nifti import read_scan, scan_errors, write_image, write_nifti
from lesionflow.imaging.nifti_header import check_affine
from lesionflow.imaging.nifti_pair import inspect_pair, pair_files, read_pair

LARGEST_SHEAR = 1e-4  # of the axes; a qform has none


def image_files(path: Path) -> list[Path]:
    """The files of an image: that of the header first, then that of the voxels where there are two.

    Raises
    ------
    ScanError
        If a header cannot be read, or names a file in another folder.
    """
    if path.name.endswith((*PAIR, *PAIR_DATA)):
        return pair_files(path)
    if path.name.endswith((*NRRD, *METAIMAGE)) and path.is_file():  # a pipe would wait
        data_file = read_itk_header(path).data_file
        return [path, data_file] if data_file else [path]
    return [path]


def inspect_image(path: Path, policy: str, echo: int | None) -> None:
    """Check an image by its headers, as far as they tell.

    Parameters
    ----------
    path
        Image, neither NIfTI in one file nor MATLAB.
    policy, echo
        As in ``nifti.read_scan``.

    Raises
    ------
    ScanError
        If the image cannot be used.
    """
    if path.name.endswith(FREESURFER):
        inspect_mgh(path, echo)
    elif path.name.endswith(PAIR):
        header = inspect_pair(path, policy, echo)
        check_numbers(path, header.get_data_dtype())
    elif path.name.endswith((*NRRD, *METAIMAGE)):
        header = read_itk_header(path)
        check_affine(header.affine, header.shape)
        n_bytes = _bytes_per_voxel(path)
        if not header.compressed:
            check_length(header.data_file or path, n_bytes * math.prod(header.shape))
    else:
        raise ScanError(f"{path} ends in none of {', '.join((*WITH_GEOMETRY, MATLAB))}")


def check_numbers(path: Path, dtype: np.dtype) -> None:
    """Refuse voxels that are not real numbers.

    Raises
    ------
    ScanError
        If they are colours, complex numbers or anything else.
    """
    if dtype.kind not in "iuf":
        kind_of_values = "colours" if dtype.names else str(dtype)
        raise ScanError(f"{path} contains {kind_of_values}, not one real number per voxel")


def convert_image(path: Path, output: Path, matlab: Mapping[str, Any] | None = None) -> None:
    """Write an image as a NIfTI file of the same voxels, in their own type, and the same affine.

    The header of a NIfTI pair is kept. In other formats, sform and qform are the affine, coded 1; a sheared affine,
    which a qform cannot express, is in the sform alone.

    Parameters
    ----------
    path
        The image; the other files of ``image_files`` lie beside it.
    output
        ``.nii`` or ``.nii.gz``; written atomically.
    matlab
        The card's ``input.matlab``, for MATLAB images.

    Raises
    ------
    ScanError
        If the image cannot be read to its end.
    """
    with scan_errors(path):
        _convert(path, output, matlab)


def _convert(path: Path, output: Path, matlab: Mapping[str, Any] | None) -> None:
    if path.name.endswith(MATLAB):
        assert matlab is not None  # the header check refuses MATLAB files without it
        write_image(output, read_matlab(path, matlab))
    elif path.name.endswith(PAIR):
        write_nifti(output, *read_pair(path))
    else:
        data, affine = (read_mgh if path.name.endswith(FREESURFER) else _read_with_itk)(path)
        image = nib.Nifti1Image(data, affine, dtype=data.dtype)
        image.header.set_xyzt_units("mm")
        image.set_sform(affine, 1)
        image.set_qform(affine, 0 if _is_sheared(affine) else 1)
        write_image(output, image)


def read_image(path: Path, affine: str, matlab: Mapping[str, Any] | None = None) -> nib.Nifti1Image:
    """Read an image of any format as ``nifti.read_scan`` reads NIfTI files."""
    if path.name.endswith(NIFTI):
        return read_scan(path, affine)
    with TemporaryDirectory() as folder:
        converted = Path(folder, "image.nii")
        convert_image(path, converted, matlab)
        return read_scan(converted, affine)


def _is_sheared(affine: np.ndarray) -> bool:
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return bool(np.abs(axes.T @ axes - np.eye(3)).max() > LARGEST_SHEAR)


def _bytes_per_voxel(path: Path) -> int:
    """Size of the voxels of a NRRD or MetaImage file, which have to be real numbers."""
    import SimpleITK as sitk  # noqa: N813

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise ScanError(f"{path} cannot be read: {_message(error)}") from error
    kind = sitk.GetPixelIDValueAsString(reader.GetPixelID())
    if reader.GetNumberOfComponents() != 1 or "complex" in kind:
        raise ScanError(f"{path} contains {kind}, not one real number per voxel")
    return sitk.Image([1, 1, 1], reader.GetPixelID()).GetSizeOfPixelComponent()


def _read_with_itk(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Voxels, in their own type, and the affine of a NRRD or MetaImage file."""
    import SimpleITK as sitk  # noqa: N813

    header = read_itk_header(path)
    try:
        data = sitk.GetArrayFromImage(sitk.ReadImage(str(path))).T
    except RuntimeError as error:
        raise ScanError(f"{path} cannot be read: {_message(error)}") from error
    if data.shape != header.shape:
        raise ScanError(f"{path} has the shape {header.shape}, but holds {data.shape} voxels")
    return data, header.affine


def _message(error: RuntimeError) -> str:
    """The last line of an error of ITK, which says why."""
    return str(error).strip().splitlines()[-1].strip()
