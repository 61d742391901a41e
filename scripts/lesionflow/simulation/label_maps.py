"""Whole-head label maps: the meaning of each label, and the labels of the brain.

Numbers are those of FreeSurfer's colour table: the brain's of recon-all and SAMSEG, those from 502 on of
the whole-head atlas of CHARM (Puonti et al. 2020), as in the label maps that SynthSeg was trained on.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from scipy import ndimage

from lesionflow.base.errors import ScanError
from lesionflow.imaging.grids import bounding_box

CLASSES = {  # labels (left and right are one class) and tissue; the order gives a class its number
    "air": ((0,), "air"),
    "wm": ((2, 41, 77, 251, 252, 253, 254, 255), "wm"),
    "gm": ((3, 42), "gm"),
    "cerebellum-wm": ((7, 46), "wm"),
    "cerebellum-gm": ((8, 47), "gm"),
    "stem": ((16,), "wm"),
    "ventral-dc": ((28, 60), "wm"),
    "thalamus": ((9, 10, 48, 49), "gm"),
    "caudate": ((11, 50), "gm"),
    "putamen": ((12, 51), "gm"),
    "pallidum": ((13, 52), "gm"),
    "hippocampus": ((17, 53), "gm"),
    "amygdala": ((18, 54), "gm"),
    "accumbens": ((26, 58), "gm"),
    "wm-lesion": ((25, 57), "wm"),
    "ventricle": ((4, 5, 14, 15, 43, 44, 72), "csf"),
    "choroid-plexus": ((30, 31, 62, 63, 136, 137, 163, 164), "gm"),
    "chiasm": ((85,), "wm"),
    "csf": ((24,), "csf"),
    "artery": ((502,), "artery"),
    "eye": ((506,), "eye"),
    "soft": ((507, 508), "soft"),
    "mucosa": ((509,), "mucosa"),
    "skin": ((511,), "scalp"),
    "cord": ((512,), "wm"),
    "sinus": ((514,), "sinus"),
    "bone": ((515,), "bone"),
    "marrow": ((516,), "marrow"),
    "optic-nerve": ((530,), "wm"),
}
NUMBER = {name: number for number, name in enumerate(CLASSES)}
BRAIN = tuple(list(CLASSES)[1 : NUMBER["csf"]])  # tissue and ventricles, not the CSF around them
SULCI_MM = 3.0  # radius of the closing that bridges the sulci in the outline of a brain
INFRATENTORIAL = ("cerebellum-wm", "cerebellum-gm", "stem")
DEEP = ("thalamus", "caudate", "putamen", "pallidum", "accumbens", "ventral-dc")
LANDMARKS: dict[int, tuple[float, float, float]] = {  # centres in MNI152 space, mm, of labels
    10: (-11, -19, 7),
    11: (-13, 10, 10),
    12: (-25, 1, 1),
    13: (-19, -5, -1),
    17: (-26, -22, -14),
    18: (-24, -5, -18),
    26: (-9, 12, -7),
    8: (-26, -62, -36),
    49: (11, -19, 7),
    50: (13, 10, 10),
    51: (25, 1, 1),
    52: (19, -5, -1),
    53: (26, -22, -14),
    54: (24, -5, -18),
    58: (9, 12, -7),
    47: (26, -62, -36),
    16: (0, -27, -31),
    15: (0, -46, -33),
}


@dataclass(frozen=True)
class LabelMap:
    """A whole head.

    Attributes
    ----------
    classes : array (x, y, z), uint8
        Numbers of ``CLASSES``, in RAS order.
    affine : array (4, 4)
        Voxel index to world mm.
    centres : dict of array (3,)
        World mm of the centres of those of ``LANDMARKS`` that it has.
    """

    classes: np.ndarray
    affine: np.ndarray
    centres: dict[int, np.ndarray]

    @property
    def brain(self) -> np.ndarray:
        """Bool (x, y, z): the classes of ``BRAIN``, without holes."""
        lut = np.isin(np.arange(len(CLASSES)), [NUMBER[name] for name in BRAIN])
        return ndimage.binary_fill_holes(lut[self.classes])

    @property
    def outline(self) -> np.ndarray:
        """Bool (x, y, z): the brain with its sulci, as a brain mask is usually drawn.

        CSF between parts of the brain at most ``2 * SULCI_MM`` apart belongs to it (a morphological closing
        with a ball). Skull stripping gives such masks, and where CSF is as bright as cortex, as in SWI, no
        other outline is visible.
        """
        size_mm = np.linalg.norm(self.affine[:3, :3], axis=0)
        brain = self.brain
        box = bounding_box(brain)
        padding = [int(np.ceil(SULCI_MM / size)) + 1 for size in size_mm]
        padded = np.pad(brain[box], [(n, n) for n in padding])
        dilated = ndimage.distance_transform_edt(~padded, size_mm) <= SULCI_MM
        closed = ndimage.distance_transform_edt(dilated, size_mm) > SULCI_MM
        closed = closed[tuple(slice(n, -n) for n in padding)] | brain[box]
        outline = np.zeros_like(brain)
        outline[box] = ndimage.binary_fill_holes(closed)
        return outline

    def trimmed(self) -> "LabelMap":
        """The head cropped to its bounding box and one voxel of air around it, where there is one."""
        head = bounding_box(self.classes > 0)
        box = tuple(slice(max(0, axis.start - 1), axis.stop + 1) for axis in head)
        corner = nib.affines.apply_affine(self.affine, [axis.start for axis in box])
        affine = nib.affines.from_matvec(self.affine[:3, :3], corner)
        return LabelMap(self.classes[box], affine, self.centres)


def load_label_map(path: Path) -> LabelMap:
    """Read a label map of any orientation, as classes in RAS order.

    Raises
    ------
    ScanError
        If the image is not 3-D, has no white matter, CSF or air, or has labels that are not in ``CLASSES``.
    """
    image = nib.as_closest_canonical(nib.load(path))
    data = np.asanyarray(image.dataobj)
    if data.ndim != 3:
        raise ScanError(f"{path}: a label map is 3-D, not of shape {data.shape}")
    numbers = np.rint(data).astype(np.int64)
    known = {label: NUMBER[name] for name, (labels, _) in CLASSES.items() for label in labels}
    unknown = sorted(set(np.unique(numbers).tolist()) - set(known))
    if unknown:
        raise ScanError(f"{path}: the labels {unknown} are not known (see label_maps.CLASSES)")
    lut = np.zeros(max(known) + 1, np.uint8)
    lut[list(known)] = list(known.values())
    label_map = LabelMap(lut[numbers], image.affine, _centres(numbers, image.affine))
    present = np.unique(label_map.classes)
    if NUMBER["wm"] not in present or NUMBER["csf"] not in present or present[0] != 0:
        raise ScanError(f"{path}: a whole head is needed: air, CSF and white matter among others")
    if len(label_map.centres) < 8:
        raise ScanError(
            f"{path}: only {len(label_map.centres)} of {len(LANDMARKS)} landmarks are labelled; 8 are needed"
        )
    return label_map


def split_for_training(folder: Path, left_out: int = 3) -> tuple[list[Path], list[Path]]:
    """The label maps of a folder for training, and those for testing, which are the last ones by name.

    Raises
    ------
    ScanError
        If there are not more than ``left_out``.
    """
    paths = label_maps_in(folder)
    if len(paths) <= left_out:
        raise ScanError(
            f"{folder}: {len(paths)} label maps, but {left_out} are for testing only: more are needed"
        )
    return paths[:-left_out], paths[-left_out:]


def _centres(numbers: np.ndarray, affine: np.ndarray) -> dict[int, Any]:
    boxes = ndimage.find_objects(numbers.astype(np.int32), max(LANDMARKS))
    centres = {}
    for label in LANDMARKS:
        if (box := boxes[label - 1]) is not None:
            voxels = np.argwhere(numbers[box] == label) + [axis.start for axis in box]
            centres[label] = nib.affines.apply_affine(affine, voxels.mean(axis=0))
    return centres


def label_maps_in(folder: Path) -> list[Path]:
    """The NIfTI files of a folder, sorted by name.

    Raises
    ------
    ScanError
        If there is none.
    """
    paths = sorted(p for p in folder.glob("*.nii*") if p.name.endswith((".nii", ".nii.gz")))
    if not paths:
        raise ScanError(f"{folder}: no label map (*.nii, *.nii.gz) in this folder")
    return paths
