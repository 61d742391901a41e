"""Simulated heads: nilearn's MNI152 brain, randomly deformed, with a plain skull and scalp around it.

Everything here is simulated. A head lives on a 1 mm grid of its own in world millimetres (RAS+); the
template's coordinates stay reachable through its deformation, so that whatever is known in MNI space
(nuclei, large veins) can be placed in it. Another source of anatomy needs only to fill an ``Anatomy``.
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
# 0 to 1. Places after the MNI152 template; order of iron after Hallgren & Sourander 1958.
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
_LOW = np.array([-100.0, -138.0, -96.0])  # of a head's box in mm, around the template's origin
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
    """A random map between a head's world and the template's: an affine and two elastic octaves.

    ``to_template(x) = B (x - shift) + u(x)``: sizes vary by about 6 % and angles by some degrees;
    u is a sum of cubic B-splines with control points 44 mm (about 3.5 mm strong) and 16 mm (0.9 mm)
    apart, mild enough that the map stays invertible.
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

    def on_grid(self, axes: list[np.ndarray]) -> np.ndarray:
        """Template coordinates (3, x, y, z) in mm of a grid along the world's axes."""
        places = []
        for c in range(3):
            linear = [self.matrix[c, a] * (axes[a] - self.shift[a]) for a in range(3)]
            place = linear[0][:, None, None] + linear[1][:, None] + linear[2]
            place = place.astype(np.float32)
            for first, spacing, control in self.octaves:
                part = control[..., c].astype(np.float32)
                for a in range(3):
                    weights = _basis(axes[a], first[a], spacing, part.shape[0])
                    part = np.tensordot(part, weights, (0, 1))  # the next axis comes first
                place += part
            places.append(place)
        return np.stack(places)

    def to_template(self, xyz: np.ndarray) -> np.ndarray:
        """Template coordinates (n, 3) of world positions (n, 3), mm."""
        return (xyz - self.shift) @ self.matrix.T + self._elastic(xyz)

    def to_head(self, mni: np.ndarray, rounds: int = 12) -> np.ndarray:
        """World positions (n, 3) of template coordinates (n, 3), mm, by fixed-point iteration."""
        back = np.linalg.inv(self.matrix).T
        xyz = mni @ back + self.shift
        for _ in range(rounds):
            xyz = (mni - self._elastic(xyz)) @ back + self.shift
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
        Shares in [0, 1] of tissues of ``tissue_contrast.SEQUENCES``; what they do not fill is air.
    iron : array (x, y, z), float32
        Iron of the deep nuclei, from 0 to 1.
    brain : array (x, y, z), float32
        Share of brain in a voxel: of its tissue and ventricles, where these are known.
    outline : array (x, y, z), float32
        Share of the brain with its sulci; a mask is where it is above 0.5.
    depth_mm : array (x, y, z), float32
        Distance to the surface of the brain with the CSF around it, positive inside.
    place : array (x, y, z), uint8
        Index in ``PLACES``, for brain voxels.
    deformation
        Between the world and the template: an object with ``to_head`` and ``to_template``.
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
    """Affine (4, 4) of a head's grid, and its voxel centres along each axis in world mm."""
    affine = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    affine[:3, 3] = _LOW
    return affine, [np.arange(lo, hi, spacing_mm) for lo, hi in zip(_LOW, _HIGH, strict=True)]


def simulated_anatomy(seed: int, spacing_mm: float = 1.0) -> Anatomy:
    """A simulated head, the same for the same seed.

    Parameters
    ----------
    seed
        Chooses the deformation and the thickness of skull and scalp.
    spacing_mm
        Of the head's grid. Coarser than 1 mm is for tests.
    """
    rng = np.random.default_rng([seed, 1])
    template = mni_template()
    deformation = Deformation(rng)
    affine, axes = head_grid(spacing_mm)
    mni = deformation.on_grid(axes)

    index = mni - template.affine[:3, 3].astype(np.float32).reshape(3, 1, 1, 1)
    brain = ndimage.map_coordinates(template.brain, index, order=1)
    some = brain > 0.02
    gm, wm = np.zeros_like(brain), np.zeros_like(brain)
    for source, target in ((template.gm, gm), (template.wm, wm)):
        target[some] = ndimage.map_coordinates(source, index[:, some], order=1)
    depth = signed_depth(brain, spacing_mm)
    tissue = _tissues(gm, wm, brain, depth, mni, rng)
    iron, place = iron_of(mni, some), place_of(mni)
    outline = brain  # the template's is a mask
    return Anatomy(affine, tissue, iron, brain, outline, depth, place, deformation)


def signed_depth(brain: np.ndarray, spacing_mm: float) -> np.ndarray:
    """Distance to the surface in mm, positive inside, from a grid of half the resolution."""
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
    """Shares of ``TISSUES``. Brain from the template's maps, the rest as shells of random thickness."""
    total = gm + wm
    csf = np.clip(1.6 * (0.95 - total), 0, 1) * brain
    scale = (brain - csf) / np.maximum(total, 1e-3)
    found = {"wm": wm * scale, "gm": gm * scale, "csf": csf}

    dura, bone, scalp = 1.5 + rng.uniform(0, 1.5), rng.uniform(5, 8), rng.uniform(4, 7)
    near = (brain < 1) & ((depth > -24) | (mni[2] < -25))
    x, y, z = mni[:, near]
    outside, air = -depth[near], 1 - brain[near]
    phase = rng.uniform(0, 6, 4).tolist()
    uneven = 1.5 * np.sin(x / 17 + phase[0]) * np.sin(y / 23 + phase[1])
    uneven += np.sin(z / 9 + phase[2]) * np.sin(y / 8 + phase[3])
    skin = dura + bone + scalp + uneven
    # below the skull base there is muscle and fat instead of shells: a face and a neck
    below = _smooth_step((-z - 38 + 0.25 * y) / 10)
    neck = (x / 68) ** 2 + ((y + 8) / 88) ** 2 < 1
    above = 1 - below * (outside > dura)
    shell = air * above * _smooth_step(outside - dura) * _smooth_step(dura + bone - outside)
    middle = np.abs(outside - dura - bone / 2 - 0.5 * uneven) < bone / 6
    parts = {
        "meninges": air * above * _smooth_step(dura - outside),
        "bone": shell * ~middle,
        "marrow": shell * middle,
        "scalp": air * above * _smooth_step(outside - dura - bone) * _smooth_step(skin - outside),
    }
    soft = np.maximum(_smooth_step(skin - outside), neck) * _smooth_step(outside - dura)
    parts["soft"] = np.minimum(below * air * soft, air - sum(parts.values()))
    for name, part in parts.items():
        found[name] = np.zeros_like(brain)
        found[name][near] = part
    return {name: found[name] for name in TISSUES}


def _ellipsoid(mni: np.ndarray, centre: tuple, radii: tuple) -> np.ndarray:
    """Squared distance to a centre in units of the semi-axes, of coordinates (3, ...)."""
    return sum(((mni[a] - centre[a]) / radii[a]) ** 2 for a in range(3))


def iron_of(mni: np.ndarray, some: np.ndarray, nuclei: Iterable[str] = tuple(NUCLEI)) -> np.ndarray:
    """Iron of nuclei, from 0 to 1, at template coordinates (3, x, y, z) in mm; 0 where not ``some``."""
    iron = np.zeros(some.shape, np.float32)
    inside = mni[:, some]
    both = np.stack([-np.abs(inside[0]), inside[1], inside[2]])
    values = np.zeros(both.shape[1], np.float32)
    for centre, radii, strength in (NUCLEI[name] for name in nuclei):
        values = np.maximum(
            values, strength * _smooth_step(1.2 * (1 - _ellipsoid(both, centre, radii)))
        )
    iron[some] = values
    return iron


def place_of(mni: np.ndarray) -> np.ndarray:
    """Coarse places by coordinates: an ellipsoid of deep grey, a cerebellum and a brain stem."""
    both = np.stack([np.abs(mni[0]), mni[1], mni[2]])
    deep = _ellipsoid(both, (17, -5, 4), (17, 27, 15)) < 1
    stem = (both[0] < 17) & (mni[1] > -45) & (mni[1] < -12) & (mni[2] < -14)
    cerebellum = _ellipsoid(both, (22, -62, -38), (36, 34, 23)) < 1
    place = np.where(deep, 1, 0)
    place[stem | cerebellum] = 2
    return place.astype(np.uint8)
