"""Simulated heads from the MNI152 template: its brain, randomly deformed, with a simple skull and scalp.

A head has its own isotropic grid along the world axes (mm, RAS+), by default of 1 mm. Its deformation maps between
the head and the template, so that structures known in MNI space (nuclei, large veins) can be placed in the head.
Other sources of anatomy return the same ``Anatomy``.
"""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from nibabel.affines import apply_affine
from scipy import ndimage

# Iron-rich nuclei as ellipsoids in MNI mm (left side by x, right by -x): centre, semi-axes, iron from
# 0 to 1. Positions after the MNI152 template; order of iron after Hallgren & Sourander 1958.
NUCLEI = {
    "pallidum": ((-19, -4, -1), (5.0, 8.5, 6.0), 1.0),
    "substantia-nigra": ((-10, -18, -11), (5.0, 4.0, 3.0), 0.85),
    "red-nucleus": ((-5, -20, -8), (2.8, 2.8, 3.2), 0.85),
    "dentate": ((-15, -57, -34), (6.0, 8.0, 4.5), 0.7),
    "putamen": ((-26, 3, 1), (4.5, 13.0, 9.0), 0.45),
    "caudate": ((-12, 13, 9), (4.0, 8.0, 8.0), 0.4),
    "thalamus": ((-12, -19, 7), (7.0, 11.0, 7.0), 0.1),
}
PLACES = ("lobar", "deep", "infratentorial")
TISSUES = ("wm", "gm", "csf", "meninges", "bone", "marrow", "scalp", "soft")  # of the MNI152 heads
_LOW = np.array([-100.0, -138.0, -96.0])  # bounds of the head's grid in world mm
_HIGH = np.array([100.0, 106.0, 106.0])


@dataclass(frozen=True)
class Template:
    """MNI152 maps of grey matter, white matter and brain on nilearn's grid, float32 in [0, 1]."""

    affine: np.ndarray
    gm: np.ndarray
    wm: np.ndarray
    brain: np.ndarray


@cache
def mni_template(resolution_mm: int = 1) -> Template:
    """Load the MNI152 2009a template (Fonov et al. 2011) that is included in nilearn; nothing is downloaded."""
    from nilearn import datasets

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gm = datasets.load_mni152_gm_template(resolution=resolution_mm)
        wm = datasets.load_mni152_wm_template(resolution=resolution_mm)
        brain = datasets.load_mni152_brain_mask(resolution=resolution_mm)
    return Template(
        brain.affine, *(np.asarray(image.dataobj, np.float32) for image in (gm, wm, brain))
    )


def _basis(x: np.ndarray, first: float, spacing: float, count: int) -> np.ndarray:
    """Cubic B-spline weights (n, count) at positions ``x`` of control points at ``first + spacing * i``."""
    t = np.abs((np.asarray(x)[:, None] - first) / spacing - np.arange(count))
    inner, outer = 2 / 3 - t**2 + t**3 / 2, (2 - t) ** 3 / 6
    return np.where(t < 1, inner, np.where(t < 2, outer, 0)).astype(np.float32)


class Deformation:
    """A random transform between world coordinates of a head and the template: affine and elastic.

    ``to_template(x) = B (x - shift) + u(x)``: sizes vary by about 6 % and angles by some degrees;
    u is the sum of two cubic B-spline displacement fields, with control points 44 mm apart (displacements of
    about 3.5 mm) and 16 mm apart (0.9 mm), which are small enough for the transform to be invertible.
    """

    def __init__(self, rng: np.random.Generator):
        angles = rng.normal(0, np.deg2rad(3), 3)
        skew = np.array(
            [[0, -angles[2], angles[1]], [angles[2], 0, -angles[0]], [-angles[1], angles[0], 0]]
        )
        left, _, right = np.linalg.svd(np.eye(3) + skew)
        self.matrix = left @ right @ np.diag(rng.normal(1.0, 0.05, 3)) + rng.normal(
            0, 0.012, (3, 3)
        )
        self.shift = rng.normal(0, 4, 3)
        self.displacement_fields = []
        for spacing, sd in ((44.0, 5.5), (16.0, 1.5)):
            first = _LOW - 2 * spacing
            counts = np.ceil((_HIGH - _LOW) / spacing).astype(int) + 5
            self.displacement_fields.append((first, spacing, rng.normal(0, sd, (*counts, 3))))

    def on_grid(self, axes: list[np.ndarray]) -> np.ndarray:
        """Template coordinates (3, x, y, z) in mm of the points of a grid along the world axes."""
        coordinates = []
        for c in range(3):
            linear = [self.matrix[c, a] * (axes[a] - self.shift[a]) for a in range(3)]
            coordinate = linear[0][:, None, None] + linear[1][:, None] + linear[2]
            coordinate = coordinate.astype(np.float32)
            for first, spacing, control in self.displacement_fields:
                displacement = control[..., c].astype(np.float32)
                for a in range(3):
                    weights = _basis(axes[a], first[a], spacing, displacement.shape[0])
                    # the contracted axis goes to the end, so the next one is the first
                    displacement = np.tensordot(displacement, weights, (0, 1))
                coordinate += displacement
            coordinates.append(coordinate)
        return np.stack(coordinates)

    def to_template(self, xyz: np.ndarray) -> np.ndarray:
        """Transform world positions (n, 3) of the head to template coordinates (n, 3), mm."""
        return (xyz - self.shift) @ self.matrix.T + self._displacement(xyz)

    def to_head(self, mni: np.ndarray, iterations: int = 12) -> np.ndarray:
        """Transform template coordinates (n, 3) to world positions (n, 3), mm, by fixed-point iteration."""
        inverse = np.linalg.inv(self.matrix).T
        xyz = mni @ inverse + self.shift
        for _ in range(iterations):
            xyz = (mni - self._displacement(xyz)) @ inverse + self.shift
        return xyz

    def _displacement(self, xyz: np.ndarray) -> np.ndarray:
        total = np.zeros((len(xyz), 3))
        for first, spacing, control in self.displacement_fields:
            index = ((xyz - first) / spacing).T
            for c in range(3):
                total[:, c] += ndimage.map_coordinates(
                    control[..., c], index, order=3, prefilter=False, mode="nearest"
                )
        return total


@dataclass(frozen=True)
class Anatomy:
    """A simulated head on its own grid.

    Attributes
    ----------
    affine : array (4, 4)
        Voxel index to world mm, along the world axes (RAS).
    tissue : dict of array (x, y, z), float32
        Fraction of each voxel, in [0, 1], per tissue of ``tissue_contrast.SEQUENCES``; the rest is air.
    iron : array (x, y, z), float32
        Iron of the deep nuclei, from 0 to 1.
    brain : array (x, y, z), float32
        Brain fraction of each voxel: tissue, and the ventricles where they are known.
    outline : array (x, y, z), float32
        Brain fraction including the sulci; the brain mask is where it exceeds 0.5.
    depth_mm : array (x, y, z), float32
        Distance to the surface of the brain and its surrounding CSF, positive inside.
    place : array (x, y, z), uint8
        Index in ``PLACES``; defined for brain voxels.
    deformation
        Transform between the head and the template: an object with ``to_head`` and ``to_template``.
    """

    affine: np.ndarray
    tissue: dict[str, np.ndarray]
    iron: np.ndarray
    brain: np.ndarray
    outline: np.ndarray
    depth_mm: np.ndarray
    place: np.ndarray
    deformation: Any

    def sample(self, volume: np.ndarray, xyz: np.ndarray) -> np.ndarray:
        """Interpolate one of the maps linearly at world positions (n, 3)."""
        index = apply_affine(np.linalg.inv(self.affine), xyz)
        return ndimage.map_coordinates(volume, index.T, order=1, mode="nearest")


def head_grid(spacing_mm: float) -> tuple[np.ndarray, list[np.ndarray]]:
    """Affine (4, 4) of the grid of a head, and the voxel centres along each axis in world mm."""
    affine = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    affine[:3, 3] = _LOW
    return affine, [np.arange(lo, hi, spacing_mm) for lo, hi in zip(_LOW, _HIGH, strict=True)]


def template_anatomy(seed: int, spacing_mm: float = 1.0) -> Anatomy:
    """Simulate a head from the MNI152 template; the same seed gives the same head.

    Parameters
    ----------
    seed
        Seed of the deformation and of the thickness of skull and scalp.
    spacing_mm
        Voxel size of the head's grid. Tests use more than 1 mm.
    """
    rng = np.random.default_rng([seed, 1])
    template = mni_template()
    deformation = Deformation(rng)
    affine, axes = head_grid(spacing_mm)
    mni = deformation.on_grid(axes)

    index = mni - template.affine[:3, 3].astype(np.float32).reshape(3, 1, 1, 1)
    brain = ndimage.map_coordinates(template.brain, index, order=1)
    near_brain = brain > 0.02
    gm, wm = np.zeros_like(brain), np.zeros_like(brain)
    for source, target in ((template.gm, gm), (template.wm, wm)):
        target[near_brain] = ndimage.map_coordinates(source, index[:, near_brain], order=1)
    depth = signed_depth(brain, spacing_mm)
    tissue = _tissue_fractions(gm, wm, brain, depth, mni, rng)
    iron, place = iron_map(mni, near_brain), place_map(mni)
    outline = brain  # the brain of the template is a mask that includes the sulci
    return Anatomy(affine, tissue, iron, brain, outline, depth, place, deformation)


def signed_depth(brain: np.ndarray, spacing_mm: float) -> np.ndarray:
    """Distance to the surface of the brain in mm, positive inside, computed at half the resolution."""
    half = brain[::2, ::2, ::2] > 0.5
    inside = ndimage.distance_transform_edt(half) - ndimage.distance_transform_edt(~half)
    signed = (inside - np.sign(inside) / 2).astype(np.float32) * (2 * spacing_mm)
    for axis, count in enumerate(brain.shape):
        position = np.minimum(np.arange(count) / 2, signed.shape[axis] - 1)
        low = np.minimum(position.astype(int), signed.shape[axis] - 2)
        weight = (
            (position - low).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
        )
        signed = signed.take(low, axis) * (1 - weight) + signed.take(low + 1, axis) * weight
    return signed


def _smooth_step(x: np.ndarray) -> np.ndarray:
    return np.clip(x + 0.5, 0, 1)


def _tissue_fractions(
    gm: np.ndarray,
    wm: np.ndarray,
    brain: np.ndarray,
    depth: np.ndarray,
    mni: np.ndarray,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """Fractions of ``TISSUES``: the brain from the template's maps, the rest as shells of random thickness."""
    total = gm + wm
    csf = np.clip(1.6 * (0.95 - total), 0, 1) * brain
    scale = (brain - csf) / np.maximum(total, 1e-3)
    fractions = {"wm": wm * scale, "gm": gm * scale, "csf": csf}

    dura, bone, scalp = 1.5 + rng.uniform(0, 1.5), rng.uniform(5, 8), rng.uniform(4, 7)
    near = (brain < 1) & ((depth > -24) | (mni[2] < -25))
    x, y, z = mni[:, near]
    outside, not_brain = -depth[near], 1 - brain[near]
    phase = rng.uniform(0, 6, 4).tolist()
    uneven = 1.5 * np.sin(x / 17 + phase[0]) * np.sin(y / 23 + phase[1])
    uneven += np.sin(z / 9 + phase[2]) * np.sin(y / 8 + phase[3])
    skin = dura + bone + scalp + uneven
    # soft tissue of face and neck instead of shells below the skull base
    below = _smooth_step((-z - 38 + 0.25 * y) / 10)
    neck = (x / 68) ** 2 + ((y + 8) / 88) ** 2 < 1
    above = 1 - below * (outside > dura)
    skull = not_brain * above * _smooth_step(outside - dura) * _smooth_step(dura + bone - outside)
    diploe = np.abs(outside - dura - bone / 2 - 0.5 * uneven) < bone / 6
    shells = {
        "meninges": not_brain * above * _smooth_step(dura - outside),
        "bone": skull * ~diploe,
        "marrow": skull * diploe,
        "scalp": not_brain
        * above
        * _smooth_step(outside - dura - bone)
        * _smooth_step(skin - outside),
    }
    soft = np.maximum(_smooth_step(skin - outside), neck) * _smooth_step(outside - dura)
    shells["soft"] = np.minimum(below * not_brain * soft, not_brain - sum(shells.values()))
    for name, fraction in shells.items():
        fractions[name] = np.zeros_like(brain)
        fractions[name][near] = fraction
    return {name: fractions[name] for name in TISSUES}


def _ellipsoid(mni: np.ndarray, centre: tuple, radii: tuple) -> np.ndarray:
    """Squared distance of coordinates (3, ...) to a centre, in units of the semi-axes."""
    return sum(((mni[a] - centre[a]) / radii[a]) ** 2 for a in range(3))


def iron_map(
    mni: np.ndarray, mask: np.ndarray, nuclei: Iterable[str] = tuple(NUCLEI)
) -> np.ndarray:
    """Iron of nuclei, from 0 to 1, at template coordinates (3, x, y, z) in mm; 0 outside ``mask``."""
    iron = np.zeros(mask.shape, np.float32)
    inside = mni[:, mask]
    mirrored = np.stack([-np.abs(inside[0]), inside[1], inside[2]])  # both sides on the left
    values = np.zeros(mirrored.shape[1], np.float32)
    for centre, radii, nucleus_iron in (NUCLEI[name] for name in nuclei):
        values = np.maximum(
            values, nucleus_iron * _smooth_step(1.2 * (1 - _ellipsoid(mirrored, centre, radii)))
        )
    iron[mask] = values
    return iron


def place_map(mni: np.ndarray) -> np.ndarray:
    """Index in ``PLACES`` at template coordinates (3, x, y, z), from ellipsoids and a box for the brain stem."""
    mirrored = np.stack([np.abs(mni[0]), mni[1], mni[2]])  # both sides on the right
    deep = _ellipsoid(mirrored, (17, -5, 4), (17, 27, 15)) < 1
    stem = (mirrored[0] < 17) & (mni[1] > -45) & (mni[1] < -12) & (mni[2] < -14)
    cerebellum = _ellipsoid(mirrored, (22, -62, -38), (36, 34, 23)) < 1
    place = np.where(deep, 1, 0)
    place[stem | cerebellum] = 2
    return place.astype(np.uint8)
