"""Simulated microbleeds, and calcifications that mimic them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from nibabel.affines import apply_affine

from lesionflow.imaging.grids import Grid
from lesionflow.simulation.template_head import PLACES, Anatomy

# Common sites of calcification: position in MNI mm (left side), and the share of heads that have it.
CALCIFICATION_SITES = {
    "pineal": ((0, -29, 1), 0.5),
    "choroid-plexus": ((-23, -41, 9), 0.35),
    "pallidum": ((-19, -5, -1), 0.15),
    "falx": ((0, 25, 45), 0.15),
}
SURFACE = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3), -1).reshape(-1, 3)[np.arange(27) != 13]
SURFACE = SURFACE / np.linalg.norm(SURFACE, axis=1, keepdims=True)  # 26 points on a sphere
LESION_COLUMNS = ["lesion", "x_mm", "y_mm", "z_mm", "volume_mm3", "diameter_mm", "place"]


@dataclass(frozen=True)
class HypointenseFocus:
    """A microbleed, or a calcification that mimics one: an ellipsoid whose axes are the world axes.

    ``centre`` and the semi-axes ``radii`` (3,) are in mm; ``contrast`` is between 0 and 1; ``place`` is the
    region. The surface is where the contrast is halved: for a microbleed the edge of the visible blooming, not
    that of the deposit.
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
) -> list[HypointenseFocus]:
    """Simulate the microbleeds of a head; with a larger ``count``, the first ones stay the same.

    60 % are lobar, 25 % deep and 15 % infratentorial. Diameters are log-normal with a median of 3.5 mm, all in
    the range ``diameters_mm``. Each lies entirely inside the brain, with its centre neither in CSF nor in an
    iron-rich nucleus, and at least 3 mm from the others.
    """
    rng = np.random.default_rng([seed, 3])
    brain = np.argwhere((anatomy.brain > 0.5) & (anatomy.depth_mm > 2))
    index = tuple(brain.T)
    tissue = (anatomy.tissue["csf"][index] < 0.25) & (anatomy.iron[index] < 0.3)
    brain = brain[tissue]
    index = tuple(brain.T)
    place, depth = anatomy.place[index], anatomy.depth_mm[index]
    spacing = anatomy.affine[0, 0]
    bleeds: list[HypointenseFocus] = []
    for _ in range(50 * count):
        if len(bleeds) == count:
            break
        region = rng.choice(3, p=(0.6, 0.25, 0.15))
        diameter = np.exp(rng.normal(np.log(3.5), 0.42))
        candidates = np.flatnonzero((place == region) & (depth > 0.6 * diameter + 1.5))
        radii = diameter / 2 * np.exp(rng.normal(0, 0.08, 3))
        choice, jitter = rng.random(), rng.uniform(-0.5, 0.5, 3)
        contrast = float(rng.uniform(0.75, 0.98))
        if len(candidates) == 0 or not diameters_mm[0] <= diameter <= diameters_mm[1]:
            continue
        voxel = brain[candidates[int(choice * len(candidates))]]
        centre = apply_affine(anatomy.affine, voxel + jitter / spacing)
        inside = (anatomy.sample(anatomy.brain, centre + radii * SURFACE) > 0.5).all()
        if inside and all(_gap(centre, radii, other) > 3 for other in bleeds):
            bleeds.append(HypointenseFocus(centre, radii, contrast, PLACES[region]))
    return bleeds


def _gap(centre: np.ndarray, radii: np.ndarray, other: HypointenseFocus) -> float:
    return float(np.linalg.norm(centre - other.centre) - radii.max() - other.radii.max())


def simulated_calcifications(anatomy: Anatomy, seed: int) -> list[HypointenseFocus]:
    """Simulate calcifications of a head, at their common sites."""
    rng = np.random.default_rng([seed, 4])
    calcifications = []
    for name, (place, chance) in CALCIFICATION_SITES.items():
        for side in (1, -1) if place[0] else (1,):
            mni = np.array(place, float) * (side, 1, 1) + rng.normal(0, 1.5, 3)
            radii = np.exp(rng.normal(np.log(1.8), 0.3)) * np.exp(rng.normal(0, 0.2, 3))
            contrast = float(rng.uniform(0.5, 0.9))
            if rng.random() < chance:
                centre = anatomy.deformation.to_head(mni[None])[0]
                calcifications.append(HypointenseFocus(centre, radii, contrast, name))
    return calcifications


def inside_grid(
    foci: list[HypointenseFocus], grid: Grid, margin_mm: float = 0.0
) -> list[HypointenseFocus]:
    """The foci that lie inside a grid, at least ``margin_mm`` from its faces."""
    kept = []
    sizes = np.linalg.norm(grid.affine[:3, :3], axis=0)
    for focus in foci:
        index = apply_affine(np.linalg.inv(grid.affine), focus.centre)
        edge = (focus.radii.max() + margin_mm) / sizes - 0.5
        if ((index >= edge) & (index <= np.array(grid.shape) - 1 - edge)).all():
            kept.append(focus)
    return kept


def rasterize(foci: list[HypointenseFocus], grid: Grid) -> np.ndarray:
    """Label map of ellipsoids on any grid, numbered from 1 in their order.

    The number of voxels of each is its volume, rounded to whole voxels and at least one: those that it covers
    most (of 27 points per voxel), then those nearest to its centre. Its volume in the label map is therefore
    right to half a voxel, however thick the slices are.

    Returns
    -------
    array of ``grid.shape``, int16
    """
    labels = np.zeros(grid.shape, np.int16)
    inverse = np.linalg.inv(grid.affine)
    thirds = np.array([-1, 0, 1]) / 3
    points = np.stack(np.meshgrid(thirds, thirds, thirds, indexing="ij"), -1).reshape(-1, 1, 3)
    for number, focus in enumerate(foci, start=1):
        index = apply_affine(inverse, focus.centre)
        reach = np.abs(inverse[:3, :3]) @ focus.radii + 1
        low = np.maximum(np.floor(index - reach), 0).astype(int)
        high = np.minimum(np.ceil(index + reach) + 1, grid.shape).astype(int)
        if (low >= high).any():
            continue
        box = np.stack(np.meshgrid(*map(np.arange, low, high), indexing="ij"), -1).reshape(-1, 3)
        offset = (apply_affine(grid.affine, box + points) - focus.centre) / focus.radii
        coverage = ((offset**2).sum(axis=-1) < 1).mean(axis=0)
        distance = np.linalg.norm(apply_affine(grid.affine, box) - focus.centre, axis=1)
        count = max(1, round(focus.volume_mm3 / grid.voxel_mm3))
        selected = np.lexsort((distance, -coverage))[:count]
        labels[tuple(box[selected].T)] = number
    return labels


def lesion_table(bleeds: list[HypointenseFocus]) -> pd.DataFrame:
    """One row per simulated lesion: number, centre in world mm (RAS+), volume, diameter and place."""
    rows = [
        (n, *np.round(b.centre, 3), round(b.volume_mm3, 3), round(b.diameter_mm, 3), b.place)
        for n, b in enumerate(bleeds, start=1)
    ]
    return pd.DataFrame(rows, columns=LESION_COLUMNS)
