"""Simulated heads with the anatomy of a real one: a label map, randomly deformed."""

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
    iron_of,
    place_of,
    signed_depth,
)

IRON = {  # nuclei as in anatomy.NUCLEI; the choroid plexus for its calcium: no place of a microbleed either
    "pallidum": 1.0,
    "putamen": 0.45,
    "caudate": 0.4,
    "choroid-plexus": 0.35,
    "thalamus": 0.1,
}
UNLABELLED = ("substantia-nigra", "red-nucleus", "dentate")  # nuclei that label maps do not have


@dataclass(frozen=True)
class Placed:
    """A deformation of a head that stands in a space of its own, with an affine from there to MNI."""

    deformation: Deformation
    affine: np.ndarray

    def to_template(self, xyz: np.ndarray) -> np.ndarray:
        """Template coordinates (n, 3) of world positions (n, 3), mm."""
        return apply_affine(self.affine, self.deformation.to_template(xyz))

    def to_head(self, mni: np.ndarray) -> np.ndarray:
        """World positions (n, 3) of template coordinates (n, 3), mm."""
        return self.deformation.to_head(apply_affine(np.linalg.inv(self.affine), mni))


def rigid_fit(points: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The rotation and shift (4, 4) that bring points (n, 3) nearest to targets (Kabsch 1976)."""
    middle, aim = points.mean(axis=0), targets.mean(axis=0)
    left, _, right = np.linalg.svd((targets - aim).T @ (points - middle))
    turn = left @ np.diag([1, 1, np.sign(np.linalg.det(left @ right))]) @ right
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn, aim - turn @ middle
    return matrix


def affine_fit(points: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The affine (4, 4) that brings points (n, 3) nearest to targets, by least squares."""
    ones = np.column_stack([points, np.ones(len(points))])
    matrix = np.eye(4)
    matrix[:3] = np.linalg.lstsq(ones, targets, rcond=None)[0].T
    return matrix


def labelled_anatomy(path: Path, seed: int, spacing_mm: float = 1.0) -> Anatomy:
    """A simulated head from a whole-head label map, the same for the same seed.

    The head is laid upon the template by landmarks without a change of its size, then deformed as the
    MNI152 heads are. Nuclei that label maps do not name, and all that is known in MNI space, come
    through an affine that the landmarks fit.

    Parameters
    ----------
    path
        Of a label map (see ``label_maps``).
    seed
        Chooses the deformation, and where soft tissue is fat.
    spacing_mm
        Of the head's grid.
    """
    rng = np.random.default_rng([seed, 12])
    head = load_label_map(path)
    points = np.array([head.centres[n] for n in LANDMARKS if n in head.centres])
    targets = np.array([LANDMARKS[n] for n in LANDMARKS if n in head.centres])
    laid = rigid_fit(points, targets)
    placed = Placed(Deformation(rng), affine_fit(apply_affine(laid, points), targets))

    affine, axes = head_grid(spacing_mm)
    here = placed.deformation.on_grid(axes)
    matrix = np.linalg.inv(laid @ head.affine)
    classes = _sampled(head.classes, matrix, here)
    outline = _soft(_sampled(head.outline, matrix, here), 0.5 / spacing_mm)
    mni = np.tensordot(placed.affine[:3, :3], here, 1).astype(np.float32)
    mni += placed.affine[:3, 3].astype(np.float32).reshape(3, 1, 1, 1)

    tissue = _shares(classes, 0.5 / spacing_mm, rng)
    brain = _soft(np.isin(classes, [NUMBER[name] for name in BRAIN]), 0.5 / spacing_mm)
    cavity = (classes > 0) & (classes <= NUMBER["csf"])
    iron = iron_of(mni, brain > 0.5, UNLABELLED)
    for name, strength in IRON.items():
        iron = np.maximum(iron, strength * _soft(classes == NUMBER[name], 0.7 / spacing_mm))
    depth = signed_depth(cavity.astype(np.float32), spacing_mm)
    place = _places(classes, mni)
    return Anatomy(affine, tissue, iron, brain, np.maximum(outline, brain), depth, place, placed)


def _sampled(values: np.ndarray, matrix: np.ndarray, here: np.ndarray) -> np.ndarray:
    """Values (classes or bool) at positions (3, x, y, z): those of the nearest voxels, 0 outside."""
    found = np.zeros(here.shape[1:], np.uint8)
    for x in range(here.shape[1]):  # a slice at a time, for memory
        index = np.tensordot(matrix[:3, :3], here[:, x], 1) + matrix[:3, 3].reshape(3, 1, 1)
        found[x] = ndimage.map_coordinates(values.view(np.uint8), index, order=0)
    return found


def _soft(inside: np.ndarray, sigma: float) -> np.ndarray:
    return ndimage.gaussian_filter(inside.astype(np.float32), sigma, truncate=3)


def _shares(classes: np.ndarray, sigma: float, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Shares of each tissue, with edges as soft as partial volume makes them; some of the soft is fat."""
    shares: dict[str, np.ndarray] = {}
    for tissue in dict.fromkeys(tissue for _, tissue in CLASSES.values()):
        numbers = [NUMBER[name] for name, (_, own) in CLASSES.items() if own == tissue]
        if tissue != "air":
            shares[tissue] = _soft(np.isin(classes, numbers), sigma)
    grain = rng.standard_normal([n // 12 + 2 for n in classes.shape], np.float32)
    grain = ndimage.zoom(grain, 12, order=1)[tuple(map(slice, classes.shape))]
    shares["fat"] = shares["soft"] * (grain > 0.3)
    shares["soft"] = shares["soft"] - shares["fat"]
    return shares


def _places(classes: np.ndarray, mni: np.ndarray) -> np.ndarray:
    """Places by the labels; deep white matter, which they do not tell from lobar, by coordinates."""
    deep = np.isin(classes, [NUMBER[name] for name in DEEP])
    deep |= (place_of(mni) == PLACES.index("deep")) & np.isin(
        classes, [NUMBER["wm"], NUMBER["wm-lesion"]]
    )
    place = deep.astype(np.uint8) * np.uint8(PLACES.index("deep"))
    place[np.isin(classes, [NUMBER[name] for name in INFRATENTORIAL])] = PLACES.index(
        "infratentorial"
    )
    return place
