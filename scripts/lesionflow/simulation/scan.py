"""Simulated scans of simulated heads: contrast of a sequence, veins, lesions, slices and field of view."""

from dataclasses import dataclass, replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from nibabel.affines import apply_affine
from scipy import ndimage

from lesionflow.imaging.grids import Grid
from lesionflow.imaging.resampling import resample
from lesionflow.simulation.acquisition_box import split_slices, tilted_box
from lesionflow.simulation.label_map_head import label_map_anatomy
from lesionflow.simulation.microbleeds import (
    Hypointensity,
    inside_field_of_view,
    lesion_table,
    rasterize,
    simulated_calcifications,
    simulated_microbleeds,
)
from lesionflow.simulation.scanner import ORIENTATIONS, add_scanner_effects, reorient
from lesionflow.simulation.template_head import Anatomy, template_anatomy
from lesionflow.simulation.tissue_contrast import SUSCEPTIBILITY, random_intensities
from lesionflow.simulation.veins import Vein, simulated_veins

# Signal is lost near air in the skull: centre in MNI mm (left side), extent in mm.
DROPOUT = {"sphenoid": ((0, 32, -28), (16, 16, 9)), "ear": ((-50, -28, -32), (14, 15, 9))}


@dataclass(frozen=True)
class Head:
    """A simulated head: anatomy, veins, calcifications and microbleeds."""

    seed: int
    anatomy: Anatomy
    veins: list[Vein]
    calcifications: list[Hypointensity]
    microbleeds: list[Hypointensity]


@dataclass(frozen=True)
class Scan:
    """A simulated scan with its reference segmentation.

    Attributes
    ----------
    image
        Image, int16.
    brain : array of the shape of the image, bool
        Reference brain mask.
    lesions : array of the shape of the image, int16
        Reference segmentation: numbers of the microbleeds from 1, 0 elsewhere.
    lesion_table
        One row per microbleed (see ``microbleeds.lesion_table``).
    microbleeds
        Microbleeds in the order of their numbers.
    """

    image: nib.Nifti1Image
    brain: np.ndarray
    lesions: np.ndarray
    lesion_table: pd.DataFrame
    microbleeds: list[Hypointensity]


def simulated_head(
    seed: int, microbleeds: int, spacing_mm: float = 1.0, label_map: Path | None = None
) -> Head:
    """Simulate a head with a number of microbleeds; the same seed gives the same head.

    The anatomy is that of a whole-head label map, or by default of the MNI152 template. See
    ``simulated_microbleeds`` for heads with the same seed and another number of microbleeds.
    """
    anatomy = (
        template_anatomy(seed, spacing_mm)
        if label_map is None
        else label_map_anatomy(label_map, seed, spacing_mm)
    )
    return Head(
        seed,
        anatomy,
        simulated_veins(anatomy, seed, np.random.default_rng([seed, 5]).uniform(0.7, 1.3)),
        simulated_calcifications(anatomy, seed),
        simulated_microbleeds(anatomy, seed, microbleeds),
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

    Intensities of the sequence, then the loss of signal of nuclei, near air, of veins and of lesions, as strong as
    the sequence shows it, then averaging over the slice thickness, then scanner effects
    (``scanner.add_scanner_effects``).

    Parameters
    ----------
    head
        Head with its microbleeds. The reference has only those that are entirely in the field of view.
    seed
        Seed of contrast, field of view, tilt and noise, and of resolution and orientation by default.
    sequence
        One of ``tissue_contrast.SEQUENCES``.
    spacing_mm
        Voxel size in plane (twice) and slice thickness; by default random, 0.55 to 1 mm and 1 to 3 mm.
    orientation
        Axis codes of the array in the file; by default a random one of ``scanner.ORIENTATIONS``.
    whole_head
        Whether the field of view includes face and neck, as far as the anatomy has them; otherwise it ends near
        the brain, of which up to 6 mm may be cut off at the top and the bottom.

    Raises
    ------
    ValueError
        If the sequence is not known.
    """
    rng = np.random.default_rng([head.seed, seed, 6])
    pixel_size = float(rng.uniform(0.55, 1.0))
    slice_thickness = float(rng.choice([1.0, 1.5, 2.0, 2.5, 3.0]))
    random_orientation = str(rng.choice(ORIENTATIONS))
    if spacing_mm is not None:
        pixel_size, slice_thickness = spacing_mm[0], spacing_mm[2]
    grid = tilted_box(head.anatomy, rng, pixel_size, slice_thickness, whole_head)
    subslices = int(np.ceil(slice_thickness / 1.0))  # a slice is the mean of slices of 1 mm or less
    fine_grid = split_slices(grid, subslices)

    tissue = _tissue_signal(head.anatomy, sequence, rng)
    signal = resample(tissue, head.anatomy.affine, fine_grid, "linear")
    susceptibility = SUSCEPTIBILITY[sequence]
    vein_contrast = susceptibility * float(rng.uniform(0.75, 1.0))
    signal *= 1 - _vein_signal_loss(fine_grid, head.veins, vein_contrast)
    for calcification in head.calcifications:
        _add_calcification(signal, fine_grid, calcification, rng)
    for microbleed in head.microbleeds:
        contrast = susceptibility * microbleed.contrast
        _add_microbleed(signal, fine_grid, replace(microbleed, contrast=contrast))
    signal = signal.reshape(*grid.shape[:2], grid.shape[2], subslices).mean(axis=3)
    signal = add_scanner_effects(signal, rng)

    brain = resample(head.anatomy.outline, head.anatomy.affine, grid, "linear") > 0.5
    microbleeds = inside_field_of_view(head.microbleeds, grid, 0.5)
    lesions = (rasterize(microbleeds, grid) * brain).astype(np.int16)
    image, (brain, lesions) = reorient(
        signal, [brain, lesions], grid.affine, orientation or random_orientation
    )
    return Scan(image, brain, lesions, lesion_table(microbleeds), microbleeds)


def _tissue_signal(anatomy: Anatomy, sequence: str, rng: np.random.Generator) -> np.ndarray:
    """Signal on the head's grid, without veins and lesions."""
    shape = anatomy.brain.shape
    signal = np.full(shape, 0.015, np.float32)
    intensities, susceptibility = random_intensities(sequence, rng), SUSCEPTIBILITY[sequence]
    for name, fraction in anatomy.tissue.items():
        signal += np.float32(intensities[name]) * fraction
    signal *= 1 - np.float32(susceptibility * rng.uniform(0.35, 0.75)) * anatomy.iron
    for amplitude, sigma_mm in ((0.10, 1.0), (0.25, 4.0)):  # texture, stronger outside the brain
        noise = rng.standard_normal([n // 2 + 1 for n in shape], np.float32)
        noise = ndimage.gaussian_filter(noise, sigma_mm / anatomy.affine[0, 0], truncate=3)
        noise = np.repeat(np.repeat(np.repeat(noise, 2, 0), 2, 1), 2, 2)
        scale = np.float32(amplitude) * np.where(anatomy.depth_mm > 0, 1, 2).astype(np.float32)
        signal *= 1 + scale * noise[: shape[0], : shape[1], : shape[2]]
    axes = [
        np.arange(n) * anatomy.affine[0, 0] + origin
        for n, origin in zip(shape, anatomy.affine[:3, 3], strict=True)
    ]
    for mni, extent in DROPOUT.values():
        for side in (1, -1) if mni[0] else (1,):
            centre = anatomy.deformation.to_head(np.array([mni], float) * (side, 1, 1))[0]
            profiles = [
                np.exp(-(((x - c) / (r * rng.uniform(0.7, 1.2))) ** 2)).astype(np.float32)
                for x, c, r in zip(axes, centre, extent, strict=True)
            ]
            loss = profiles[0][:, None, None] * profiles[1][:, None] * profiles[2]
            signal *= np.exp(-np.float32(susceptibility * rng.uniform(1.0, 3.0)) * loss)
    return signal


def _vein_signal_loss(grid: Grid, veins: list[Vein], contrast: float) -> np.ndarray:
    """Relative loss of signal by veins, from 0 to 1, on a grid: a Gaussian across each vein, wider by blooming.

    Veins thinner than a voxel have less contrast, as by partial volume.
    """
    loss = np.zeros(grid.shape, np.float32)
    voxel_sizes = np.linalg.norm(grid.affine[:3, :3], axis=0)
    index = apply_affine(np.linalg.inv(grid.affine), np.concatenate([v.xyz for v in veins]))
    radius = np.concatenate([v.radius for v in veins])
    vein_variance = (0.95 * radius) ** 2
    variance = vein_variance + (0.35 * voxel_sizes[0]) ** 2
    peak = contrast * np.minimum(1.0, 0.55 + 0.45 * radius) * vein_variance / variance
    peak = peak.astype(np.float32)
    near = ((index > -3) & (index < np.array(grid.shape) + 2)).all(axis=1)
    order = np.flatnonzero(near)[np.argsort(radius[near])]
    # points of similar radius at a time, so that all have a box of the same size
    for batch in np.array_split(order, max(1, len(order) // 1000)):
        reach = np.ceil(2.5 * np.sqrt(variance[batch].max()) / voxel_sizes).astype(int)
        centre = np.rint(index[batch]).astype(int)
        profile = peak[batch, None, None, None]
        flat_index, valid = np.zeros((1, 1, 1, 1), int), np.ones((1, 1, 1, 1), bool)
        for axis in range(3):
            shape = [-1, 1, 1, 1]
            shape[axis + 1] = 2 * reach[axis] + 1
            voxel = centre[:, axis, None] + np.arange(-reach[axis], reach[axis] + 1)
            distance = (voxel - index[batch, axis, None]) * voxel_sizes[axis]
            gaussian = np.exp(-(distance**2) / (2 * variance[batch, None])).astype(np.float32)
            n = grid.shape[axis]
            profile = profile * gaussian.reshape(shape)
            flat_index = flat_index * n + voxel.clip(0, n - 1).reshape(shape)
            valid = valid & ((voxel >= 0) & (voxel < n)).reshape(shape)
        np.maximum.at(loss.reshape(-1), flat_index.ravel(), (profile * valid).ravel())
    return loss


def _box_around(lesion: Hypointensity, grid: Grid, margin_mm: float):
    """Slices of the box around a lesion; radius in units of the semi-axes, and offsets in world mm, of its voxels.

    None if the box is outside the grid.
    """
    voxel_sizes = np.linalg.norm(grid.affine[:3, :3], axis=0)
    inverse = np.linalg.inv(grid.affine)
    reach = lesion.radii.max() + np.full(3, margin_mm)
    index = inverse[:3, :3] @ lesion.centre + inverse[:3, 3]
    low = np.maximum(np.floor(index - reach / voxel_sizes), 0).astype(int)
    high = np.minimum(np.ceil(index + reach / voxel_sizes) + 1, grid.shape).astype(int)
    if (low >= high).any():
        return None
    axes = [(np.arange(low[a], high[a]) - index[a]) * voxel_sizes[a] for a in range(3)]
    rotation = grid.affine[:3, :3] / voxel_sizes
    offsets = np.stack(np.meshgrid(*axes, indexing="ij"), -1) @ rotation.T
    radius = np.sqrt(((offsets / lesion.radii) ** 2).sum(axis=-1))
    return tuple(map(slice, low, high)), radius, offsets


def _soft_ellipsoid(radius: np.ndarray, size_mm: float, edge_mm: float) -> np.ndarray:
    """1 inside an ellipsoid (radius below 1), 0 outside, with a smooth edge."""
    return 1 / (1 + np.exp(np.clip((radius - 1) * size_mm / edge_mm, -30, 30)))


def _add_microbleed(signal: np.ndarray, grid: Grid, microbleed: Hypointensity) -> None:
    """Add a dark ellipsoid with a soft edge and a faint bright rim, in place."""
    box_around = _box_around(microbleed, grid, 2.5)
    if box_around is None:
        return
    box, radius, _ = box_around
    size = microbleed.radii.mean()
    core = _soft_ellipsoid(radius, size, 0.28)
    rim = np.exp(-(((radius - 1) * size - 1.0) ** 2) / 0.5)
    signal[box] *= (1 - microbleed.contrast * core) * (1 + 0.06 * rim)


def _add_calcification(
    signal: np.ndarray, grid: Grid, calcification: Hypointensity, rng: np.random.Generator
) -> None:
    """Add a dark ellipsoid with bright caps along the main field, since calcium is diamagnetic, in place."""
    box_around = _box_around(calcification, grid, 4.0)
    if box_around is None:
        return
    box, radius, offsets = box_around
    size = calcification.radii.mean()
    core = _soft_ellipsoid(radius, size, 0.35)
    cosine = np.abs(offsets[..., 2]) / np.maximum(np.linalg.norm(offsets, axis=-1), 1e-3)
    caps = np.exp(-(((radius - 1.1) * size) ** 2) / 1.2) * cosine**2
    signal[box] *= (1 - calcification.contrast * core) * (1 + rng.uniform(0.4, 0.9) * caps)
