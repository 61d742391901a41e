"""Simulated scans of simulated heads: contrast of the sequence, veins, lesions, slices and field of view."""

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
    HypointenseFocus,
    inside_grid,
    lesion_table,
    rasterize,
    simulated_calcifications,
    simulated_microbleeds,
)
from lesionflow.simulation.scanner import ORIENTATIONS, add_scanner_effects, reoriented
from lesionflow.simulation.template_head import Anatomy, simulated_anatomy
from lesionflow.simulation.tissue_contrast import SUSCEPTIBILITY, draw_intensities
from lesionflow.simulation.veins import Vein, simulated_veins

# Signal loss beside the air in the skull: centre in MNI mm (left side), and extent in mm.
DROPOUT = {"sphenoid": ((0, 32, -28), (16, 16, 9)), "ear": ((-50, -28, -32), (14, 15, 9))}


@dataclass(frozen=True)
class Head:
    """A simulated head: anatomy, veins, calcifications and microbleeds."""

    seed: int
    anatomy: Anatomy
    veins: list[Vein]
    calcifications: list[HypointenseFocus]
    bleeds: list[HypointenseFocus]


@dataclass(frozen=True)
class Scan:
    """A simulated scan: image, brain mask and lesion numbers on one grid, and the table of its lesions."""

    image: nib.Nifti1Image
    brain: np.ndarray
    lesions: np.ndarray
    table: pd.DataFrame
    bleeds: list[HypointenseFocus]


def simulated_head(
    seed: int, bleeds: int, spacing_mm: float = 1.0, label_map: Path | None = None
) -> Head:
    """Simulate a head with a number of microbleeds; the same seed gives the same head.

    Its anatomy is that of a whole-head label map, or of the MNI152 template without one.
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
        simulated_calcifications(anatomy, seed),
        simulated_microbleeds(anatomy, seed, bleeds),
    )


def simulated_scan(
    head: Head,
    seed: int,
    sequence: str = "swi",
    spacing_mm: tuple[float, float, float] | None = None,
    orientation: str | None = None,
    whole_head: bool = False,
) -> Scan:
    """Simulate a scan of a head; the same seeds give the same scan.

    The signal has the contrast of the sequence, with iron-rich nuclei, veins and microbleeds as dark as the
    sequence shows them, and signal loss beside air. It is averaged over the slice thickness, then gets the
    effects of the scanner (``scanner.add_scanner_effects``).

    Parameters
    ----------
    head
        Its microbleeds that are not entirely in the field of view are missing from the table of lesions.
    seed
        Of contrast, field of view, tilt and noise, and of ``spacing_mm`` and ``orientation`` without a value.
    sequence
        One of ``tissue_contrast.SEQUENCES``.
    spacing_mm
        In plane (the same twice) and slice thickness; by default 0.55 to 1 and 1 to 3 mm.
    orientation
        Axis code of the stored array, one of ``scanner.ORIENTATIONS`` by default.
    whole_head
        Whether the field of view includes face and neck, as far as the head has them; otherwise it ends near
        the brain and may miss up to 6 mm of it.

    Raises
    ------
    ValueError
        If the sequence is unknown.
    """
    rng = np.random.default_rng([head.seed, seed, 6])
    in_plane_mm, slice_mm = (
        float(rng.uniform(0.55, 1.0)),
        float(rng.choice([1.0, 1.5, 2.0, 2.5, 3.0])),
    )
    code = str(rng.choice(ORIENTATIONS))
    if spacing_mm is not None:
        in_plane_mm, slice_mm = spacing_mm[0], spacing_mm[2]
    grid = tilted_box(head.anatomy, rng, in_plane_mm, slice_mm, whole_head)
    n_thin = int(np.ceil(slice_mm / 1.0))  # each slice is the mean of thinner ones
    thin_grid = thin_slices(grid, n_thin)

    tissue = _tissue_signal(head.anatomy, sequence, rng)
    signal = resample(tissue, head.anatomy.affine, thin_grid, "linear")
    dark = SUSCEPTIBILITY[sequence]
    signal *= 1 - _vein_signal_loss(thin_grid, head.veins, dark * float(rng.uniform(0.75, 1.0)))
    for calcification in head.calcifications:
        _add_calcification(signal, thin_grid, calcification, rng)
    for bleed in head.bleeds:
        _add_microbleed(signal, thin_grid, replace(bleed, contrast=dark * bleed.contrast))
    signal = signal.reshape(*grid.shape[:2], grid.shape[2], n_thin).mean(axis=3)
    signal = add_scanner_effects(signal, rng)

    brain = resample(head.anatomy.outline, head.anatomy.affine, grid, "linear") > 0.5
    bleeds = inside_grid(head.bleeds, grid, 0.5)
    lesions = (rasterize(bleeds, grid) * brain).astype(np.int16)
    image, (brain, lesions) = reoriented(signal, [brain, lesions], grid.affine, orientation or code)
    return Scan(image, brain, lesions, lesion_table(bleeds), bleeds)


def _tissue_signal(anatomy: Anatomy, sequence: str, rng: np.random.Generator) -> np.ndarray:
    """Signal on the grid of the head, without veins and foci."""
    shape = anatomy.brain.shape
    signal = np.full(shape, 0.015, np.float32)
    means, dark = draw_intensities(sequence, rng), SUSCEPTIBILITY[sequence]
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
    for position, extent in DROPOUT.values():
        for side in (1, -1) if position[0] else (1,):
            centre = anatomy.deformation.to_head(np.array([position], float) * (side, 1, 1))[0]
            profiles = [
                np.exp(-(((x - c) / (r * rng.uniform(0.7, 1.2))) ** 2)).astype(np.float32)
                for x, c, r in zip(axes, centre, extent, strict=True)
            ]
            void = profiles[0][:, None, None] * profiles[1][:, None] * profiles[2]
            signal *= np.exp(-np.float32(dark * rng.uniform(1.0, 3.0)) * void)
    return signal


def _box(grid: Grid, inverse: np.ndarray, sizes: np.ndarray, centre: np.ndarray, reach: np.ndarray):
    """Slices around a world position, and the offsets in mm along each axis; None outside the grid."""
    index = inverse[:3, :3] @ centre + inverse[:3, 3]
    low = np.maximum(np.floor(index - reach / sizes), 0).astype(int)
    high = np.minimum(np.ceil(index + reach / sizes) + 1, grid.shape).astype(int)
    if (low >= high).any():
        return None
    offsets = [(np.arange(low[a], high[a]) - index[a]) * sizes[a] for a in range(3)]
    return tuple(map(slice, low, high)), offsets


def _vein_signal_loss(grid: Grid, veins: list[Vein], strength: float) -> np.ndarray:
    """Signal loss by veins, from 0 to 1: a Gaussian across each vein, wider than the vessel by blooming.

    Veins thinner than a voxel have less contrast, as by partial volume.
    """
    darkest = np.zeros(grid.shape, np.float32)
    sizes = np.linalg.norm(grid.affine[:3, :3], axis=0)
    index = apply_affine(np.linalg.inv(grid.affine), np.concatenate([v.xyz for v in veins]))
    radius = np.concatenate([v.radius for v in veins])
    vessel_variance = (0.95 * radius) ** 2
    variance = vessel_variance + (0.35 * sizes[0]) ** 2
    peak = (strength * np.minimum(1.0, 0.55 + 0.45 * radius) * vessel_variance / variance).astype(
        np.float32
    )
    near = ((index > -3) & (index < np.array(grid.shape) + 2)).all(axis=1)
    order = np.flatnonzero(near)[np.argsort(radius[near])]
    # points of similar radius together, so that they share one box size
    for points in np.array_split(order, max(1, len(order) // 1000)):
        reach = np.ceil(2.5 * np.sqrt(variance[points].max()) / sizes).astype(int)
        nearest = np.rint(index[points]).astype(int)
        loss = peak[points, None, None, None]
        flat_index, valid = np.zeros((1, 1, 1, 1), int), np.ones((1, 1, 1, 1), bool)
        for axis in range(3):
            shape = [-1, 1, 1, 1]
            shape[axis + 1] = 2 * reach[axis] + 1
            voxel = nearest[:, axis, None] + np.arange(-reach[axis], reach[axis] + 1)
            distance = (voxel - index[points, axis, None]) * sizes[axis]
            profile = np.exp(-(distance**2) / (2 * variance[points, None])).astype(np.float32)
            n = grid.shape[axis]
            loss = loss * profile.reshape(shape)
            flat_index = flat_index * n + voxel.clip(0, n - 1).reshape(shape)
            valid = valid & ((voxel >= 0) & (voxel < n)).reshape(shape)
        np.maximum.at(darkest.reshape(-1), flat_index.ravel(), (loss * valid).ravel())
    return darkest


def _ellipsoid(grid: Grid, focus: HypointenseFocus, reach_mm: float):
    """Slices around an ellipsoid, and the distance from its centre in units of its semi-axes."""
    sizes = np.linalg.norm(grid.affine[:3, :3], axis=0)
    inverse = np.linalg.inv(grid.affine)
    box = _box(grid, inverse, sizes, focus.centre, focus.radii.max() + np.full(3, reach_mm))
    if box is None:
        return None
    offsets = np.stack(np.meshgrid(*box[1], indexing="ij"), -1) @ (grid.affine[:3, :3] / sizes).T
    return box[0], np.sqrt(((offsets / focus.radii) ** 2).sum(axis=-1)), offsets


def _soft_body(radius: np.ndarray, size_mm: float, softness_mm: float) -> np.ndarray:
    """1 inside an ellipsoid (radius below 1), 0 outside, with a smooth step in between."""
    return 1 / (1 + np.exp(np.clip((radius - 1) * size_mm / softness_mm, -30, 30)))


def _add_microbleed(signal: np.ndarray, grid: Grid, bleed: HypointenseFocus) -> None:
    """Add a microbleed: a dark ellipsoid with a soft edge and a faint bright rim, where the field recovers."""
    near = _ellipsoid(grid, bleed, 2.5)
    if near is None:
        return
    box, radius, _ = near
    size = bleed.radii.mean()
    core = _soft_body(radius, size, 0.28)
    rim = np.exp(-(((radius - 1) * size - 1.0) ** 2) / 0.5)
    signal[box] *= (1 - bleed.contrast * core) * (1 + 0.06 * rim)


def _add_calcification(
    signal: np.ndarray, grid: Grid, calcification: HypointenseFocus, rng: np.random.Generator
) -> None:
    """Add a calcification: being diamagnetic, it is dark with bright caps along the main field."""
    near = _ellipsoid(grid, calcification, 4.0)
    if near is None:
        return
    box, radius, offsets = near
    size = calcification.radii.mean()
    core = _soft_body(radius, size, 0.35)
    along = np.abs(offsets[..., 2]) / np.maximum(np.linalg.norm(offsets, axis=-1), 1e-3)
    caps = np.exp(-(((radius - 1.1) * size) ** 2) / 1.2) * along**2
    signal[box] *= (1 - calcification.contrast * core) * (1 + rng.uniform(0.4, 0.9) * caps)
