"""Simulated heads from whole-head label maps, randomly deformed."""

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
    iron_map,
    place_map,
    signed_depth,
)

# Iron as in template_head.NUCLEI. The choroid plexus is listed for its calcium, so that no microbleed is placed there.
IRON = {
    "pallidum": 1.0,
    "putamen": 0.45,
    "caudate": 0.4,
    "choroid-plexus": 0.35,
    "thalamus": 0.1,
}
UNLABELLED = ("substantia-nigra", "red-nucleus", "dentate")  # nuclei that label maps do not have


@dataclass(frozen=True)
class CompositeTransform:
    """A transform between a head and MNI space: the deformation of the head, then an affine (4, 4)."""

    deformation: Deformation
    affine: np.ndarray

    def to_template(self, xyz: np.ndarray) -> np.ndarray:
        """Transform world positions (n, 3) of the head to template coordinates (n, 3), mm."""
        return apply_affine(self.affine, self.deformation.to_template(xyz))

    def to_head(self, mni: np.ndarray) -> np.ndarray:
        """Transform template coordinates (n, 3) to world positions (n, 3), mm."""
        return self.deformation.to_head(apply_affine(np.linalg.inv(self.affine), mni))


def rigid_fit(points: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Rigid transform (4, 4) of points (n, 3) to targets with the least squared distance (Kabsch 1976)."""
    centroid, target_centroid = points.mean(axis=0), targets.mean(axis=0)
    left, _, right = np.linalg.svd((targets - target_centroid).T @ (points - centroid))
    rotation = left @ np.diag([1, 1, np.sign(np.linalg.det(left @ right))]) @ right
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation, target_centroid - rotation @ centroid
    return matrix


def affine_fit(points: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Affine transform (4, 4) of points (n, 3) to targets with the least squared distance."""
    ones = np.column_stack([points, np.ones(len(points))])
    matrix = np.eye(4)
    matrix[:3] = np.linalg.lstsq(ones, targets, rcond=None)[0].T
    return matrix


def label_map_anatomy(path: Path, seed: int, spacing_mm: float = 1.0) -> Anatomy:
    """Simulate a head from a whole-head label map; the same seed gives the same head.

    The label map is registered rigidly to the template by landmarks, which preserves its size, and then deformed
    as the MNI152 heads are. An affine fit of the landmarks transforms structures that are known in MNI space only,
    such as nuclei without a label.

    Parameters
    ----------
    path
        Label map (see ``label_maps``).
    seed
        Seed of the deformation and of the distribution of fat in soft tissue.
    spacing_mm
        Voxel size of the head's grid.

    Raises
    ------
    ScanError
        If the label map cannot be used (see ``label_maps.load_label_map``).
    """
    rng = np.random.default_rng([seed, 12])
    head = load_label_map(path)
    points = np.array([head.centres[n] for n in LANDMARKS if n in head.centres])
    targets = np.array([LANDMARKS[n] for n in LANDMARKS if n in head.centres])
    rigid = rigid_fit(points, targets)
    transform = CompositeTransform(
        Deformation(rng), affine_fit(apply_affine(rigid, points), targets)
    )

    affine, axes = head_grid(spacing_mm)
    registered = transform.deformation.on_grid(axes)  # positions in the registered label map
    matrix = np.linalg.inv(rigid @ head.affine)
    classes = _resample_nearest(head.classes, matrix, registered)
    outline = _smooth(_resample_nearest(head.outline, matrix, registered), 0.5 / spacing_mm)
    mni = np.tensordot(transform.affine[:3, :3], registered, 1).astype(np.float32)
    mni += transform.affine[:3, 3].astype(np.float32).reshape(3, 1, 1, 1)

    tissue = _tissue_fractions(classes, 0.5 / spacing_mm, rng)
    brain = _smooth(np.isin(classes, [NUMBER[name] for name in BRAIN]), 0.5 / spacing_mm)
    cavity = (classes > 0) & (classes <= NUMBER["csf"])
    iron = iron_map(mni, brain > 0.5, UNLABELLED)
    for name, class_iron in IRON.items():
        iron = np.maximum(iron, class_iron * _smooth(classes == NUMBER[name], 0.7 / spacing_mm))
    depth = signed_depth(cavity.astype(np.float32), spacing_mm)
    outline = np.maximum(outline, brain)
    return Anatomy(affine, tissue, iron, brain, outline, depth, _place_map(classes, mni), transform)


def _resample_nearest(volume: np.ndarray, matrix: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Nearest-neighbour values, uint8, of classes or a mask at positions (3, x, y, z) in mm; 0 outside.

    ``matrix`` (4, 4) transforms positions to voxel indices.
    """
    resampled = np.zeros(positions.shape[1:], np.uint8)
    for x in range(positions.shape[1]):  # slice by slice, which limits the memory
        index = np.tensordot(matrix[:3, :3], positions[:, x], 1) + matrix[:3, 3].reshape(3, 1, 1)
        resampled[x] = ndimage.map_coordinates(volume.view(np.uint8), index, order=0)
    return resampled


def _smooth(mask: np.ndarray, sigma: float) -> np.ndarray:
    return ndimage.gaussian_filter(mask.astype(np.float32), sigma, truncate=3)


def _tissue_fractions(
    classes: np.ndarray, sigma: float, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Fraction of each tissue per voxel, smoothed to imitate partial volume; some of the soft tissue is fat."""
    fractions: dict[str, np.ndarray] = {}
    for tissue in dict.fromkeys(tissue for _, tissue in CLASSES.values()):
        numbers = [
            NUMBER[name] for name, (_, class_tissue) in CLASSES.items() if class_tissue == tissue
        ]
        if tissue != "air":
            fractions[tissue] = _smooth(np.isin(classes, numbers), sigma)
    noise = rng.standard_normal([n // 12 + 2 for n in classes.shape], np.float32)
    noise = ndimage.zoom(noise, 12, order=1)[tuple(map(slice, classes.shape))]
    fractions["fat"] = fractions["soft"] * (noise > 0.3)
    fractions["soft"] = fractions["soft"] - fractions["fat"]
    return fractions


def _place_map(classes: np.ndarray, mni: np.ndarray) -> np.ndarray:
    """Index in ``PLACES`` by label; deep and lobar white matter share a label and are separated by coordinates."""
    deep = np.isin(classes, [NUMBER[name] for name in DEEP])
    deep |= (place_map(mni) == PLACES.index("deep")) & np.isin(
        classes, [NUMBER["wm"], NUMBER["wm-lesion"]]
    )
    place = deep.astype(np.uint8) * np.uint8(PLACES.index("deep"))
    place[np.isin(classes, [NUMBER[name] for name in INFRATENTORIAL])] = PLACES.index(
        "infratentorial"
    )
    return place
