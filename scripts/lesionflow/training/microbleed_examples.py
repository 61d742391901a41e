"""Training and test examples of the demo ensemble: simulated scans, preprocessed as in the workflow."""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.affines import apply_affine

from lesionflow.cards.model_card import Card
from lesionflow.imaging.brain_mask import brain_from_probability
from lesionflow.imaging.cropping import crop_grid
from lesionflow.imaging.grids import Grid, index_map, model_grid, paste
from lesionflow.imaging.intensity import normalize
from lesionflow.imaging.interpolation import welch_sinc
from lesionflow.imaging.resampling import resample
from lesionflow.networks.inference.find_brain import brain_probability
from lesionflow.simulation.microbleeds import Hypointensity, rasterize
from lesionflow.simulation.scan import Head, Scan, simulated_head, simulated_scan

SHAPE = (160, 214, 176)
INPUT: dict[str, Any] = {  # as in config/models/demo-cmb.yaml
    "orientation": "RAS",
    "spacing_mm": (1.0, 1.0, 1.0),
    "normalize": [
        {"clip_below": 0},
        {"divide_by_percentile": 99, "within": "brain"},
        {"clip_above": 1.3},
        {"divide_by": 1.3},
    ],
}


@dataclass(frozen=True)
class Example:
    """A simulated scan on the model's grid.

    Attributes
    ----------
    image : array of ``SHAPE``, float16
        Normalised intensities.
    lesions : array of ``SHAPE``, int16
        Numbers of the reference lesions from 1; 0 elsewhere.
    brain : array of ``SHAPE``, bool
        Brain mask.
    mimics : array (n, 3), int16
        Voxel indices of microbleed mimics (veins, calcifications) in the brain.
    microbleeds
        The reference lesions in the order of their numbers.
    grid
        Voxel grid of all arrays.
    place : array of ``SHAPE``, uint8
        Location as an index of ``template_head.PLACES``.
    """

    image: np.ndarray
    lesions: np.ndarray
    brain: np.ndarray
    mimics: np.ndarray
    microbleeds: list[Hypointensity]
    grid: Grid
    place: np.ndarray


@dataclass(frozen=True)
class HeadJob:
    """A scan to simulate: seed and number of microbleeds of its head, and its label map (None: the template)."""

    seed: int
    microbleeds: int
    label_map: Path | None = None


def prepared_example(scan: Scan, head: Head, brain: np.ndarray | None = None) -> Example:
    """Resample, mask, crop and normalize a simulated scan as the workflow does.

    ``brain`` is the mask on ``scan_model_grid(scan)``; by default, the simulated brain of the scan is used.
    """
    affine, voxels = scan.image.affine, np.asanyarray(scan.image.dataobj)
    full_grid = scan_model_grid(scan)
    image = welch_sinc(voxels, index_map(affine, full_grid.affine), full_grid.shape)
    if brain is None:
        brain = resample(scan.brain.astype(np.uint8), affine, full_grid, "nearest") > 0
    grid = crop_grid(brain, full_grid.affine, SHAPE)
    brain_in_box = paste(brain, full_grid.affine, grid)
    channels = paste(image, full_grid.affine, grid)[..., None]
    normalized = normalize(channels, INPUT["normalize"], brain_in_box)[..., 0]

    mimic_points = [calcification.centre[None] for calcification in head.calcifications]
    mimic_points += [vein.xyz[:: max(4, len(vein.xyz) // 6)] for vein in head.veins]
    index = np.rint(apply_affine(np.linalg.inv(grid.affine), np.concatenate(mimic_points))).astype(
        int
    )
    index = index[((index >= 0) & (index < SHAPE)).all(axis=1)]
    index = index[brain_in_box[tuple(index.T)]]
    anatomy = head.anatomy
    return Example(
        normalized.astype(np.float16),
        rasterize(scan.microbleeds, grid),
        brain_in_box,
        index.astype(np.int16),
        scan.microbleeds,
        grid,
        resample(anatomy.place, anatomy.affine, grid, "nearest"),
    )


def scan_model_grid(scan: Scan) -> Grid:
    """Grid with the orientation and voxel size of the demo model that covers a scan."""
    shape = scan.image.shape
    return model_grid(scan.image.affine, shape, INPUT["orientation"], INPUT["spacing_mm"])


def simulated_example(job: HeadJob, mask_model: tuple[Card, list[Path]] | None = None) -> Example:
    """Simulate a scan and prepare it.

    ``mask_model`` (card and imported folds) computes the brain masks of heads from label maps; heads from the template
    use their simulated brain, as the demo cohort does.
    """
    head = simulated_head(job.seed, job.microbleeds, label_map=job.label_map)
    scan = simulated_scan(head, 1)
    if mask_model is None or job.label_map is None:
        return prepared_example(scan, head)
    probability, grid = brain_probability(scan.image, *mask_model)
    probability_map = nib.Nifti1Image(probability, grid.affine)
    brain = brain_from_probability(probability_map, scan.image, scan_model_grid(scan))
    return prepared_example(scan, head, brain)


def simulated_examples(
    jobs: list[HeadJob], workers: int, mask_model: tuple[Card, list[Path]] | None = None
) -> list[Example]:
    """Run ``simulated_example`` for many jobs in parallel processes; results in the order of the jobs."""
    simulate = partial(simulated_example, mask_model=mask_model)
    if workers == 1:
        return [simulate(job) for job in jobs]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return list(pool.map(simulate, jobs))


def training_jobs(seed: int, count: int, label_maps: list[Path] | None = None) -> list[HeadJob]:
    """Jobs for ``count`` training scans with 12 to 29 microbleeds each.

    Every third head comes from the template, and the others from the label maps in turn, if there are any.
    """
    rng = np.random.default_rng([seed, 7])
    heads = [
        None if n % 3 == 0 or not label_maps else label_maps[n % len(label_maps)]
        for n in range(count)
    ]
    return [
        HeadJob(1000 * seed + n, int(rng.integers(12, 30)), head) for n, head in enumerate(heads)
    ]


def unseen_jobs(seed: int, count: int) -> list[HeadJob]:
    """Jobs with seeds not used in training; every fourth head has no microbleeds, the others 1 to 12."""
    rng = np.random.default_rng([seed, 8])
    return [
        HeadJob(10_000_000 + 1000 * seed + n, 0 if n % 4 == 0 else int(rng.integers(1, 13)))
        for n in range(count)
    ]


def unseen_heads(seed: int, label_maps: list[Path], scans: int = 5) -> list[HeadJob]:
    """Jobs for ``scans`` scans per label map with 1 to 12 microbleeds, then for the same heads without any."""
    rng = np.random.default_rng([seed, 13])
    jobs = [
        HeadJob(20_000_000 + 1000 * seed + 100 * m + n, int(rng.integers(1, 13)), path)
        for m, path in enumerate(label_maps)
        for n in range(scans)
    ]
    return jobs + [HeadJob(job.seed, 0, job.label_map) for job in jobs]
