"""Simulated microbleeds, and calcifications that mimic them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from nibabel.affines import apply_affine

from lesionflow.imaging.grids import Grid
from lesionflow.simulation.template_head import PLACES, Anatomy

# Common sites of calcification in MNI mm (left side), and the probability of each.
CALCIFICATION_SITES = {
    "pineal": ((0, -29, 1), 0.5),
    "choroid-plexus": ((-23, -41, 9), 0.35),
    "pallidum": ((-19, -5, -1), 0.15),
    "falx": ((0, 25, 45), 0.15),
}
UNIT_SPHERE = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3), -1).reshape(-1, 3)[np.arange(27) != 13]
UNIT_SPHERE = UNIT_SPHERE / np.linalg.norm(UNIT_SPHERE, axis=1, keepdims=True)  # 26 points
LESION_COLUMNS = ["lesion", "x_mm", "y_mm", "z_mm", "volume_mm3", "diameter_mm", "place"]


@dataclass(frozen=True)
class Hypointensity:
    """A focal hypointensity, a microbleed or a calcification that mimics one: an ellipsoid along the world axes.

    Its surface is where the contrast has fallen to half. For a microbleed this is the edge of the visible
    blooming, which is larger than the deposit of iron.

    Attributes
    ----------
    centre : array (3,)
        World mm (RAS+).
    radii : array (3,)
        Semi-axes in mm.
    contrast : float
        Relative loss of signal at the centre, from 0 to 1.
    place : str
        One of ``template_head.PLACES`` for a microbleed, of ``CALCIFICATION_SITES`` for a calcification.
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


def simulated_microbleeds(
    anatomy: Anatomy, seed: int, count: int, diameters_mm: tuple[float, float] = (1.0, 10.0)
) -> list[Hypointensity]:
    """Simulate the microbleeds of a head; a larger ``count`` with the same seed keeps the first ones.

    60 % are lobar, 25 % deep and 15 % infratentorial. Diameters are log-normal with a median of 3.5 mm, within
    ``diameters_mm``. All are entirely inside the brain, centred in tissue (not in CSF or iron-rich nuclei), and more
    than 3 mm apart. There are fewer than ``count`` if too few positions fit.
    """
    rng = np.random.default_rng([seed, 3])
    brain = np.argwhere((anatomy.brain > 0.5) & (anatomy.depth_mm > 2))
    index = tuple(brain.T)
    tissue = (anatomy.tissue["csf"][index] < 0.25) & (anatomy.iron[index] < 0.3)
    brain = brain[tissue]
    index = tuple(brain.T)
    place, depth = anatomy.place[index], anatomy.depth_mm[index]
    spacing = anatomy.affine[0, 0]
    microbleeds: list[Hypointensity] = []
    for _ in range(50 * count):
        if len(microbleeds) == count:
            break
        place_number = rng.choice(3, p=(0.6, 0.25, 0.15))
        diameter = np.exp(rng.normal(np.log(3.5), 0.42))
        candidates = np.flatnonzero((place == place_number) & (depth > 0.6 * diameter + 1.5))
        radii = diameter / 2 * np.exp(rng.normal(0, 0.08, 3))
        position, jitter = rng.random(), rng.uniform(-0.5, 0.5, 3)  # position among the candidates
        contrast = float(rng.uniform(0.75, 0.98))
        if len(candidates) == 0 or not diameters_mm[0] <= diameter <= diameters_mm[1]:
            continue
        voxel = brain[candidates[int(position * len(candidates))]]
        centre = apply_affine(anatomy.affine, voxel + jitter / spacing)
        inside = (anatomy.sample(anatomy.brain, centre + radii * UNIT_SPHERE) > 0.5).all()
        if inside and all(_gap_mm(centre, radii, other) > 3 for other in microbleeds):
            microbleeds.append(Hypointensity(centre, radii, contrast, PLACES[place_number]))
    return microbleeds


def _gap_mm(centre: np.ndarray, radii: np.ndarray, other: Hypointensity) -> float:
    return float(np.linalg.norm(centre - other.centre) - radii.max() - other.radii.max())


def simulated_calcifications(anatomy: Anatomy, seed: int) -> list[Hypointensity]:
    """Simulate the calcifications of a head at ``CALCIFICATION_SITES``."""
    rng = np.random.default_rng([seed, 4])
    calcifications = []
    for name, (site, probability) in CALCIFICATION_SITES.items():
        for side in (1, -1) if site[0] else (1,):
            mni = np.array(site, float) * (side, 1, 1) + rng.normal(0, 1.5, 3)
            radii = np.exp(rng.normal(np.log(1.8), 0.3)) * np.exp(rng.normal(0, 0.2, 3))
            contrast = float(rng.uniform(0.5, 0.9))
            if rng.random() < probability:
                centre = anatomy.deformation.to_head(mni[None])[0]
                calcifications.append(Hypointensity(centre, radii, contrast, name))
    return calcifications


def inside_field_of_view(
    lesions: list[Hypointensity], grid: Grid, margin_mm: float = 0.0
) -> list[Hypointensity]:
    """Select the lesions that are entirely inside a grid, at least ``margin_mm`` from its faces."""
    selected = []
    voxel_sizes = np.linalg.norm(grid.affine[:3, :3], axis=0)
    for lesion in lesions:
        index = apply_affine(np.linalg.inv(grid.affine), lesion.centre)
        edge = (lesion.radii.max() + margin_mm) / voxel_sizes - 0.5
        if ((index >= edge) & (index <= np.array(grid.shape) - 1 - edge)).all():
            selected.append(lesion)
    return selected


def rasterize(lesions: list[Hypointensity], grid: Grid) -> np.ndarray:
    """Label map of ellipsoidal lesions on a grid of any orientation, numbered from 1 in their order.

    The number of voxels of a lesion is its volume divided by that of a voxel, rounded, and at least one. It gets the
    voxels that it covers most (27 points per voxel); of equally covered ones, those nearest to its centre. So its
    volume in the label map is exact to half a voxel, even with thick slices.

    Returns
    -------
    array of ``grid.shape``, int16
    """
    labels = np.zeros(grid.shape, np.int16)
    inverse = np.linalg.inv(grid.affine)
    thirds = np.array([-1, 0, 1]) / 3
    points = np.stack(np.meshgrid(thirds, thirds, thirds, indexing="ij"), -1).reshape(-1, 1, 3)
    for number, lesion in enumerate(lesions, start=1):
        index = apply_affine(inverse, lesion.centre)
        reach = np.abs(inverse[:3, :3]) @ lesion.radii + 1
        low = np.maximum(np.floor(index - reach), 0).astype(int)
        high = np.minimum(np.ceil(index + reach) + 1, grid.shape).astype(int)
        if (low >= high).any():
            continue
        box = np.stack(np.meshgrid(*map(np.arange, low, high), indexing="ij"), -1).reshape(-1, 3)
        offset = (apply_affine(grid.affine, box + points) - lesion.centre) / lesion.radii
        coverage = ((offset**2).sum(axis=-1) < 1).mean(axis=0)
        distance = np.linalg.norm(apply_affine(grid.affine, box) - lesion.centre, axis=1)
        count = max(1, round(lesion.volume_mm3 / grid.voxel_mm3))
        order = np.lexsort((distance, -coverage))
        labels[tuple(box[order[:count]].T)] = number
    return labels


def lesion_table(lesions: list[Hypointensity]) -> pd.DataFrame:
    """One row per lesion: number, centre in world mm (RAS+), volume, diameter and place."""
    rows = [
        (
            number,
            *np.round(lesion.centre, 3),
            round(lesion.volume_mm3, 3),
            round(lesion.diameter_mm, 3),
            lesion.place,
        )
        for number, lesion in enumerate(lesions, start=1)
    ]
    return pd.DataFrame(rows, columns=LESION_COLUMNS)
