"""Simulated scans as input of the demo ensemble, preprocessed as in the workflow."""

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
        Reference segmentation: numbers of the microbleeds, 0 elsewhere.
    brain : array of ``SHAPE``, bool
        Brain mask.
    mimics : array (n, 3), int16
        Voxels on veins and calcifications, inside the brain.
    microbleeds
        Microbleeds in the order of their numbers.
    grid
        Grid of all arrays.
    place : array of ``SHAPE``, uint8
        Index in ``template_head.PLACES``.
    """

    image: np.ndarray
    lesions: np.ndarray
    brain: np.ndarray
    mimics: np.ndarray
    microbleeds: list[Hypointensity]
    grid: Grid
    place: np.ndarray


@dataclass(frozen=True)
class SimulationJob:
    """A scan to simulate: seed of the head, number of microbleeds, and label map (None: the MNI152 template)."""

    seed: int
    microbleeds: int
    label_map: Path | None = None


def preprocess(scan: Scan, head: Head, brain: np.ndarray | None = None) -> Example:
    """Resample, mask, crop and normalize a simulated scan as the workflow does.

    ``brain`` is a mask on ``covering_grid(scan)``; by default the reference mask of the scan is used.
    """
    affine, data = scan.image.affine, np.asanyarray(scan.image.dataobj)
    full_grid = covering_grid(scan)
    image = welch_sinc(data, index_map(affine, full_grid.affine), full_grid.shape)
    if brain is None:
        brain = resample(scan.brain.astype(np.uint8), affine, full_grid, "nearest") > 0
    box = crop_grid(brain, full_grid.affine, SHAPE)
    inside = paste(brain, full_grid.affine, box)
    channels = paste(image, full_grid.affine, box)[..., None]
    normalized = normalize(channels, INPUT["normalize"], inside)[..., 0]

    positions = [calcification.centre[None] for calcification in head.calcifications]
    positions += [vein.xyz[:: max(4, len(vein.xyz) // 6)] for vein in head.veins]
    index = np.rint(apply_affine(np.linalg.inv(box.affine), np.concatenate(positions))).astype(int)
    index = index[((index >= 0) & (index < SHAPE)).all(axis=1)]
    index = index[inside[tuple(index.T)]]
    anatomy = head.anatomy
    return Example(
        normalized.astype(np.float16),
        rasterize(scan.microbleeds, box),
        inside,
        index.astype(np.int16),
        scan.microbleeds,
        box,
        resample(anatomy.place, anatomy.affine, box, "nearest"),
    )


def covering_grid(scan: Scan) -> Grid:
    """Grid with the orientation and voxel size of the demo model that covers a scan."""
    shape = scan.image.shape
    return model_grid(scan.image.affine, shape, INPUT["orientation"], INPUT["spacing_mm"])


def simulated_example(
    job: SimulationJob, mask_model: tuple[Card, list[Path]] | None = None
) -> Example:
    """Simulate and preprocess a scan.

    ``mask_model`` is the card of a brain-mask model and its imported folds. It is used for heads from label maps;
    heads from the template have their reference mask, as in the demo cohort.
    """
    head = simulated_head(job.seed, job.microbleeds, label_map=job.label_map)
    scan = simulated_scan(head, 1)
    if mask_model is None or job.label_map is None:
        return preprocess(scan, head)
    probability, grid = brain_probability(scan.image, *mask_model)
    image = nib.Nifti1Image(probability, grid.affine)
    return preprocess(scan, head, brain_from_probability(image, scan.image, covering_grid(scan)))


def simulated_examples(
    jobs: list[SimulationJob], workers: int, mask_model: tuple[Card, list[Path]] | None = None
) -> list[Example]:
    """Run ``simulated_example`` for many jobs in parallel processes; results in the order of the jobs."""
    simulate = partial(simulated_example, mask_model=mask_model)
    if workers == 1:
        return [simulate(job) for job in jobs]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return list(pool.map(simulate, jobs))


def training_jobs(
    seed: int, count: int, label_maps: list[Path] | None = None
) -> list[SimulationJob]:
    """Jobs for ``count`` training scans with 12 to 29 microbleeds in each head.

    Heads are from the template; with label maps, two of three are from these in turn instead.
    """
    rng = np.random.default_rng([seed, 7])
    heads = [
        None if n % 3 == 0 or not label_maps else label_maps[n % len(label_maps)]
        for n in range(count)
    ]
    return [
        SimulationJob(1000 * seed + n, int(rng.integers(12, 30)), head)
        for n, head in enumerate(heads)
    ]


def evaluation_jobs(seed: int, count: int) -> list[SimulationJob]:
    """Jobs for scans of template heads with seeds that training does not use.

    Every fourth head has no microbleeds, the others have one to twelve.
    """
    rng = np.random.default_rng([seed, 8])
    return [
        SimulationJob(10_000_000 + 1000 * seed + n, 0 if n % 4 == 0 else int(rng.integers(1, 13)))
        for n in range(count)
    ]


def held_out_jobs(seed: int, label_maps: list[Path], scans: int = 5) -> list[SimulationJob]:
    """Jobs for scans of held-out label maps, with seeds that training does not use.

    ``scans`` heads of each label map with one to twelve microbleeds, then the same heads without any.
    """
    rng = np.random.default_rng([seed, 13])
    jobs = [
        SimulationJob(20_000_000 + 1000 * seed + 100 * m + n, int(rng.integers(1, 13)), path)
        for m, path in enumerate(label_maps)
        for n in range(scans)
    ]
    return jobs + [SimulationJob(job.seed, 0, job.label_map) for job in jobs]
