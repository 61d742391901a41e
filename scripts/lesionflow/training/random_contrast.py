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
_LIKE_CORTEX = ("cerebellum-gm", "thalamus", "caudate", "putamen", "hippocampus", "amygdala")
_LIKE_WM = ("cerebellum-wm", "stem", "ventral-dc", "chiasm", "cord", "optic-nerve", "wm-lesion")


@cache
def _load_anatomy(path: Path) -> tuple[LabelMap, np.ndarray, np.ndarray]:
    """Load a label map, cropped to the head, with its smoothed brain mask and outline, float32 in [0, 1]."""
    head = load_label_map(path).cropped()
    brain_fraction, outline = (
        ndimage.gaussian_filter(mask.astype(np.float32), 0.7) for mask in (head.brain, head.outline)
    )
    return head, brain_fraction, outline


def random_example(path: Path, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Image of random contrast and its brain mask; the same seed gives the same image.

    Parameters
    ----------
    path
        Whole-head label map with voxels of about 1 mm.
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
    head, brain_fraction, outline = _load_anatomy(path)
    voxel_sizes = _random_voxel_sizes(rng)
    source = _random_contrast(head, rng)
    source *= _random_skull_strip(brain_fraction, rng)
    for axis in range(3):  # average over a voxel
        sigma = max(rng.uniform(0.2, 0.7), 0.35 * voxel_sizes[axis])
        source = ndimage.gaussian_filter1d(source, sigma, axis, truncate=2.5)
    index = _random_transform(head, brain_fraction, rng)
    image = ndimage.map_coordinates(source, index, order=1, mode="constant")
    brain = ndimage.map_coordinates(outline, index, order=1, mode="constant")
    if rng.random() < 0.5:
        image, brain = image[::-1], brain[::-1]
    image = image * _random_bias_field(rng) * _random_dropout(brain, rng)
    image = _resample_thick_slices(image, voxel_sizes, rng)
    image = _add_noise(image, rng) ** np.float32(np.exp(rng.normal(0, 0.2)))
    view = _random_field_of_view(brain, rng)
    normalized = normalize((image * view)[..., None], NORMALIZE, view)[..., 0]
    return (normalized * view).astype(np.float16), np.rint(255 * brain * view).astype(np.uint8)


def _random_voxel_sizes(rng: np.random.Generator) -> np.ndarray:
    """Voxel size in mm along each axis: isotropic, or with thick slices along one axis."""
    sizes = np.full(3, rng.uniform(0.5, 1.5))
    if rng.random() < 0.5:
        sizes[rng.choice(3, p=(0.15, 0.2, 0.65))] = rng.uniform(1.5, 6.0)
    return sizes


def _random_contrast(head: LabelMap, rng: np.random.Generator) -> np.ndarray:
    """Image of a label map: one intensity per class, fat in some of the soft tissue, and some texture."""
    classes = head.classes
    if rng.random() < 0.65:
        means = random_intensities(str(rng.choice(list(SEQUENCES))), rng, sd_factor=1.5)
        intensity = {name: means.get(tissue, 0.0) for name, (_, tissue) in CLASSES.items()}
        fat = means["fat"]
        for name in ("pallidum", "putamen", "caudate"):
            intensity[name] *= rng.uniform(0.5, 1.1)
    else:
        intensity = {name: float(rng.uniform(0.02, 1)) for name in CLASSES}
        fat = float(rng.uniform(0.02, 1))
        for like, names in (("gm", _LIKE_CORTEX), ("wm", _LIKE_WM), ("csf", ("ventricle",))):
            if rng.random() < 0.7:
                intensity |= {name: intensity[like] * float(rng.normal(1, 0.06)) for name in names}
        if rng.random() < 0.5:
            intensity["bone"] = float(rng.uniform(0.02, 0.2))
    intensity["air"] = 0.0 if rng.random() < 0.8 else float(rng.uniform(0, 0.15))
    lut = np.array([intensity[name] for name in CLASSES], np.float32)
    image: np.ndarray = lut[classes]
    soft = classes == NUMBER["soft"]
    noise = _smooth_noise(classes.shape, float(rng.uniform(8, 25)), rng)
    image[soft & (noise > rng.uniform(-0.8, 1.2))] = fat
    texture = _smooth_noise(classes.shape, float(rng.uniform(3, 10)), rng)
    image *= 1 + np.float32(rng.uniform(0, 0.12)) * texture
    return image


def _smooth_noise(shape: tuple[int, ...], spacing: float, rng: np.random.Generator) -> np.ndarray:
    """Normal noise at points ``spacing`` voxels apart, interpolated linearly."""
    coarse = rng.standard_normal([int(np.ceil(n / spacing)) + 2 for n in shape], np.float32)
    return _resize(coarse, shape)


def _resize(volume: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Interpolate a volume linearly to a shape; its corners stay in place."""
    for axis, n in enumerate(shape):
        position = np.linspace(0, volume.shape[axis] - 1, n)
        low = np.minimum(position.astype(int), volume.shape[axis] - 2)
        fraction = _along(axis, position - low)
        volume = volume.take(low, axis) * (1 - fraction) + volume.take(low + 1, axis) * fraction
    return volume


def _along(axis: int, values: np.ndarray) -> np.ndarray:
    """Values as a float32 volume that has them along one axis and is of size 1 along the others."""
    return values.astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])


def _random_skull_strip(
    brain_fraction: np.ndarray, rng: np.random.Generator
) -> np.ndarray | np.float32:
    """1, or for about every eighth image a mask as of skull stripping: the brain and some CSF."""
    if rng.random() > 0.12:
        return np.float32(1)
    smooth = ndimage.gaussian_filter(brain_fraction, rng.uniform(1.0, 3.0))
    return (smooth > rng.uniform(0.08, 0.45)).astype(np.float32)


def _random_transform(
    head: LabelMap, brain_fraction: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Voxel indices (3, *SHAPE) of the label map for each voxel of the image: rotated, scaled and deformed."""
    angles = np.clip(rng.normal(0, 9, 3), -25, 25)
    rotation = Rotation.from_euler("XYZ", angles * (1, -1, 1), degrees=True).as_matrix()
    matrix = rotation @ np.diag(rng.normal(1, 0.08, 3)) + rng.normal(0, 0.03, (3, 3))
    inside = np.argwhere(brain_fraction[::4, ::4, ::4] > 0.5) * 4
    centre = inside.mean(axis=0)
    # in prediction, the box is centred on the field of view, not on the brain
    shift = np.array([rng.normal(0, 6), rng.normal(0, 14), rng.uniform(-32, 25)])
    voxel_sizes = np.linalg.norm(head.affine[:3, :3], axis=0)
    index = np.empty((3, *SHAPE), np.float32)
    axes = [(np.arange(n) - (n - 1) / 2) * SPACING_MM for n in SHAPE]
    for c in range(3):
        row = matrix[c] / voxel_sizes[c]
        x, y, z = (row[a] * axes[a] for a in range(3))
        index[c] = x[:, None, None] + y[:, None] + z + (centre[c] + shift[c] / voxel_sizes[c])
        for spacing, sd in ((24.0, 2.5), (9.0, 0.7)):
            displacement = _smooth_noise(SHAPE, spacing, rng)
            displacement = displacement * np.float32(rng.uniform(0.3, 1) * sd)
            index[c] += displacement / np.float32(voxel_sizes[c])
    return index


def _random_bias_field(rng: np.random.Generator) -> np.ndarray:
    amplitude = np.float32(rng.uniform(0, 0.35))
    return np.exp(amplitude * _smooth_noise(SHAPE, float(rng.uniform(25, 60)), rng))


def _random_dropout(brain: np.ndarray, rng: np.random.Generator) -> np.ndarray | np.float32:
    """Factor of signal loss around some points, mostly at the lower surface of the brain, as near air."""
    if rng.random() > 0.4:
        return np.float32(1)
    surface = np.argwhere((brain > 0.3) & (brain < 0.7))
    if len(surface) == 0:
        return np.float32(1)
    lower = surface[surface[:, 2] < np.percentile(surface[:, 2], 35)]
    factor = np.ones(SHAPE, np.float32)
    axes = [np.arange(n, dtype=np.float32) for n in SHAPE]
    for _ in range(rng.integers(1, 6)):
        voxels = lower if rng.random() < 0.8 else surface
        centre = voxels[rng.integers(len(voxels))]
        x, y, z = (
            np.exp(-(((a - c) / rng.uniform(2.5, 7)) ** 2)).astype(np.float32)
            for a, c in zip(axes, centre, strict=True)
        )
        loss = x[:, None, None] * y[:, None] * z
        factor *= np.exp(-np.float32(rng.uniform(0.5, 3)) * loss)
    return factor


def _resample_thick_slices(
    image: np.ndarray, voxel_sizes: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Resample to slices that are thicker than the voxels of the grid, and linearly back to the grid."""
    for axis in range(3):
        if voxel_sizes[axis] > SPACING_MM:
            step = voxel_sizes[axis] / SPACING_MM
            start, n = rng.uniform(0, 1), image.shape[axis]
            count = int((n - 1 - start) / step) + 1
            position = start + step * np.arange(count)
            low = np.minimum(position.astype(int), n - 2)
            fraction = _along(axis, position - low)
            slices = image.take(low, axis) * (1 - fraction) + image.take(low + 1, axis) * fraction
            position = np.clip((np.arange(n) - start) / step, 0, count - 1)
            low = np.minimum(position.astype(int), count - 2)
            fraction = _along(axis, position - low)
            image = slices.take(low, axis) * (1 - fraction) + slices.take(low + 1, axis) * fraction
    return image


def _add_noise(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add Rician noise, and to a quarter of the images a ghost of the head, shifted along an axis."""
    if rng.random() < 0.25:
        axis = int(rng.integers(3))
        ghost = np.roll(image, int(rng.integers(10, 50)), axis)
        image = image + np.float32(rng.uniform(0.02, 0.12)) * ghost
    sd = np.float32(np.exp(rng.uniform(np.log(0.003), np.log(0.06))))
    real = image + sd * rng.standard_normal(image.shape, np.float32)
    return np.hypot(real, sd * rng.standard_normal(image.shape, np.float32))


def _random_field_of_view(brain: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mask of ``SHAPE``: everything, or a box that ends near the brain on some sides and may cut off its edge."""
    view = np.ones(SHAPE, bool)
    inside = np.nonzero(brain > 0.5)
    if rng.random() < 0.35 or len(inside[0]) == 0:
        return view
    for axis, n in enumerate(SHAPE):
        low, high = int(inside[axis].min()), int(inside[axis].max())
        for end, probability in ((low, 0.5), (high, 0.5)):
            if rng.random() < probability:
                inwards, outwards = (4, 14) if axis == 2 else (0, 16)
                margin = int(rng.integers(-inwards, outwards))
                index = end - margin if end == low else end + margin + 1
                index = int(np.clip(index, 0, n))
                outside = slice(0, index) if end == low else slice(index, n)
                view[tuple(outside if a == axis else slice(None) for a in range(3))] = False
    return view
