"""MATLAB images (.mat): arrays without a geometry of their own, which the card brings."""

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

HDF5 = b"\x89HDF\r\n\x1a\n"
NUMBERS = {"double", "single", "logical"} | {
    f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64)
}
BROKEN = (OSError, ValueError, TypeError, KeyError, IndexError, EOFError, MemoryError, zlib.error)


def inspect_matlab(path: Path, variable: str) -> None:
    """Look whether a file holds a 3-D array of numbers under this name, without reading it.

    Raises
    ------
    images.ScanError
        If it does not; the message names what it holds.
    """
    if _is_hdf5(path):
        import h5py

        try:
            with h5py.File(path, "r") as file:
                inside = [n for n in file if isinstance(file.get(n, getlink=True), h5py.HardLink)]
                parts = [(n, file[n]) for n in inside if isinstance(file[n], h5py.Dataset)]
                found = [  # no other file is read, whatever this one says
                    (name, part.shape[::-1], part.dtype.kind)
                    for name, part in parts
                    if not part.external and not part.is_virtual
                ]
        except BROKEN as error:
            raise ScanError(f"{path} cannot be read: {error}") from error
        held = {name: (shape, kind in "iufb") for name, shape, kind in found}
    else:
        try:
            whole = scipy.io.whosmat(str(path))
        except (*BROKEN, scipy.io.matlab.MatReadError) as error:
            raise ScanError(f"{path} is no MATLAB file that can be read: {error}") from error
        held = {name: (shape, kind in NUMBERS) for name, shape, kind in whole}
    if variable not in held:
        raise ScanError(f"{path} has no variable {variable!r}, only {sorted(held)}")
    shape, numeric = held[variable]
    if len(shape) != 3 or min(shape) < 1 or not numeric:
        raise ScanError(
            f"{path}: {variable} is no 3-D array of numbers (its shape: {tuple(shape)})"
        )


def read_matlab(path: Path, wanted: Mapping[str, Any]) -> nib.Nifti1Image:
    """The array of a MATLAB file (version 5 or 7.3) as an image whose middle is the world's origin.

    Parameters
    ----------
    path
        The file.
    wanted
        The card's ``input.matlab``: ``variable``, ``orientation`` and ``spacing_mm`` of the array.

    Returns
    -------
    Nifti1Image
        The array as it is stored (MATLAB's index order), both forms of the header coded.

    Raises
    ------
    images.ScanError
        If the file is damaged, or what is there is no 3-D array of real numbers.
    """
    variable = wanted["variable"]
    inspect_matlab(path, variable)
    try:
        if _is_hdf5(path):
            import h5py

            with h5py.File(path, "r") as file:
                data = np.asarray(file[variable]).T  # HDF5 has MATLAB's axes in the opposite order
        else:
            data = scipy.io.loadmat(str(path), variable_names=[variable])[variable]
    except (*BROKEN, scipy.io.matlab.MatReadError) as error:
        raise ScanError(f"{path} cannot be read: {error}") from error
    if data.dtype.kind not in "iufb":
        raise ScanError(f"{path}: {variable} holds {data.dtype}, not one real number a voxel")
    small = data.dtype.kind != "f" and data.dtype.itemsize < 4
    data = data.astype(np.int32 if small else np.float32)
    affine = np.diag([0.0, 0, 0, 1])
    for axis, (world, sign) in enumerate(axcodes2ornt(tuple(wanted["orientation"]))):
        affine[int(world), axis] = sign * wanted["spacing_mm"][axis]
    affine[:3, 3] = -apply_affine(affine, (np.array(data.shape) - 1) / 2)
    image = nib.Nifti1Image(data, affine)
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    image.header.set_xyzt_units("mm")
    return image


def _is_hdf5(path: Path) -> bool:
    """MATLAB writes 512 bytes of its own before the HDF5 mark of a version 7.3 file."""
    try:
        with path.open("rb") as file:
            head = file.read(520)
    except OSError as error:
        raise ScanError(f"{path} cannot be read: {error}") from error
    return head.startswith(HDF5) or head[512:] == HDF5
