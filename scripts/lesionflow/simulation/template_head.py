"""Simulated heads: nilearn's MNI152 brain, randomly deformed, with a simple skull and scalp around it.

Everything here is simulated. A head has a 1 mm grid in world millimetres (RAS+). Its deformation maps
between world and template coordinates, so that structures with known MNI coordinates (nuclei, large veins)
can be placed in it. Another source of anatomy only has to build an ``Anatomy``.
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
# 0 to 1. Positions from the MNI152 template; order of iron from Hallgren & Sourander 1958.
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
# Bounds of the grid of a head, in mm from the origin of the template.
_LOW = np.array([-100.0, -138.0, -96.0])
_HIGH = np.array([100.0, 106.0, 106.0])


@dataclass(frozen=True)
class Template:
    """The MNI152 maps on nilearn's grid: grey and white matter, brain, all float32 in [0, 1]."""

    affine: np.ndarray
    gm: np.ndarray
    wm: np.ndarray
    brain: np.ndarray


@cache
def mni_template(resolution_mm: int = 1) -> Template:
    """Maps of the MNI152 2009a template as nilearn ships them (Fonov et al. 2011); no download."""
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
    """Cubic B-spline weights (n, count) of control points at ``first + spacing * i``."""
    t = np.abs((np.asarray(x)[:, None] - first) / spacing - np.arange(count))
    near, far = 2 / 3 - t**2 + t**3 / 2, (2 - t) ** 3 / 6
    return np.where(t < 1, near, np.where(t < 2, far, 0)).astype(np.float32)


class Deformation:
    """A random map between world and template coordinates: an affine and two elastic octaves.

    ``to_template(x) = B (x - shift) + u(x)``: sizes vary by about 6 % and angles by some degrees;
    u is a sum of cubic B-splines with control points 44 mm (about 3.5 mm strong) and 16 mm (0.9 mm)
    apart, small enough that the map stays invertible.
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
        self.octaves = []
        for spacing, strength in ((44.0, 5.5), (16.0, 1.5)):
            first = _LOW - 2 * spacing
            counts = np.ceil((_HIGH - _LOW) / spacing).astype(int) + 5
            self.octaves.append((first, spacing, rng.normal(0, strength, (*counts, 3))))

    def grid_to_template(self, axes: list[np.ndarray]) -> np.ndarray:
        """Template coordinates (3, x, y, z) in mm of a grid whose axes are the world axes."""
        coordinates = []
        for c in range(3):
            linear = [self.matrix[c, a] * (axes[a] - self.shift[a]) for a in range(3)]
            coordinate = linear[0][:, None, None] + linear[1][:, None] + linear[2]
            coordinate = coordinate.astype(np.float32)
            for first, spacing, control in self.octaves:
                offset = control[..., c].astype(np.float32)
                for a in range(3):
                    weights = _basis(axes[a], first[a], spacing, offset.shape[0])
                    offset = np.tensordot(offset, weights, (0, 1))  # the next axis comes first
                coordinate += offset
            coordinates.append(coordinate)
        return np.stack(coordinates)

    def to_template(self, xyz: np.ndarray) -> np.ndarray:
        """Template coordinates (n, 3) of world positions (n, 3), mm."""
        return (xyz - self.shift) @ self.matrix.T + self._elastic(xyz)

    def to_head(self, mni: np.ndarray, rounds: int = 12) -> np.ndarray:
        """World positions (n, 3) of template coordinates (n, 3), mm, by fixed-point iteration."""
        inverse = np.linalg.inv(self.matrix).T
        xyz = mni @ inverse + self.shift
        for _ in range(rounds):
            xyz = (mni - self._elastic(xyz)) @ inverse + self.shift
        return xyz

    def _elastic(self, xyz: np.ndarray) -> np.ndarray:
        total = np.zeros((len(xyz), 3))
        for first, spacing, control in self.octaves:
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
        Voxel index to world mm, along the world's axes (RAS).
    tissue : dict of array (x, y, z), float32
        Share of each tissue of ``tissue_contrast.SEQUENCES`` in a voxel, in [0, 1]; the remainder is air.
    iron : array (x, y, z), float32
        Iron content of the deep nuclei, from 0 to 1.
    brain : array (x, y, z), float32
        Share of brain in a voxel: tissue, and ventricles where they are known.
    outline : array (x, y, z), float32
        Share of brain with its sulci; above 0.5 is the brain mask.
    depth_mm : array (x, y, z), float32
        Distance to the surface of the brain with the CSF around it, positive inside.
    place : array (x, y, z), uint8
        Index in ``PLACES``, for brain voxels.
    deformation
        Between world and template: an object with ``to_head`` and ``to_template``.
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
        """Values of one of the maps at world positions (n, 3), linearly interpolated."""
        index = apply_affine(np.linalg.inv(self.affine), xyz)
        return ndimage.map_coordinates(volume, index.T, order=1, mode="nearest")


def head_grid(spacing_mm: float) -> tuple[np.ndarray, list[np.ndarray]]:
    """Affine (4, 4) of the grid of a head, and its voxel centres along each axis in world mm."""
    affine = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    affine[:3, 3] = _LOW
    return affine, [np.arange(lo, hi, spacing_mm) for lo, hi in zip(_LOW, _HIGH, strict=True)]


def simulated_anatomy(seed: int, spacing_mm: float = 1.0) -> Anatomy:
    """Simulate a head; the same seed gives the same head.

    Parameters
    ----------
    seed
        Of the deformation and the thickness of skull and scalp.
    spacing_mm
        Voxel size of the head's grid. Values above 1 mm are for tests.
    """
    rng = np.random.default_rng([seed, 1])
    template = mni_template()
    deformation = Deformation(rng)
    affine, axes = head_grid(spacing_mm)
    mni = deformation.grid_to_template(axes)

    index = mni - template.affine[:3, 3].astype(np.float32).reshape(3, 1, 1, 1)
    brain = ndimage.map_coordinates(template.brain, index, order=1)
    near_brain = brain > 0.02
    gm, wm = np.zeros_like(brain), np.zeros_like(brain)
    for source, target in ((template.gm, gm), (template.wm, wm)):
        target[near_brain] = ndimage.map_coordinates(source, index[:, near_brain], order=1)
    depth = signed_depth(brain, spacing_mm)
    tissue = _tissues(gm, wm, brain, depth, mni, rng)
    iron, place = iron_content(mni, near_brain), place_index(mni)
    outline = brain  # that of the template includes the sulci
    return Anatomy(affine, tissue, iron, brain, outline, depth, place, deformation)


def signed_depth(brain: np.ndarray, spacing_mm: float) -> np.ndarray:
    """Distance to the surface in mm, positive inside, computed at half the resolution."""
    half = brain[::2, ::2, ::2] > 0.5
    inside = ndimage.distance_transform_edt(half) - ndimage.distance_transform_edt(~half)
    signed = (inside - np.sign(inside) / 2).astype(np.float32) * (2 * spacing_mm)
    for axis, count in enumerate(brain.shape):
        position = np.minimum(np.arange(count) / 2, signed.shape[axis] - 1)
        low = np.minimum(position.astype(int), signed.shape[axis] - 2)
        share = (
            (position - low).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
        )
        signed = signed.take(low, axis) * (1 - share) + signed.take(low + 1, axis) * share
    return signed


def _smooth_step(x: np.ndarray) -> np.ndarray:
    return np.clip(x + 0.5, 0, 1)


def _tissues(
    gm: np.ndarray,
    wm: np.ndarray,
    brain: np.ndarray,
    depth: np.ndarray,
    mni: np.ndarray,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """Shares of ``TISSUES``: the brain from the template, the rest as shells of random thickness."""
    total = gm + wm
    csf = np.clip(1.6 * (0.95 - total), 0, 1) * brain
    scale = (brain - csf) / np.maximum(total, 1e-3)
    shares = {"wm": wm * scale, "gm": gm * scale, "csf": csf}

    dura, bone, scalp = 1.5 + rng.uniform(0, 1.5), rng.uniform(5, 8), rng.uniform(4, 7)
    around = (brain < 1) & ((depth > -24) | (mni[2] < -25))
    x, y, z = mni[:, around]
    outside, air = -depth[around], 1 - brain[around]
    phase = rng.uniform(0, 6, 4).tolist()
    uneven = 1.5 * np.sin(x / 17 + phase[0]) * np.sin(y / 23 + phase[1])
    uneven += np.sin(z / 9 + phase[2]) * np.sin(y / 8 + phase[3])
    skin = dura + bone + scalp + uneven
    # below the skull base, muscle and fat (face and neck) take the place of the shells
    below = _smooth_step((-z - 38 + 0.25 * y) / 10)
    neck = (x / 68) ** 2 + ((y + 8) / 88) ** 2 < 1
    above = 1 - below * (outside > dura)
    shell = air * above * _smooth_step(outside - dura) * _smooth_step(dura + bone - outside)
    in_marrow = np.abs(outside - dura - bone / 2 - 0.5 * uneven) < bone / 6
    outer = {
        "meninges": air * above * _smooth_step(dura - outside),
        "bone": shell * ~in_marrow,
        "marrow": shell * in_marrow,
        "scalp": air * above * _smooth_step(outside - dura - bone) * _smooth_step(skin - outside),
    }
    soft = np.maximum(_smooth_step(skin - outside), neck) * _smooth_step(outside - dura)
    outer["soft"] = np.minimum(below * air * soft, air - sum(outer.values()))
    for name, share in outer.items():
        shares[name] = np.zeros_like(brain)
        shares[name][around] = share
    return {name: shares[name] for name in TISSUES}


def _ellipsoid(mni: np.ndarray, centre: tuple, radii: tuple) -> np.ndarray:
    """Squared distance to a centre in units of the semi-axes, of coordinates (3, ...)."""
    return sum(((mni[a] - centre[a]) / radii[a]) ** 2 for a in range(3))


def iron_content(
    mni: np.ndarray, mask: np.ndarray, nuclei: Iterable[str] = tuple(NUCLEI)
) -> np.ndarray:
    """Iron content of nuclei, from 0 to 1, at template coordinates (3, x, y, z) in mm; 0 outside ``mask``."""
    iron = np.zeros(mask.shape, np.float32)
    inside = mni[:, mask]
    left_side = np.stack([-np.abs(inside[0]), inside[1], inside[2]])
    values = np.zeros(left_side.shape[1], np.float32)
    for centre, radii, strength in (NUCLEI[name] for name in nuclei):
        values = np.maximum(
            values, strength * _smooth_step(1.2 * (1 - _ellipsoid(left_side, centre, radii)))
        )
    iron[mask] = values
    return iron


def place_index(mni: np.ndarray) -> np.ndarray:
    """Index in ``PLACES`` by template coordinates: ellipsoids for deep grey matter and cerebellum, a box for the stem."""
    right_side = np.stack([np.abs(mni[0]), mni[1], mni[2]])
    deep = _ellipsoid(right_side, (17, -5, 4), (17, 27, 15)) < 1
    stem = (right_side[0] < 17) & (mni[1] > -45) & (mni[1] < -12) & (mni[2] < -14)
    cerebellum = _ellipsoid(right_side, (22, -62, -38), (36, 34, 23)) < 1
    place = np.where(deep, 1, 0)
    place[stem | cerebellum] = 2
    return place.astype(np.uint8)
