"""Images written in other formats than NIfTI, by NiBabel or SimpleITK."""

from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK as sitk


def save_mgh(path, data, affine):
    """A FreeSurfer image (.mgh or .mgz)."""
    nib.save(nib.MGHImage(data, affine), path)
    return Path(path)


def save_pair(path, data, affine, byte_order="<", slope=None):
    """A NIfTI pair; ``path`` is that of the header."""
    header = nib.nifti1.Nifti1PairHeader(endianness=byte_order)
    header.set_data_dtype(data.dtype)
    image = nib.Nifti1Pair(data, affine, header)
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    if slope:
        image.header.set_slope_inter(*slope)
    nib.save(image, path)
    return Path(path)


def save_with_itk(path, data, affine, compressed=False):
    """A NRRD or MetaImage file; the axes of ``affine`` have to be orthogonal."""
    lps = np.diag([-1.0, -1, 1, 1]) @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image = sitk.GetImageFromArray(np.ascontiguousarray(data.T))
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    sitk.WriteImage(image, str(path), compressed)
    return Path(path)


def save_nrrd(path, data, fields, voxels=None):
    """A NRRD file of raw voxels with these fields; None leaves one out."""
    fields = {
        "type": data.dtype.name,
        "dimension": data.ndim,
        "sizes": " ".join(map(str, data.shape)),
        "endian": "little",
        "encoding": "raw",
        "space": "left-posterior-superior",
        "space directions": "(1,0,0) (0,1,0) (0,0,1)",
        "space origin": "(0,0,0)",
    } | fields
    text = "NRRD0004\n" + "".join(f"{k}: {v}\n" for k, v in fields.items() if v is not None)
    content = data.tobytes("F") if voxels is None else voxels
    Path(path).write_bytes(text.encode() + b"\n" + content)
    return Path(path)
