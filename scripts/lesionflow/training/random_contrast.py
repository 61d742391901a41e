"""Training images of random contrast from whole-head label maps, for a contrast-agnostic brain mask.

As in SynthStrip (Hoopes et al. 2022) and SynthSeg (Billot et al. 2023), label maps are deformed and every class
gets a random intensity. Blur, slice thickness, field of view, bias field, noise and artefacts are random as well,
with wider ranges than in real scans, so that real sequences fall within the range of the training images.
"""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from lesionflow.imaging.intensity import normalize
from lesionflow.simulation.label_maps import CLASSES, NUMBER, LabelMap, load_label_map
from lesionflow.simulation.tissue_contrast import SEQUENCES, random_intensities

SHAPE = (96, 112, 96)
SPACING_MM = 2.5
NORMALIZE: list[dict[str, Any]] = [  # as in config/models/brainmask.yaml
    {"clip_below": 0},
    {"divide_by_percentile": 99, "within": "brain"},
    {"clip_above": 1.25},
    {"divide_by": 1.25},
]
_CORTEX_LIKE = ("cerebellum-gm", "thalamus", "caudate", "putamen", "hippocampus", "amygdala")
_WM_LIKE = ("cerebellum-wm", "stem", "ventral-dc", "chiasm", "cord", "optic-nerve", "wm-lesion")


@cache
def _cropped_label_map(path: Path) -> tuple[LabelMap, np.ndarray, np.ndarray]:
    """A label map cropped to the head, and its smoothed brain and brain outline as fractions per voxel."""
    head = load_label_map(path).cropped()
    brain_fraction, outline = (
        ndimage.gaussian_filter(mask.astype(np.float32), 0.7) for mask in (head.brain, head.outline)
    )
    return head, brain_fraction, outline


def random_example(path: Path, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """An image of random contrast and its brain mask; the same seed gives the same image.

    Parameters
    ----------
    path
        A whole-head label map with voxels of about 1 mm.
    seed
        Seed of all random choices.

    Returns
    -------
    image : array of ``SHAPE``, float16
        At ``SPACING_MM``, normalised as in the card of the brain mask.
    brain : array of ``SHAPE``, uint8
        Fraction of each voxel within the outline of the brain, 0 to 255.
    """
    rng = np.random.default_rng([seed, 20])
    head, brain_fraction, outline = _cropped_label_map(path)
    voxel_size_mm = _random_voxel_size(rng)
    contrast = _random_contrast(head, rng)
    contrast *= _random_skull_stripping(brain_fraction, rng)
    for axis in range(3):  # average over the thickness of a slice
        sigma = max(rng.uniform(0.2, 0.7), 0.35 * voxel_size_mm[axis])
        contrast = ndimage.gaussian_filter1d(contrast, sigma, axis, truncate=2.5)
    coordinates = _random_coordinates(head, brain_fraction, rng)
    image = ndimage.map_coordinates(contrast, coordinates, order=1, mode="constant")
    brain = ndimage.map_coordinates(outline, coordinates, order=1, mode="constant")
    if rng.random() < 0.5:
        image, brain = image[::-1], brain[::-1]
    image = image * _random_bias_field(rng) * _random_dropout(brain, rng)
    image = _resample_thick_slices(image, voxel_size_mm, rng)
    image = _add_noise(image, rng) ** np.float32(np.exp(rng.normal(0, 0.2)))
    field_of_view = _random_field_of_view(brain, rng)
    normalized = normalize((image * field_of_view)[..., None], NORMALIZE, field_of_view)[..., 0]
    normalized, brain = normalized * field_of_view, brain * field_of_view
    return normalized.astype(np.float16), np.rint(255 * brain).astype(np.uint8)


def _random_voxel_size(rng: np.random.Generator) -> np.ndarray:
    """Voxel size in mm along each axis: nearly isotropic, or with thick slices along one axis."""
    size = np.full(3, rng.uniform(0.5, 1.5))
    if rng.random() < 0.5:
        size[rng.choice(3, p=(0.15, 0.2, 0.65))] = rng.uniform(1.5, 6.0)
    return size


def _random_contrast(label_map: LabelMap, rng: np.random.Generator) -> np.ndarray:
    """Image of a label map with a random intensity per class, texture, and fat within the soft tissue."""
    classes = label_map.classes
    if rng.random() < 0.65:
        means = random_intensities(str(rng.choice(list(SEQUENCES))), rng, sd_factor=1.5)
        intensity = {name: means.get(tissue, 0.0) for name, (_, tissue) in CLASSES.items()}
        fat = means["fat"]
        for name in ("pallidum", "putamen", "caudate"):
            intensity[name] *= rng.uniform(0.5, 1.1)
    else:
        intensity = {name: float(rng.uniform(0.02, 1)) for name in CLASSES}
        fat = float(rng.uniform(0.02, 1))
        for tissue_class, names in (
            ("gm", _CORTEX_LIKE),
            ("wm", _WM_LIKE),
            ("csf", ("ventricle",)),
        ):
            if rng.random() < 0.7:
                intensity |= {
                    name: intensity[tissue_class] * float(rng.normal(1, 0.06)) for name in names
                }
        if rng.random() < 0.5:
            intensity["bone"] = float(rng.uniform(0.02, 0.2))
    intensity["air"] = 0.0 if rng.random() < 0.8 else float(rng.uniform(0, 0.15))
    intensities = np.array([intensity[name] for name in CLASSES], np.float32)
    image: np.ndarray = intensities[classes]
    soft_tissue = classes == NUMBER["soft"]
    fat_noise = _smooth_noise(classes.shape, float(rng.uniform(8, 25)), rng)
    image[soft_tissue & (fat_noise > rng.uniform(-0.8, 1.2))] = fat
    texture = _smooth_noise(classes.shape, float(rng.uniform(3, 10)), rng)
    image *= 1 + np.float32(rng.uniform(0, 0.12)) * texture
    return image


def _smooth_noise(shape: tuple[int, ...], size: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise on a coarse grid with nodes ``size`` voxels apart, interpolated linearly."""
    coarse = rng.standard_normal([int(np.ceil(n / size)) + 2 for n in shape], np.float32)
    return _interpolated(coarse, shape)


def _interpolated(coarse: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Interpolate an array linearly to a shape, with the first and last nodes at the edges."""
    for axis, n in enumerate(shape):
        positions = np.linspace(0, coarse.shape[axis] - 1, n)
        low = np.minimum(positions.astype(int), coarse.shape[axis] - 2)
        fraction = (
            (positions - low).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
        )
        coarse = coarse.take(low, axis) * (1 - fraction) + coarse.take(low + 1, axis) * fraction
    return coarse


def _random_skull_stripping(
    brain_fraction: np.ndarray, rng: np.random.Generator
) -> np.ndarray | np.float32:
    """The mask of a skull stripping (brain and some CSF) for about every eighth image, otherwise 1."""
    if rng.random() > 0.12:
        return np.float32(1)
    smooth = ndimage.gaussian_filter(brain_fraction, rng.uniform(1.0, 3.0))
    return (smooth > rng.uniform(0.08, 0.45)).astype(np.float32)


def _random_coordinates(
    head: LabelMap, brain_fraction: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Voxel coordinates (3, *SHAPE) in the label map of each image voxel, randomly rotated, scaled and deformed."""
    angles = np.clip(rng.normal(0, 9, 3), -25, 25)
    rotation = Rotation.from_euler("XYZ", angles * (1, -1, 1), degrees=True).as_matrix()
    matrix = rotation @ np.diag(rng.normal(1, 0.08, 3)) + rng.normal(0, 0.03, (3, 3))
    inside = np.argwhere(brain_fraction[::4, ::4, ::4] > 0.5) * 4
    centre = inside.mean(axis=0)
    # in real scans the field of view is not centred on the brain
    shift = np.array([rng.normal(0, 6), rng.normal(0, 14), rng.uniform(-32, 25)])
    size_mm = np.linalg.norm(head.affine[:3, :3], axis=0)
    coordinates = np.empty((3, *SHAPE), np.float32)
    axes = [(np.arange(n) - (n - 1) / 2) * SPACING_MM for n in SHAPE]
    for c in range(3):
        m = matrix[c] / size_mm[c]
        x, y, z = (m[a] * axes[a] for a in range(3))
        coordinates[c] = x[:, None, None] + y[:, None] + z + (centre[c] + shift[c] / size_mm[c])
        for size, strength in ((24.0, 2.5), (9.0, 0.7)):
            displacement = _smooth_noise(SHAPE, size, rng) * np.float32(
                rng.uniform(0.3, 1) * strength
            )
            coordinates[c] += displacement / np.float32(size_mm[c])
    return coordinates


def _random_bias_field(rng: np.random.Generator) -> np.ndarray:
    """Smooth multiplicative intensity inhomogeneity."""
    strength = np.float32(rng.uniform(0, 0.35))
    return np.exp(strength * _smooth_noise(SHAPE, float(rng.uniform(25, 60)), rng))


def _random_dropout(brain: np.ndarray, rng: np.random.Generator) -> np.ndarray | np.float32:
    """Signal loss (factors of 0 to 1), mostly at the lower surface of the brain, as near air-filled spaces."""
    if rng.random() > 0.4:
        return np.float32(1)
    edge = np.argwhere((brain > 0.3) & (brain < 0.7))
    if len(edge) == 0:
        return np.float32(1)
    low = edge[edge[:, 2] < np.percentile(edge[:, 2], 35)]
    signal = np.ones(SHAPE, np.float32)
    axes = [np.arange(n, dtype=np.float32) for n in SHAPE]
    for _ in range(rng.integers(1, 6)):
        candidates = low if rng.random() < 0.8 else edge
        centre = candidates[rng.integers(len(candidates))]
        x, y, z = (
            np.exp(-(((a - c) / rng.uniform(2.5, 7)) ** 2)).astype(np.float32)
            for a, c in zip(axes, centre, strict=True)
        )
        loss = x[:, None, None] * y[:, None] * z
        signal *= np.exp(-np.float32(rng.uniform(0.5, 3)) * loss)
    return signal


def _resample_thick_slices(
    image: np.ndarray, size: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Resample to slices that are thicker than ``SPACING_MM``, and back by linear interpolation."""
    for axis in range(3):
        if size[axis] > SPACING_MM:
            step = size[axis] / SPACING_MM
            start, n = rng.uniform(0, 1), image.shape[axis]
            count = int((n - 1 - start) / step) + 1
            positions = start + step * np.arange(count)
            low = np.minimum(positions.astype(int), n - 2)
            fraction = (
                (positions - low)
                .astype(np.float32)
                .reshape([-1 if a == axis else 1 for a in range(3)])
            )
            slices = image.take(low, axis) * (1 - fraction) + image.take(low + 1, axis) * fraction
            slice_positions = np.clip((np.arange(n) - start) / step, 0, count - 1)
            low = np.minimum(slice_positions.astype(int), count - 2)
            fraction = (
                (slice_positions - low)
                .astype(np.float32)
                .reshape([-1 if a == axis else 1 for a in range(3)])
            )
            image = slices.take(low, axis) * (1 - fraction) + slices.take(low + 1, axis) * fraction
    return image


def _add_noise(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add Rician noise, and to some images a ghost: the image shifted along an axis."""
    if rng.random() < 0.25:
        axis = int(rng.integers(3))
        ghost = np.roll(image, int(rng.integers(10, 50)), axis)
        image = image + np.float32(rng.uniform(0.02, 0.12)) * ghost
    level = np.float32(np.exp(rng.uniform(np.log(0.003), np.log(0.06))))
    real = image + level * rng.standard_normal(image.shape, np.float32)
    return np.hypot(real, level * rng.standard_normal(image.shape, np.float32))


def _random_field_of_view(brain: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mask of ``SHAPE``: the full image, or a box that ends near the brain on some sides and may cut it slightly."""
    field_of_view = np.ones(SHAPE, bool)
    inside = np.nonzero(brain > 0.5)
    if rng.random() < 0.35 or len(inside[0]) == 0:
        return field_of_view
    for axis, n in enumerate(SHAPE):
        low, high = int(inside[axis].min()), int(inside[axis].max())
        for end, chance in ((low, 0.5), (high, 0.5)):
            if rng.random() < chance:
                cut = (4, 14) if axis == 2 else (0, 16)  # voxels inside and outside the brain
                margin = int(rng.integers(-cut[0], cut[1]))
                index = end - margin if end == low else end + margin + 1
                index = int(np.clip(index, 0, n))
                outside = slice(0, index) if end == low else slice(index, n)
                field_of_view[tuple(outside if a == axis else slice(None) for a in range(3))] = (
                    False
                )
    return field_of_view
