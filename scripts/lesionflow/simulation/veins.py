"""Simulated veins of a head, as branching polylines."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from lesionflow.simulation.template_head import Anatomy

# Large veins after the template's T1: radius in mm and points in MNI mm (left side; the right is mirrored).
LARGE_VEINS = {
    "internal-cerebral": (
        1.1,
        [(-2, 2, 14), (-3, -8, 15), (-2, -20, 13), (-1, -30, 10), (-1, -38, 7)],
    ),
    "thalamostriate": (
        0.8,
        [(-18, -22, 19), (-15, -10, 20), (-10, -2, 18), (-4, 1, 15), (-2, 2, 14)],
    ),
    "caudate": (0.5, [(-17, 18, 18), (-14, 10, 19), (-10, 2, 18)]),
    "septal": (0.6, [(-3, 27, 8), (-3, 20, 13), (-2, 10, 15), (-2, 2, 14)]),
    "basal": (
        0.9,
        [
            (-18, 2, -17),
            (-16, -8, -15),
            (-17, -20, -10),
            (-13, -30, -2),
            (-4, -37, 5),
            (-1, -39, 7),
        ],
    ),
    "atrial": (0.7, [(-26, -52, 14), (-18, -46, 13), (-8, -40, 9), (-1, -38, 7)]),
    "galen": (1.6, [(0, -38, 7), (0, -43, 9), (0, -46, 13)]),
    "straight-sinus": (1.8, [(0, -46, 13), (0, -60, 6), (0, -75, -4), (0, -90, -12)]),
    "transverse-sinus": (
        3.0,
        [(0, -104, -12), (-22, -98, -17), (-45, -80, -24), (-57, -58, -28), (-56, -44, -36)],
    ),
    "precentral-cerebellar": (0.7, [(-3, -56, -22), (-2, -50, -8), (-1, -44, 2), (0, -43, 9)]),
}


@dataclass(frozen=True)
class Vein:
    """A vein: world positions (n, 3) in mm, about 0.7 mm apart, and the radius in mm at each."""

    xyz: np.ndarray
    radius: np.ndarray


def simulated_veins(anatomy: Anatomy, seed: int, density: float = 1.0) -> list[Vein]:
    """Simulate the veins of a head; the same seed gives the same veins.

    Large deep veins and sinuses follow the template. The others are random walks with branches: cortical veins
    start in the CSF of the sulci, keep their direction, and turn towards CSF and away from white matter; medullary
    veins run almost straight through the white matter to greater depth; small penetrating veins run from the cortex
    inwards, and look like dots in cross-section.

    Parameters
    ----------
    density
        Number of random veins, relative to the default.
    """
    rng = np.random.default_rng([seed, 2])
    veins = _large_veins(anatomy, rng)
    brain = np.argwhere(anatomy.depth_mm[::2, ::2, ::2] > 0) * 2
    tissue = {name: anatomy.tissue[name][tuple(brain.T)] for name in ("csf", "gm", "wm")}
    depth = anatomy.depth_mm[tuple(brain.T)]
    world = brain * anatomy.affine[0, 0] + anatomy.affine[:3, 3]
    csf = ndimage.gaussian_filter(
        np.where(anatomy.depth_mm < 25, anatomy.tissue["csf"], 0) - anatomy.tissue["wm"],
        2.0 / anatomy.affine[0, 0],
    )
    smooth_depth = ndimage.gaussian_filter(anatomy.depth_mm, 3 / anatomy.affine[0, 0])

    def random_starts(weight: np.ndarray, count: int) -> np.ndarray:
        voxels = rng.choice(len(world), int(count * density), p=weight / weight.sum())
        return world[voxels] + rng.uniform(-1, 1, (len(voxels), 3))

    cortical = random_starts((tissue["csf"] > 0.35) * (depth > 0.5) * (depth < 20.0), 380)
    radius = np.exp(rng.normal(np.log(0.75), 0.35, len(cortical))).clip(0.35, 1.7)
    steps = rng.integers(20, 90, len(cortical))
    veins += _random_walks(anatomy, rng, cortical, radius, csf, 0.12, 0.13, steps)
    deep_wm = (tissue["wm"] > 0.85) * (depth > 14)
    medullary = random_starts(deep_wm.astype(float), 170)
    radius = rng.uniform(0.25, 0.5, len(medullary))
    steps = rng.integers(8, 30, len(medullary))
    veins += _random_walks(anatomy, rng, medullary, radius, smooth_depth, 0.5, 0.08, steps)
    penetrating = random_starts((tissue["gm"] > 0.5) * (depth > 2.0) * (depth < 12), 260)
    radius = rng.uniform(0.25, 0.6, len(penetrating))
    steps = rng.integers(7, 22, len(penetrating))
    veins += _random_walks(anatomy, rng, penetrating, radius, smooth_depth, 1.0, 0.15, steps)
    return veins


def _random_walks(
    anatomy: Anatomy,
    rng: np.random.Generator,
    start: np.ndarray,
    radius: np.ndarray,
    potential: np.ndarray,
    pull: float,
    noise: float,
    steps: np.ndarray,
    generation: int = 0,
) -> list[Vein]:
    """Veins as random walks with momentum, noise and a pull along the gradient of ``potential``, and their branches.

    ``start`` (n, 3) is in world mm; each vein has a ``radius`` in mm and a number of ``steps`` of 0.7 mm.
    """
    if len(start) == 0:
        return []
    gradient = _gradient_at(anatomy, potential, start)
    direction = _unit(rng.normal(size=start.shape) + 2 * pull * gradient)
    path = [start]
    for _ in range(int(steps.max())):
        gradient = _gradient_at(anatomy, potential, path[-1])
        direction = _unit(direction + pull * gradient + noise * rng.normal(size=start.shape))
        path.append(path[-1] + 0.7 * direction)
    paths = np.stack(path, axis=1)
    inside = anatomy.sample(anatomy.depth_mm, paths.reshape(-1, 3)).reshape(paths.shape[:2]) > -1.0
    veins, branch_start, branch_radius, branch_steps = [], [], [], []
    for points, points_inside, start_radius, count in zip(
        paths, inside, radius, steps, strict=True
    ):
        outside = np.flatnonzero(~points_inside)
        count = min(count, int(outside[0]) if len(outside) else count)
        if count < 6:
            continue
        taper = np.linspace(1.15, 0.6, count + 1)
        veins.append(Vein(points[: count + 1], start_radius * taper))
        for step in rng.integers(2, count, rng.poisson(count / 22)):
            branch_start.append(points[step])
            branch_radius.append(0.75 * start_radius * taper[step])
            branch_steps.append(max(6, int((count - step) * rng.uniform(0.4, 1.2))))
    if generation < 2:
        veins += _random_walks(
            anatomy,
            rng,
            np.array(branch_start).reshape(-1, 3),
            np.array(branch_radius),
            potential,
            pull,
            noise,
            np.array(branch_steps, int),
            generation + 1,
        )
    return veins


def _gradient_at(anatomy: Anatomy, volume: np.ndarray, xyz: np.ndarray) -> np.ndarray:
    """Direction of steepest ascent at world positions (n, 3), as vectors of length at most 1."""
    step_mm = 1.5
    differences = []
    for axis in range(3):
        shift = np.eye(3)[axis] * step_mm
        differences.append(
            anatomy.sample(volume, xyz + shift) - anatomy.sample(volume, xyz - shift)
        )
    gradient = np.stack(differences, axis=1)
    return gradient / np.maximum(np.linalg.norm(gradient, axis=1, keepdims=True), 0.3)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)


def _large_veins(anatomy: Anatomy, rng: np.random.Generator) -> list[Vein]:
    veins = []
    for radius, points in LARGE_VEINS.values():
        for side in (1, -1):
            knots = np.array(points, float) * (side, 1, 1) + rng.normal(0, 0.6, (len(points), 3))
            if side == -1 and (np.array(points)[:, 0] == 0).all():
                continue
            veins.append(_smooth_vein(anatomy, knots, radius * rng.uniform(0.75, 1.25)))
    angle = np.deg2rad(np.arange(-15, 176, 6))
    sagittal_sinus = np.stack(  # the superior one, along the upper midline
        [0 * angle, -18 + 90 * np.cos(angle), 2 + 80 * np.sin(angle)], axis=1
    )
    depth = anatomy.sample(anatomy.depth_mm, anatomy.deformation.to_head(sagittal_sinus))
    outwards = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    sagittal_sinus[:, 1:] += (depth + 2.5)[:, None] * outwards
    return [*veins, _smooth_vein(anatomy, sagittal_sinus, 2.8)]


def _smooth_vein(anatomy: Anatomy, knots: np.ndarray, radius: float) -> Vein:
    """A vein of the head along a spline through template coordinates ``knots`` (n, 3), mm."""
    from scipy.interpolate import make_interp_spline

    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(knots, axis=0), axis=1))])
    spline = make_interp_spline(length, knots, k=min(3, len(knots) - 1))
    mni = spline(np.arange(0, length[-1], 0.7))
    return Vein(anatomy.deformation.to_head(mni), np.full(len(mni), radius))
