"""Simulated heads from a label map of a real head, randomly deformed."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from nibabel.affines import apply_affine
from scipy import ndimage

from lesionflow.simulation.label_maps import (
    BRAIN,
    CLASSES,
    DEEP,
    INFRATENTORIAL,
    LANDMARKS,
    NUMBER,
    load_label_map,
)
from lesionflow.simulation.template_head import (
    PLACES,
    Anatomy,
    Deformation,
    head_grid,
    iron_content,
    place_index,
    signed_depth,
)

IRON = {  # as in template_head.NUCLEI; the choroid plexus for its calcium, which excludes microbleeds as well
    "pallidum": 1.0,
    "putamen": 0.45,
    "caudate": 0.4,
    "choroid-plexus": 0.35,
    "thalamus": 0.1,
}
UNLABELLED = ("substantia-nigra", "red-nucleus", "dentate")  # nuclei that label maps do not have


@dataclass(frozen=True)
class NativeDeformation:
    """A deformation of a head in its native space, with an affine from there to MNI space."""

    deformation: Deformation
    affine: np.ndarray

    def to_template(self, xyz: np.ndarray) -> np.ndarray:
        """Template coordinates (n, 3) of world positions (n, 3), mm."""
        return apply_affine(self.affine, self.deformation.to_template(xyz))

    def to_head(self, mni: np.ndarray) -> np.ndarray:
        """World positions (n, 3) of template coordinates (n, 3), mm."""
        return self.deformation.to_head(apply_affine(np.linalg.inv(self.affine), mni))


def rigid_fit(points: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Least-squares rotation and translation (4, 4) from points (n, 3) to targets (Kabsch 1976)."""
    centre, target_centre = points.mean(axis=0), targets.mean(axis=0)
    left, _, right = np.linalg.svd((targets - target_centre).T @ (points - centre))
    rotation = left @ np.diag([1, 1, np.sign(np.linalg.det(left @ right))]) @ right
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation, target_centre - rotation @ centre
    return matrix


def affine_fit(points: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Least-squares affine (4, 4) from points (n, 3) to targets."""
    ones = np.column_stack([points, np.ones(len(points))])
    matrix = np.eye(4)
    matrix[:3] = np.linalg.lstsq(ones, targets, rcond=None)[0].T
    return matrix


def labelled_anatomy(path: Path, seed: int, spacing_mm: float = 1.0) -> Anatomy:
    """Simulate a head from a whole-head label map; the same seed gives the same head.

    The head is aligned rigidly with the template by landmarks, then deformed like the MNI152 heads. Nuclei
    without a label, and other structures with known MNI coordinates, are placed by an affine that is
    fitted to the landmarks.

    Parameters
    ----------
    path
        Label map (see ``label_maps``).
    seed
        Of the deformation, and of the fat in soft tissue.
    spacing_mm
        Voxel size of the head's grid.
    """
    rng = np.random.default_rng([seed, 12])
    head = load_label_map(path)
    points = np.array([head.centres[n] for n in LANDMARKS if n in head.centres])
    targets = np.array([LANDMARKS[n] for n in LANDMARKS if n in head.centres])
    alignment = rigid_fit(points, targets)
    deformation_to_mni = NativeDeformation(
        Deformation(rng), affine_fit(apply_affine(alignment, points), targets)
    )

    affine, axes = head_grid(spacing_mm)
    coordinates = deformation_to_mni.deformation.grid_to_template(axes)
    matrix = np.linalg.inv(alignment @ head.affine)
    classes = _nearest_values(head.classes, matrix, coordinates)
    outline = _smoothed(_nearest_values(head.outline, matrix, coordinates), 0.5 / spacing_mm)
    mni = np.tensordot(deformation_to_mni.affine[:3, :3], coordinates, 1).astype(np.float32)
    mni += deformation_to_mni.affine[:3, 3].astype(np.float32).reshape(3, 1, 1, 1)

    tissue = _tissue_shares(classes, 0.5 / spacing_mm, rng)
    brain = _smoothed(np.isin(classes, [NUMBER[name] for name in BRAIN]), 0.5 / spacing_mm)
    cavity = (classes > 0) & (classes <= NUMBER["csf"])
    iron = iron_content(mni, brain > 0.5, UNLABELLED)
    for name, strength in IRON.items():
        iron = np.maximum(iron, strength * _smoothed(classes == NUMBER[name], 0.7 / spacing_mm))
    depth = signed_depth(cavity.astype(np.float32), spacing_mm)
    place = _place_map(classes, mni)
    return Anatomy(
        affine, tissue, iron, brain, np.maximum(outline, brain), depth, place, deformation_to_mni
    )


def _nearest_values(values: np.ndarray, matrix: np.ndarray, coordinates: np.ndarray) -> np.ndarray:
    """Values (classes or bool) of the nearest voxels at coordinates (3, x, y, z); 0 outside."""
    sampled = np.zeros(coordinates.shape[1:], np.uint8)
    for x in range(coordinates.shape[1]):  # slice by slice, to save memory
        index = np.tensordot(matrix[:3, :3], coordinates[:, x], 1) + matrix[:3, 3].reshape(3, 1, 1)
        sampled[x] = ndimage.map_coordinates(values.view(np.uint8), index, order=0)
    return sampled


def _smoothed(inside: np.ndarray, sigma: float) -> np.ndarray:
    return ndimage.gaussian_filter(inside.astype(np.float32), sigma, truncate=3)


def _tissue_shares(
    classes: np.ndarray, sigma: float, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Share of each tissue, with edges smoothed as by partial volume; a part of the soft tissue is fat."""
    shares: dict[str, np.ndarray] = {}
    for tissue in dict.fromkeys(tissue for _, tissue in CLASSES.values()):
        numbers = [
            NUMBER[name] for name, (_, class_tissue) in CLASSES.items() if class_tissue == tissue
        ]
        if tissue != "air":
            shares[tissue] = _smoothed(np.isin(classes, numbers), sigma)
    grain = rng.standard_normal([n // 12 + 2 for n in classes.shape], np.float32)
    grain = ndimage.zoom(grain, 12, order=1)[tuple(map(slice, classes.shape))]
    shares["fat"] = shares["soft"] * (grain > 0.3)
    shares["soft"] = shares["soft"] - shares["fat"]
    return shares


def _place_map(classes: np.ndarray, mni: np.ndarray) -> np.ndarray:
    """Index in ``PLACES`` by label; deep white matter, which has no label of its own, by coordinates."""
    deep = np.isin(classes, [NUMBER[name] for name in DEEP])
    deep |= (place_index(mni) == PLACES.index("deep")) & np.isin(
        classes, [NUMBER["wm"], NUMBER["wm-lesion"]]
    )
    place = deep.astype(np.uint8) * np.uint8(PLACES.index("deep"))
    place[np.isin(classes, [NUMBER[name] for name in INFRATENTORIAL])] = PLACES.index(
        "infratentorial"
    )
    return place
