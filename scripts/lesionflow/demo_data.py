"""Simulated scans as the demo ensemble sees them: through the same steps as the road's own."""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import numpy as np
from nibabel.affines import apply_affine

from lesionflow.foci import Focus, rasterize
from lesionflow.geometry import Grid, crop_grid, index_map, model_grid, paste
from lesionflow.intensity import normalize
from lesionflow.resampling import resample
from lesionflow.sinc import welch_sinc
from lesionflow.swi import Head, Scan, simulated_head, simulated_swi

SHAPE = (160, 214, 176)
INPUT: dict[str, Any] = {  # the card's, as config/models/demo-cmb.yaml has it
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
        Numbers of the true lesions, 0 elsewhere.
    brain : array of ``SHAPE``, bool
    mimics : array (n, 3), int16
        Voxels at veins, calcium and iron, inside the brain.
    bleeds
        The true lesions in the order of their numbers.
    grid
        Of all arrays.
    """

    image: np.ndarray
    lesions: np.ndarray
    brain: np.ndarray
    mimics: np.ndarray
    bleeds: list[Focus]
    grid: Grid


def prepared(scan: Scan, head: Head) -> Example:
    """A simulated scan after the road's resample, mask, crop and normalize."""
    affine, data = scan.image.affine, np.asanyarray(scan.image.dataobj)
    whole = model_grid(affine, data.shape, INPUT["orientation"], INPUT["spacing_mm"])
    image = welch_sinc(data, index_map(affine, whole.affine), whole.shape)
    brain = resample(scan.brain.astype(np.uint8), affine, whole, "nearest") > 0
    box = crop_grid(brain, whole.affine, SHAPE)
    inside = paste(brain, whole.affine, box)
    channels = paste(image, whole.affine, box)[..., None]
    normal = normalize(channels, INPUT["normalize"], inside)[..., 0]

    places = [spot.centre[None] for spot in head.calcium]
    places += [vein.xyz[:: max(4, len(vein.xyz) // 6)] for vein in head.veins]
    index = np.rint(apply_affine(np.linalg.inv(box.affine), np.concatenate(places))).astype(int)
    index = index[((index >= 0) & (index < SHAPE)).all(axis=1)]
    index = index[inside[tuple(index.T)]]
    lesions = rasterize(scan.bleeds, box) * inside
    return Example(
        normal.astype(np.float16), lesions, inside, index.astype(np.int16), scan.bleeds, box
    )


def simulated_example(job: tuple[int, int]) -> Example:
    """An example from a seed and a number of microbleeds; a job of ``simulated_examples``."""
    seed, bleeds = job
    head = simulated_head(seed, bleeds)
    return prepared(simulated_swi(head, 1), head)


def simulated_examples(jobs: list[tuple[int, int]], workers: int) -> list[Example]:
    """Examples of many (seed, number of microbleeds) in parallel processes, in their order."""
    if workers == 1:
        return [simulated_example(job) for job in jobs]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return list(pool.map(simulated_example, jobs))


def training_jobs(seed: int, count: int) -> list[tuple[int, int]]:
    """Seeds and numbers of microbleeds, many a head, for ``count`` training scans."""
    rng = np.random.default_rng([seed, 7])
    return [(1000 * seed + n, int(rng.integers(12, 30))) for n in range(count)]


def unseen_jobs(seed: int, count: int) -> list[tuple[int, int]]:
    """Seeds that no training uses; every fourth head has no microbleed, the others one to twelve."""
    rng = np.random.default_rng([seed, 8])
    return [
        (10_000_000 + 1000 * seed + n, 0 if n % 4 == 0 else int(rng.integers(1, 13)))
        for n in range(count)
    ]
