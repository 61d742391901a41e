"""Simulated scans of simulated heads: a sequence's contrast, veins, lesions, slices and field of view."""

from dataclasses import dataclass, replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from nibabel.affines import apply_affine
from scipy import ndimage

from lesionflow.imaging.grids import Grid
from lesionflow.imaging.resampling import resample
from lesionflow.simulation.acquisition_box import thin_slices, tilted_box
from lesionflow.simulation.label_map_head import labelled_anatomy
from lesionflow.simulation.microbleeds import (
    Microbleed,
    lesion_table,
    rasterize,
    simulated_bleeds,
    simulated_calcium,
    within,
)
from lesionflow.simulation.scanner import ORIENTATIONS, scanned, stored
from lesionflow.simulation.template_head import Anatomy, simulated_anatomy
from lesionflow.simulation.tissue_contrast import SUSCEPTIBILITY, drawn
from lesionflow.simulation.veins import Vein, simulated_veins

# Air in the skull wipes the signal out beside it: MNI place in mm (left side), reach in mm.
DROPOUT = {"sphenoid": ((0, 32, -28), (16, 16, 9)), "ear": ((-50, -28, -32), (14, 15, 9))}


@dataclass(frozen=True)
class Head:
    """A simulated head: anatomy, veins, calcium, and microbleeds."""

    seed: int
    anatomy: Anatomy
    veins: list[Vein]
    calcium: list[Microbleed]
    bleeds: list[Microbleed]


@dataclass(frozen=True)
class Scan:
    """A simulated scan: image, brain mask and lesion numbers on one grid, and the lesion table."""

    image: nib.Nifti1Image
    brain: np.ndarray
    lesions: np.ndarray
    truth: pd.DataFrame
    bleeds: list[Microbleed]


def simulated_head(
    seed: int, bleeds: int, spacing_mm: float = 1.0, label_map: Path | None = None
) -> Head:
    """A head with a number of microbleeds, the same for the same seed (see ``simulated_bleeds``).

    Its anatomy is that of a whole-head label map, or of the MNI152 template where none is given.
    """
    anatomy = (
        simulated_anatomy(seed, spacing_mm)
        if label_map is None
        else labelled_anatomy(label_map, seed, spacing_mm)
    )
    return Head(
        seed,
        anatomy,
        simulated_veins(anatomy, seed, np.random.default_rng([seed, 5]).uniform(0.7, 1.3)),
        simulated_calcium(anatomy, seed),
        simulated_bleeds(anatomy, seed, bleeds),
    )


def simulated_scan(
    head: Head,
    seed: int,
    sequence: str = "swi",
    spacing_mm: tuple[float, float, float] | None = None,
    orientation: str | None = None,
    whole_head: bool = False,
) -> Scan:
    """A simulated scan of a head, the same for the same seeds.

    The sequence's contrast, iron-rich nuclei, veins and microbleeds as dark as it makes them, signal
    lost beside air. Then averaging over the slice thickness, and scanner effects (``scanner.scanned``).

    Parameters
    ----------
    head
        With its microbleeds; those cut or missed by the field of view are not in its lesion table.
    seed
        Chooses contrast, field of view, tilt, noise, and whatever ``spacing_mm`` and ``orientation`` leave open.
    sequence
        One of ``tissue_contrast.SEQUENCES``.
    spacing_mm
        In plane (the same twice) and slice thickness; by default 0.55 to 1 and 1 to 3 mm.
    orientation
        Axis code of the stored array, one of ``scanner.ORIENTATIONS`` by default.
    whole_head
        Whether the field of view holds face and neck, as far as the head has them; else it ends near
        the brain and may miss up to 6 mm of its ends.

    Raises
    ------
    ValueError
        If the sequence is not known.
    """
    rng = np.random.default_rng([head.seed, seed, 6])
    wide, thick = float(rng.uniform(0.55, 1.0)), float(rng.choice([1.0, 1.5, 2.0, 2.5, 3.0]))
    code = str(rng.choice(ORIENTATIONS))
    if spacing_mm is not None:
        wide, thick = spacing_mm[0], spacing_mm[2]
    grid = tilted_box(head.anatomy, rng, wide, thick, whole_head)
    slabs = int(np.ceil(thick / 1.0))  # each slice is the mean of thin ones
    fine = thin_slices(grid, slabs)

    tissue = _tissue_signal(head.anatomy, sequence, rng)
    signal = resample(tissue, head.anatomy.affine, fine, "linear")
    dark = SUSCEPTIBILITY[sequence]
    signal *= 1 - _veins_on(fine, head.veins, dark * float(rng.uniform(0.75, 1.0)))
    for spot in head.calcium:
        _paint_calcium(signal, fine, spot, rng)
    for bleed in head.bleeds:
        _paint_bleed(signal, fine, replace(bleed, contrast=dark * bleed.contrast))
    signal = signal.reshape(*grid.shape[:2], grid.shape[2], slabs).mean(axis=3)
    signal = scanned(signal, rng)

    brain = resample(head.anatomy.outline, head.anatomy.affine, grid, "linear") > 0.5
    bleeds = within(head.bleeds, grid, 0.5)
    lesions = (rasterize(bleeds, grid) * brain).astype(np.int16)
    image, (brain, lesions) = stored(signal, [brain, lesions], grid.affine, orientation or code)
    return Scan(image, brain, lesions, lesion_table(bleeds), bleeds)


def _tissue_signal(anatomy: Anatomy, sequence: str, rng: np.random.Generator) -> np.ndarray:
    """Signal on the head's grid, before veins and spots."""
    shape = anatomy.brain.shape
    signal = np.full(shape, 0.015, np.float32)
    means, dark = drawn(sequence, rng), SUSCEPTIBILITY[sequence]
    for name, share in anatomy.tissue.items():
        signal += np.float32(means[name]) * share
    signal *= 1 - np.float32(dark * rng.uniform(0.35, 0.75)) * anatomy.iron
    for strength, smooth in ((0.10, 1.0), (0.25, 4.0)):
        grain = rng.standard_normal([n // 2 + 1 for n in shape], np.float32)
        grain = ndimage.gaussian_filter(grain, smooth / anatomy.affine[0, 0], truncate=3)
        grain = np.repeat(np.repeat(np.repeat(grain, 2, 0), 2, 1), 2, 2)
        fold = np.float32(strength) * np.where(anatomy.depth_mm > 0, 1, 2).astype(np.float32)
        signal *= 1 + fold * grain[: shape[0], : shape[1], : shape[2]]
    axes = [
        np.arange(n) * anatomy.affine[0, 0] + o
        for n, o in zip(shape, anatomy.affine[:3, 3], strict=True)
    ]
    for place, reach in DROPOUT.values():
        for side in (1, -1) if place[0] else (1,):
            centre = anatomy.deformation.to_head(np.array([place], float) * (side, 1, 1))[0]
            parts = [
                np.exp(-(((x - c) / (r * rng.uniform(0.7, 1.2))) ** 2)).astype(np.float32)
                for x, c, r in zip(axes, centre, reach, strict=True)
            ]
            hole = parts[0][:, None, None] * parts[1][:, None] * parts[2]
            signal *= np.exp(-np.float32(dark * rng.uniform(1.0, 3.0)) * hole)
    return signal


def _box(grid: Grid, inverse: np.ndarray, sizes: np.ndarray, centre: np.ndarray, reach: np.ndarray):
    """Slices around a world position, and the offsets in mm along each axis; None if outside."""
    index = inverse[:3, :3] @ centre + inverse[:3, 3]
    low = np.maximum(np.floor(index - reach / sizes), 0).astype(int)
    high = np.minimum(np.ceil(index + reach / sizes) + 1, grid.shape).astype(int)
    if (low >= high).any():
        return None
    offsets = [(np.arange(low[a], high[a]) - index[a]) * sizes[a] for a in range(3)]
    return tuple(map(slice, low, high)), offsets


def _veins_on(grid: Grid, veins: list[Vein], strength: float) -> np.ndarray:
    """How dark veins are, from 0 to 1: a Gaussian across each, wider than the vessel by blooming.

    A vein thinner than a voxel loses contrast as it would by partial volume.
    """
    dark = np.zeros(grid.shape, np.float32)
    sizes = np.linalg.norm(grid.affine[:3, :3], axis=0)
    index = apply_affine(np.linalg.inv(grid.affine), np.concatenate([v.xyz for v in veins]))
    radius = np.concatenate([v.radius for v in veins])
    own = (0.95 * radius) ** 2
    variance = own + (0.35 * sizes[0]) ** 2
    peak = (strength * np.minimum(1.0, 0.55 + 0.45 * radius) * own / variance).astype(np.float32)
    near = ((index > -3) & (index < np.array(grid.shape) + 2)).all(axis=1)
    order = np.flatnonzero(near)[np.argsort(radius[near])]
    # parts of veins of like radius, so that boxes of one size do
    for part in np.array_split(order, max(1, len(order) // 1000)):
        reach = np.ceil(2.5 * np.sqrt(variance[part].max()) / sizes).astype(int)
        whole = np.rint(index[part]).astype(int)
        spot = peak[part, None, None, None]
        where, valid = np.zeros((1, 1, 1, 1), int), np.ones((1, 1, 1, 1), bool)
        for axis in range(3):
            form = [-1, 1, 1, 1]
            form[axis + 1] = 2 * reach[axis] + 1
            voxel = whole[:, axis, None] + np.arange(-reach[axis], reach[axis] + 1)
            away = (voxel - index[part, axis, None]) * sizes[axis]
            across = np.exp(-(away**2) / (2 * variance[part, None])).astype(np.float32)
            n = grid.shape[axis]
            spot = spot * across.reshape(form)
            where = where * n + voxel.clip(0, n - 1).reshape(form)
            valid = valid & ((voxel >= 0) & (voxel < n)).reshape(form)
        np.maximum.at(dark.reshape(-1), where.ravel(), (spot * valid).ravel())
    return dark


def _ellipsoid(grid: Grid, microbleed: Microbleed, reach_mm: float):
    """Slices around an ellipsoid, and the distance from its centre in units of its semi-axes."""
    sizes = np.linalg.norm(grid.affine[:3, :3], axis=0)
    inverse = np.linalg.inv(grid.affine)
    box = _box(
        grid, inverse, sizes, microbleed.centre, microbleed.radii.max() + np.full(3, reach_mm)
    )
    if box is None:
        return None
    offsets = np.stack(np.meshgrid(*box[1], indexing="ij"), -1) @ (grid.affine[:3, :3] / sizes).T
    return box[0], np.sqrt(((offsets / microbleed.radii) ** 2).sum(axis=-1)), offsets


def _soft_body(radius: np.ndarray, size_mm: float, softness_mm: float) -> np.ndarray:
    """1 inside of an ellipsoid (radius below 1), 0 outside, and a smooth step between."""
    return 1 / (1 + np.exp(np.clip((radius - 1) * size_mm / softness_mm, -30, 30)))


def _paint_bleed(signal: np.ndarray, grid: Grid, bleed: Microbleed) -> None:
    """A dark ellipsoid with a soft edge, and a faint bright rim where the field recovers."""
    near = _ellipsoid(grid, bleed, 2.5)
    if near is None:
        return
    box, radius, _ = near
    size = bleed.radii.mean()
    core = _soft_body(radius, size, 0.28)
    rim = np.exp(-(((radius - 1) * size - 1.0) ** 2) / 0.5)
    signal[box] *= (1 - bleed.contrast * core) * (1 + 0.06 * rim)


def _paint_calcium(
    signal: np.ndarray, grid: Grid, spot: Microbleed, rng: np.random.Generator
) -> None:
    """Calcium is diamagnetic: a dark body with bright caps along the main field."""
    near = _ellipsoid(grid, spot, 4.0)
    if near is None:
        return
    box, radius, offsets = near
    size = spot.radii.mean()
    core = _soft_body(radius, size, 0.35)
    along = np.abs(offsets[..., 2]) / np.maximum(np.linalg.norm(offsets, axis=-1), 1e-3)
    caps = np.exp(-(((radius - 1.1) * size) ** 2) / 1.2) * along**2
    signal[box] *= (1 - spot.contrast * core) * (1 + rng.uniform(0.4, 0.9) * caps)
