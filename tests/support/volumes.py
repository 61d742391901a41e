"""Small scans with chosen geometry, intensities and defects."""

import gzip
from itertools import permutations, product
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.orientations import axcodes2ornt
from scipy.spatial.transform import Rotation

CODES = [
    "".join(codes)
    for order in permutations([("L", "R"), ("P", "A"), ("I", "S")])
    for codes in product(*order)
]


def oriented(code, spacing, shape, rotation=(0, 0, 0), shear=0.0, origin=(3.0, -7.0, 11.0)):
    """Affine of a scan with axis codes ``code``, rotated and sheared in world space."""
    orientation = axcodes2ornt(tuple(code))
    affine = np.zeros((4, 4))
    affine[3, 3] = 1
    for axis, (world_axis, sign) in enumerate(orientation):
        affine[int(world_axis), axis] = sign * spacing[axis]
    transform = np.eye(4)
    transform[:3, :3] = Rotation.from_euler("xyz", rotation, degrees=True).as_matrix()
    transform[0, 1] += shear
    affine = transform @ affine
    affine[:3, 3] = origin
    return affine


def save_scan(path, data, affine=None, sform=1, qform=1, slope=None):
    """Write a NIfTI file with these form codes; returns its path."""
    affine = np.eye(4) if affine is None else affine
    image = nib.Nifti1Image(data, affine)
    image.set_sform(affine, sform)
    image.set_qform(affine, qform)
    if slope:
        image.header.set_slope_inter(*slope)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path)
    return Path(path)


def noise(shape=(12, 13, 14), seed=0, dtype=np.float32):
    """Positive random intensities."""
    return (np.random.default_rng(seed).random(shape) * 200 + 50).astype(dtype)


def truncate(path, share=0.5):
    """Truncate a file to a share of its size."""
    content = Path(path).read_bytes()
    Path(path).write_bytes(content[: int(len(content) * share)])


def in_two_members(path):
    """Rewrite a gzip file as two members, which is valid too."""
    data = gzip.decompress(Path(path).read_bytes())
    half = len(data) // 2
    Path(path).write_bytes(gzip.compress(data[:half]) + gzip.compress(data[half:]))
