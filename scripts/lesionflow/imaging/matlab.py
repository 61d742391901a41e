"""MATLAB images (.mat): arrays without geometry, which the card states instead."""

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import scipy.io
from nibabel.affines import apply_affine
from nibabel.orientations import axcodes2ornt

from lesionflow.base.errors import ScanError

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
NUMERIC_CLASSES = {"double", "single", "logical"} | {
    f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64)
}
READ_ERRORS = (  # raised when a damaged file is read
    *(OSError, ValueError, TypeError, KeyError, IndexError, EOFError, MemoryError, zlib.error),
)


def inspect_matlab(path: Path, variable: str) -> None:
    """Check that ``variable`` is a 3-D array of numbers in a MATLAB file, without reading the array.

    Raises
    ------
    ScanError
        If it is not; the message names the variables of the file.
    """
    if _is_hdf5(path):
        import h5py

        try:
            with h5py.File(path, "r") as file:
                names = [n for n in file if isinstance(file.get(n, getlink=True), h5py.HardLink)]
                datasets = [(n, file[n]) for n in names if isinstance(file[n], h5py.Dataset)]
                variables = {  # an HDF5 file can refer to other files, which are never opened
                    name: (dataset.shape[::-1], dataset.dtype.kind in "iufb")
                    for name, dataset in datasets
                    if not dataset.external and not dataset.is_virtual
                }
        except READ_ERRORS as error:
            raise ScanError(f"{path} cannot be read: {error}") from error
    else:
        try:
            contents = scipy.io.whosmat(str(path))
        except (*READ_ERRORS, scipy.io.matlab.MatReadError) as error:
            raise ScanError(f"{path} cannot be read as a MATLAB file: {error}") from error
        variables = {name: (shape, kind in NUMERIC_CLASSES) for name, shape, kind in contents}
    if variable not in variables:
        raise ScanError(f"{path} has no variable {variable!r}, only {sorted(variables)}")
    shape, is_numeric = variables[variable]
    if len(shape) != 3 or min(shape) < 1 or not is_numeric:
        raise ScanError(
            f"{path}: {variable} is not a 3-D array of numbers (its shape: {tuple(shape)})"
        )


def read_matlab(path: Path, matlab_spec: Mapping[str, Any]) -> nib.Nifti1Image:
    """The array of a MATLAB file (version 5 or 7.3) as an image, with its centre at the world origin.

    Parameters
    ----------
    path
        The file.
    matlab_spec
        The card's ``input.matlab``: ``variable``, ``orientation`` and ``spacing_mm`` of the array.

    Returns
    -------
    Nifti1Image
        The array in MATLAB's index order, with sform and qform equal and coded 1.

    Raises
    ------
    ScanError
        If the file is damaged, or the variable is not a 3-D array of real numbers.
    """
    variable = matlab_spec["variable"]
    inspect_matlab(path, variable)
    try:
        if _is_hdf5(path):
            import h5py

            with h5py.File(path, "r") as file:
                data = np.asarray(file[variable]).T  # MATLAB's axes are reversed in HDF5
        else:
            data = scipy.io.loadmat(str(path), variable_names=[variable])[variable]
    except (*READ_ERRORS, scipy.io.matlab.MatReadError) as error:
        raise ScanError(f"{path} cannot be read: {error}") from error
    if data.dtype.kind not in "iufb":
        raise ScanError(f"{path}: {variable} contains {data.dtype}, not one real number per voxel")
    fits_int32 = data.dtype.kind != "f" and data.dtype.itemsize < 4
    data = data.astype(np.int32 if fits_int32 else np.float32)
    affine = np.diag([0.0, 0, 0, 1])
    for axis, (world, sign) in enumerate(axcodes2ornt(tuple(matlab_spec["orientation"]))):
        affine[int(world), axis] = sign * matlab_spec["spacing_mm"][axis]
    affine[:3, 3] = -apply_affine(affine, (np.array(data.shape) - 1) / 2)
    image = nib.Nifti1Image(data, affine)
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    image.header.set_xyzt_units("mm")
    return image


def check_same_shape(path: Path, reference: Path, matlab_spec: Mapping[str, Any]) -> None:
    """Check that a MATLAB image has the shape of the reference channel.

    Raises
    ------
    ScanError
        With status ``header-conflict``, if it has another one.
    """
    shape, reference_shape = (read_matlab(file, matlab_spec).shape for file in (path, reference))
    if shape != reference_shape:
        raise ScanError(
            f"{path} has the shape {shape}, {reference} {reference_shape}: MATLAB files have no position in space, "
            "so their shapes must be equal",
            "header-conflict",
        )


def _is_hdf5(path: Path) -> bool:
    """Whether a file is HDF5; in version 7.3, MATLAB writes 512 bytes before the HDF5 signature."""
    try:
        with path.open("rb") as file:
            start = file.read(520)
    except OSError as error:
        raise ScanError(f"{path} cannot be read: {error}") from error
    return start.startswith(HDF5_SIGNATURE) or start[512:] == HDF5_SIGNATURE
