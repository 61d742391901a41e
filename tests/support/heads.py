"""Label map of a head made of ellipsoids."""

import nibabel as nib
import numpy as np
from nibabel.orientations import axcodes2ornt, ornt_transform

from lesionflow.simulation.label_maps import LANDMARKS

MIDDLE = np.array([0, -18, 8])  # centre of the brain, mm
SHELLS = [  # semi-axes in mm and label, from the outermost: skin, bone, CSF, cortex, white matter
    ((84, 104, 90), 511),
    ((78, 98, 84), 515),
    ((72, 92, 76), 24),
    ((68, 86, 71), 3),
    ((60, 78, 63), 2),
]


def label_head(path, spacing_mm=2.0, code="RAS", shift_mm=(0, 0, 0), labels=None):
    """Write a head with each landmark as a ball of radius 5 mm; return its path."""
    shape = tuple(int(np.ceil(n / spacing_mm)) for n in (184, 224, 200))
    affine = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    affine[:3, 3] = [-92, -130, -92]
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    xyz = index * spacing_mm + affine[:3, 3]
    data = np.zeros(shape, np.int16)
    for radii, label in SHELLS:
        data[(((xyz - MIDDLE) / radii) ** 2).sum(-1) < 1] = label
    data[(data == 2) & (xyz[..., 0] > 0)] = 41
    data[(data == 3) & (xyz[..., 0] > 0)] = 42
    for label, centre in LANDMARKS.items():
        data[np.linalg.norm(xyz - centre, axis=-1) < 5] = label
    for old, new in (labels or {}).items():
        data[data == old] = new
    affine[:3, 3] += shift_mm
    image = nib.Nifti1Image(data, affine)
    image = image.as_reoriented(ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(tuple(code))))
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path)
    return path
