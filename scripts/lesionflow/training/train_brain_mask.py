"""Training of the brain-mask network on images of random contrast."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from lesionflow.networks.architectures.brain_mask_unet3d import mask_unet, shipped_form
from lesionflow.training.fit import fit
from lesionflow.training.random_contrast import SHAPE, random_example

NEAR = (64, 80, 64)  # voxels of a box that holds most of a brain
NEAR_RATE, WHOLE_RATE = 2e-3, 1e-3


def random_examples(
    paths: list[Path], seed: int, count: int, workers: int
) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, x, y, z) float16 and shares of brain, uint8, of the label maps in turn."""
    images = np.empty((count, *SHAPE), np.float16)
    brains = np.empty((count, *SHAPE), np.uint8)
    jobs = [(paths[n % len(paths)], 1_000_000 * seed + n) for n in range(count)]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        chunk = len(paths)  # a process reads the same label maps again and again
        for n, pair in enumerate(
            pool.map(random_example, *zip(*jobs, strict=True), chunksize=chunk)
        ):
            images[n], brains[n] = pair
    return images, brains


def batches(
    images: np.ndarray, brains: np.ndarray, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Endless single images (1, x, y, z, 1) float32 with their brains, each time a little different.

    Flips, moves by up to three voxels, another gamma, brightness and noise: cheap beside ``random_example``,
    so that each of its images serves several times.
    """
    while True:
        for n in rng.permutation(len(images)):
            image, brain = images[n].astype(np.float32), brains[n].astype(np.float32) / 255
            if rng.random() < 0.5:
                image, brain = image[::-1], brain[::-1]
            move = tuple(int(v) for v in rng.integers(-3, 4, 3))
            image, brain = (np.roll(part, move, (0, 1, 2)) for part in (image, brain))
            seen = image > 0
            image = image.clip(0, 1) ** float(np.exp(rng.normal(0, 0.15))) * float(
                rng.uniform(0.9, 1.1)
            )
            image = image + float(rng.uniform(0, 0.02)) * rng.standard_normal(SHAPE, np.float32)
            yield (image.clip(0, 1) * seen)[None, ..., None], brain[None, ..., None]


def near_batches(
    images: np.ndarray, brains: np.ndarray, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Of ``batches``, boxes of ``NEAR`` around the middle of the brain, moved by up to twelve voxels.

    A third of the arithmetic, and no far air.
    """
    for image, brain in batches(images, brains, rng):
        voxels = np.argwhere(brain[0, ::4, ::4, ::4, 0] > 0.5) * 4
        middle = voxels.mean(axis=0) if len(voxels) else np.array(SHAPE) / 2
        corner = np.rint(middle - np.array(NEAR) / 2).astype(int) + rng.integers(-12, 13, 3)
        corner = np.clip(corner, 0, np.array(SHAPE) - NEAR)
        box = (slice(None), *(slice(c, c + n) for c, n in zip(corner, NEAR, strict=True)))
        yield image[box], brain[box]


def mask_loss(truth: Any, probability: Any) -> Any:
    """Soft Dice (Milletari et al. 2016) plus mean cross-entropy, against shares of brain in [0, 1]."""
    from keras import ops

    probability = ops.clip(probability, 1e-6, 1 - 1e-6)
    dice = 1 - (2 * ops.sum(truth * probability) + 1) / (
        ops.sum(truth * truth) + ops.sum(probability * probability) + 1
    )
    entropy = -(truth * ops.log(probability) + (1 - truth) * ops.log(1 - probability))
    return dice + 5 * ops.mean(entropy)


def train_mask(
    images: np.ndarray, brains: np.ndarray, seed: int, near_steps: int, steps: int
) -> Any:
    """The network after ``near_steps`` boxes around brains, and ``steps`` whole images.

    Boxes take a third of the arithmetic and teach what a brain's edge is; whole images teach where in a
    head, and in how much air, a brain is. The same seed draws the same first weights and images.
    """
    import keras

    keras.utils.set_random_seed(seed)
    near = mask_unet(NEAR)
    drawn = near_batches(images, brains, np.random.default_rng([seed, 21]))
    fit(near, drawn, near_steps, NEAR_RATE, mask_loss)
    return train_whole(near, images, brains, seed, steps)


def train_whole(near: Any, images: np.ndarray, brains: np.ndarray, seed: int, steps: int) -> Any:
    """The second part of ``train_mask``."""
    whole = mask_unet(SHAPE)
    whole.set_weights(near.get_weights())
    drawn = batches(images, brains, np.random.default_rng([seed, 22]))
    fit(whole, drawn, steps, WHOLE_RATE, mask_loss)
    return shipped_form(whole, SHAPE)
