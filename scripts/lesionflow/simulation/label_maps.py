"""Whole-head label maps: their labels, the classes of tissue, and the brain.

Labels are those of FreeSurfer's colour table, as in the label maps that SynthSeg was trained on: labels of the brain
as in recon-all and SAMSEG, labels from 502 as in the whole-head atlas of CHARM (Puonti et al. 2020).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from scipy import ndimage

from lesionflow.base.errors import ScanError
from lesionflow.imaging.connected_components import bounding_boxes
from lesionflow.imaging.grids import bounding_box

CLASSES = {  # labels (left and right in one class) and tissue; the number of a class is its position
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
BRAIN = tuple(list(CLASSES)[1 : NUMBER["csf"]])  # tissue and ventricles without the outer CSF
SULCI_MM = 3.0  # half the width of sulci that the outline of the brain includes
INFRATENTORIAL = ("cerebellum-wm", "cerebellum-gm", "stem")
DEEP = ("thalamus", "caudate", "putamen", "pallidum", "accumbens", "ventral-dc")
LANDMARKS: dict[int, tuple[float, float, float]] = {  # centres of labels in MNI152 space, mm
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
    """The label map of a whole head.

    Attributes
    ----------
    classes : array (x, y, z), uint8
        Numbers of ``CLASSES``, in RAS order.
    affine : array (4, 4)
        Voxel index to world mm.
    centres : dict of array (3,)
        Centres in world mm of the labels of ``LANDMARKS`` that are present.
    """

    classes: np.ndarray
    affine: np.ndarray
    centres: dict[int, np.ndarray]

    @property
    def brain(self) -> np.ndarray:
        """Mask, bool (x, y, z), of the classes of ``BRAIN``, with holes filled."""
        is_brain = np.isin(np.arange(len(CLASSES)), [NUMBER[name] for name in BRAIN])
        return ndimage.binary_fill_holes(is_brain[self.classes])

    @property
    def outline(self) -> np.ndarray:
        """Mask, bool (x, y, z), of the brain including its sulci, as raters draw brain masks.

        The mask includes CSF in gaps of the brain up to ``2 * SULCI_MM`` wide: a morphological closing with a
        ball. Masks of skull stripping are similar, and where CSF is as bright as cortex, as in SWI, sulci cannot be
        delineated.
        """
        voxel_sizes = np.linalg.norm(self.affine[:3, :3], axis=0)
        brain = self.brain
        box = bounding_box(brain)
        margin = [int(np.ceil(SULCI_MM / size)) + 1 for size in voxel_sizes]
        padded = np.pad(brain[box], [(n, n) for n in margin])
        dilated = ndimage.distance_transform_edt(~padded, voxel_sizes) <= SULCI_MM
        closed = ndimage.distance_transform_edt(dilated, voxel_sizes) > SULCI_MM
        closed = closed[tuple(slice(n, -n) for n in margin)] | brain[box]
        outline = np.zeros_like(brain)
        outline[box] = ndimage.binary_fill_holes(closed)
        return outline

    def cropped(self) -> "LabelMap":
        """Crop to the head, with a margin of one voxel of air where the label map has one."""
        bounds = bounding_box(self.classes > 0)
        box = tuple(slice(max(0, bound.start - 1), bound.stop + 1) for bound in bounds)
        corner = nib.affines.apply_affine(self.affine, [side.start for side in box])
        affine = nib.affines.from_matvec(self.affine[:3, :3], corner)
        return LabelMap(self.classes[box], affine, self.centres)


def load_label_map(path: Path) -> LabelMap:
    """Load a label map of any orientation, as classes in RAS order.

    Raises
    ------
    ScanError
        If the image is not 3-D, does not show a whole head, or has labels that are not in ``CLASSES``.
    """
    image = nib.as_closest_canonical(nib.load(path))
    data = np.asanyarray(image.dataobj)
    if data.ndim != 3:
        raise ScanError(f"{path}: a label map must be 3-D; its shape is {data.shape}")
    labels = np.rint(data).astype(np.int64)
    class_of = {
        label: NUMBER[name] for name, (class_labels, _) in CLASSES.items() for label in class_labels
    }
    unknown = sorted(set(np.unique(labels).tolist()) - set(class_of))
    if unknown:
        raise ScanError(
            f"{path}: the labels {unknown} are not known; label_maps.CLASSES lists those of FreeSurfer and CHARM "
            "that can be used"
        )
    lut = np.zeros(max(class_of) + 1, np.uint8)
    lut[list(class_of)] = list(class_of.values())
    label_map = LabelMap(lut[labels], image.affine, _centres(labels, image.affine))
    present = np.unique(label_map.classes)
    if NUMBER["wm"] not in present or NUMBER["csf"] not in present or present[0] != 0:
        raise ScanError(
            f"{path}: a label map of a whole head is needed, which has at least air (0), CSF (24) and white matter "
            "(2, 41)"
        )
    if len(label_map.centres) < 8:
        raise ScanError(
            f"{path}: only {len(label_map.centres)} of {len(LANDMARKS)} landmarks are present; at least 8 labels "
            "of label_maps.LANDMARKS are needed"
        )
    return label_map


def split_for_training(folder: Path, held_out: int = 3) -> tuple[list[Path], list[Path]]:
    """Split the label maps of a folder into those for training and the last ones by name, which are held out.

    Raises
    ------
    ScanError
        If there are not more than ``held_out``.
    """
    paths = list_label_maps(folder)
    if len(paths) <= held_out:
        raise ScanError(
            f"{folder}: {len(paths)} label maps; at least {held_out + 1} are needed, since {held_out} are held out "
            "for evaluation"
        )
    return paths[:-held_out], paths[-held_out:]


def _centres(labels: np.ndarray, affine: np.ndarray) -> dict[int, Any]:
    boxes = bounding_boxes(labels)
    centres = {}
    for label in LANDMARKS:
        if box := boxes.get(label):
            voxels = np.argwhere(labels[box] == label) + [side.start for side in box]
            centres[label] = nib.affines.apply_affine(affine, voxels.mean(axis=0))
    return centres


def list_label_maps(folder: Path) -> list[Path]:
    """List the NIfTI files of a folder, sorted by name.

    Raises
    ------
    ScanError
        If there is none.
    """
    paths = sorted(p for p in folder.glob("*.nii*") if p.name.endswith((".nii", ".nii.gz")))
    if not paths:
        raise ScanError(f"{folder}: no label map (*.nii, *.nii.gz) in this folder")
    return paths
