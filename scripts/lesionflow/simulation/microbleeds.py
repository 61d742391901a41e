"""Simulated microbleeds, and calcifications that mimic them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from nibabel.affines import apply_affine

from lesionflow.imaging.grids import Grid
from lesionflow.simulation.template_head import PLACES, Anatomy

# Where calcium is common, in MNI mm (left side), and how often a head has it there.
CALCIUM = {
    "pineal": ((0, -29, 1), 0.5),
    "choroid-plexus": ((-23, -41, 9), 0.35),
    "pallidum": ((-19, -5, -1), 0.15),
    "falx": ((0, 25, 45), 0.15),
}
SURFACE = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3), -1).reshape(-1, 3)[np.arange(27) != 13]
SURFACE = SURFACE / np.linalg.norm(SURFACE, axis=1, keepdims=True)  # 26 points on a sphere
TRUTH = ["lesion", "x_mm", "y_mm", "z_mm", "volume_mm3", "diameter_mm", "place"]


@dataclass(frozen=True)
class Microbleed:
    """A microbleed, or a calcification that mimics one, as an ellipsoid along the world axes.

    ``centre`` and semi-axes ``radii`` (3,) are in mm; ``contrast`` is from 0 to 1; ``place`` is the region.

    The surface is at half of the contrast: for a microbleed this is the edge of the visible blooming,
    not of the deposit.
    """

    centre: np.ndarray
    radii: np.ndarray
    contrast: float
    place: str

    @property
    def volume_mm3(self) -> float:
        """Volume of the ellipsoid."""
        return float(4 / 3 * np.pi * np.prod(self.radii))

    @property
    def diameter_mm(self) -> float:
        """Diameter of the sphere of the same volume."""
        return float(2 * np.prod(self.radii) ** (1 / 3))


def simulated_bleeds(
    anatomy: Anatomy, seed: int, count: int, diameters_mm: tuple[float, float] = (1.0, 10.0)
) -> list[Microbleed]:
    """Microbleeds of a simulated head; asking for more keeps the first ones where they were.

    Six of ten are lobar, a quarter deep, the rest infratentorial. Diameters are log-normal around
    3.5 mm, none outside of ``diameters_mm``. All are entirely inside the brain, centred in tissue
    rather than CSF or iron-rich nuclei, and at least 3 mm from each other.
    """
    rng = np.random.default_rng([seed, 3])
    brain = np.argwhere((anatomy.brain > 0.5) & (anatomy.depth_mm > 2))
    at = tuple(brain.T)
    tissue = (anatomy.tissue["csf"][at] < 0.25) & (anatomy.iron[at] < 0.3)
    brain = brain[tissue]
    at = tuple(brain.T)
    place, depth = anatomy.place[at], anatomy.depth_mm[at]
    spacing = anatomy.affine[0, 0]
    bleeds: list[Microbleed] = []
    for _ in range(50 * count):
        if len(bleeds) == count:
            break
        where = rng.choice(3, p=(0.6, 0.25, 0.15))
        diameter = np.exp(rng.normal(np.log(3.5), 0.42))
        candidates = np.flatnonzero((place == where) & (depth > 0.6 * diameter + 1.5))
        radii = diameter / 2 * np.exp(rng.normal(0, 0.08, 3))
        choice, jitter = rng.random(), rng.uniform(-0.5, 0.5, 3)
        contrast = float(rng.uniform(0.75, 0.98))
        if len(candidates) == 0 or not diameters_mm[0] <= diameter <= diameters_mm[1]:
            continue
        voxel = brain[candidates[int(choice * len(candidates))]]
        centre = apply_affine(anatomy.affine, voxel + jitter / spacing)
        inside = (anatomy.sample(anatomy.brain, centre + radii * SURFACE) > 0.5).all()
        if inside and all(_gap(centre, radii, other) > 3 for other in bleeds):
            bleeds.append(Microbleed(centre, radii, contrast, PLACES[where]))
    return bleeds


def _gap(centre: np.ndarray, radii: np.ndarray, other: Microbleed) -> float:
    return float(np.linalg.norm(centre - other.centre) - radii.max() - other.radii.max())


def simulated_calcium(anatomy: Anatomy, seed: int) -> list[Microbleed]:
    """Calcified spots of a simulated head, at the usual places."""
    rng = np.random.default_rng([seed, 4])
    spots = []
    for name, (place, chance) in CALCIUM.items():
        for side in (1, -1) if place[0] else (1,):
            mni = np.array(place, float) * (side, 1, 1) + rng.normal(0, 1.5, 3)
            radii = np.exp(rng.normal(np.log(1.8), 0.3)) * np.exp(rng.normal(0, 0.2, 3))
            contrast = float(rng.uniform(0.5, 0.9))
            if rng.random() < chance:
                centre = anatomy.deformation.to_head(mni[None])[0]
                spots.append(Microbleed(centre, radii, contrast, name))
    return spots


def within(microbleeds: list[Microbleed], grid: Grid, margin_mm: float = 0.0) -> list[Microbleed]:
    """Select the lesions in a grid's field of view, with centres ``margin_mm`` and a radius from its faces."""
    kept = []
    sizes = np.linalg.norm(grid.affine[:3, :3], axis=0)
    for microbleed in microbleeds:
        index = apply_affine(np.linalg.inv(grid.affine), microbleed.centre)
        edge = (microbleed.radii.max() + margin_mm) / sizes - 0.5
        if ((index >= edge) & (index <= np.array(grid.shape) - 1 - edge)).all():
            kept.append(microbleed)
    return kept


def rasterize(microbleeds: list[Microbleed], grid: Grid) -> np.ndarray:
    """Label map of ellipsoids on any grid, numbered from 1 in their order.

    Each has as many voxels as its volume fills, rounded and at least one: those it covers most
    (27 points a voxel), of equally covered ones those nearest to its centre. So the volume of the
    label map is the true one to half a voxel, however thick the slices.

    Returns
    -------
    array of ``grid.shape``, int16
    """
    labels = np.zeros(grid.shape, np.int16)
    inverse = np.linalg.inv(grid.affine)
    thirds = np.array([-1, 0, 1]) / 3
    points = np.stack(np.meshgrid(thirds, thirds, thirds, indexing="ij"), -1).reshape(-1, 1, 3)
    for number, microbleed in enumerate(microbleeds, start=1):
        index = apply_affine(inverse, microbleed.centre)
        reach = np.abs(inverse[:3, :3]) @ microbleed.radii + 1
        low = np.maximum(np.floor(index - reach), 0).astype(int)
        high = np.minimum(np.ceil(index + reach) + 1, grid.shape).astype(int)
        if (low >= high).any():
            continue
        box = np.stack(np.meshgrid(*map(np.arange, low, high), indexing="ij"), -1).reshape(-1, 3)
        offset = (apply_affine(grid.affine, box + points) - microbleed.centre) / microbleed.radii
        covered = ((offset**2).sum(axis=-1) < 1).mean(axis=0)
        away = np.linalg.norm(apply_affine(grid.affine, box) - microbleed.centre, axis=1)
        count = max(1, round(microbleed.volume_mm3 / grid.voxel_mm3))
        best = np.lexsort((away, -covered))[:count]
        labels[tuple(box[best].T)] = number
    return labels


def lesion_table(bleeds: list[Microbleed]) -> pd.DataFrame:
    """One row per simulated lesion: number, centre in world mm (RAS+), volume, diameter and place."""
    rows = [
        (n, *np.round(b.centre, 3), round(b.volume_mm3, 3), round(b.diameter_mm, 3), b.place)
        for n, b in enumerate(bleeds, start=1)
    ]
    return pd.DataFrame(rows, columns=TRUTH)
