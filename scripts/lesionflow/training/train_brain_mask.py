"""Training of the brain-mask network on images of random contrast."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from lesionflow.networks.architectures.brain_mask_unet3d import inference_form, mask_unet
from lesionflow.training.fit import fit
from lesionflow.training.random_contrast import SHAPE, random_example

BOX = (64, 80, 64)  # voxels; contains most of a brain
BOX_LEARNING_RATE, IMAGE_LEARNING_RATE = 2e-3, 1e-3


def random_examples(
    paths: list[Path], seed: int, count: int, workers: int
) -> tuple[np.ndarray, np.ndarray]:
    """Random images (n, x, y, z), float16, and brain fractions (0 to 255), uint8, from the label maps in turn."""
    images = np.empty((count, *SHAPE), np.float16)
    brains = np.empty((count, *SHAPE), np.uint8)
    jobs = [(paths[n % len(paths)], 1_000_000 * seed + n) for n in range(count)]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        chunk = len(paths)  # each process reuses the label maps that it has read
        for n, pair in enumerate(
            pool.map(random_example, *zip(*jobs, strict=True), chunksize=chunk)
        ):
            images[n], brains[n] = pair
    return images, brains


def batches(
    images: np.ndarray, brains: np.ndarray, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Endless batches of one augmented image (1, x, y, z, 1), float32, and its brain fractions.

    Augmentation (flips, shifts by up to three voxels, gamma, brightness and noise) is cheap compared with
    ``random_example``, so each image is used several times.
    """
    while True:
        for n in rng.permutation(len(images)):
            image, brain = images[n].astype(np.float32), brains[n].astype(np.float32) / 255
            if rng.random() < 0.5:
                image, brain = image[::-1], brain[::-1]
            shift = tuple(int(v) for v in rng.integers(-3, 4, 3))
            image, brain = (np.roll(array, shift, (0, 1, 2)) for array in (image, brain))
            inside = image > 0
            image = image.clip(0, 1) ** float(np.exp(rng.normal(0, 0.15))) * float(
                rng.uniform(0.9, 1.1)
            )
            image = image + float(rng.uniform(0, 0.02)) * rng.standard_normal(SHAPE, np.float32)
            yield (image.clip(0, 1) * inside)[None, ..., None], brain[None, ..., None]


def box_batches(
    images: np.ndarray, brains: np.ndarray, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Crop the images of ``batches`` to ``BOX`` voxels around the centre of the brain, shifted by up to 12 voxels.

    A box takes a third of the computation of a whole image, and leaves out air far from the head.
    """
    for image, brain in batches(images, brains, rng):
        voxels = np.argwhere(brain[0, ::4, ::4, ::4, 0] > 0.5) * 4
        centre = voxels.mean(axis=0) if len(voxels) else np.array(SHAPE) / 2
        corner = np.rint(centre - np.array(BOX) / 2).astype(int) + rng.integers(-12, 13, 3)
        corner = np.clip(corner, 0, np.array(SHAPE) - BOX)
        box = (slice(None), *(slice(c, c + n) for c, n in zip(corner, BOX, strict=True)))
        yield image[box], brain[box]


def mask_loss(reference: Any, probability: Any) -> Any:
    """Soft Dice loss (Milletari et al. 2016) plus five times the mean cross-entropy; ``reference`` is in [0, 1]."""
    from keras import ops

    probability = ops.clip(probability, 1e-6, 1 - 1e-6)
    dice = 1 - (2 * ops.sum(reference * probability) + 1) / (
        ops.sum(reference * reference) + ops.sum(probability * probability) + 1
    )
    entropy = -(reference * ops.log(probability) + (1 - reference) * ops.log(1 - probability))
    return dice + 5 * ops.mean(entropy)


def train_mask(
    images: np.ndarray, brains: np.ndarray, seed: int, box_steps: int, steps: int
) -> Any:
    """Train on ``box_steps`` boxes around brains, then on ``steps`` whole images.

    Boxes take a third of the computation and contain the surface of the brain; whole images add its position in the
    head and the surrounding air. The same seed gives the same initial weights and order of images.
    """
    import keras

    keras.utils.set_random_seed(seed)
    box_model = mask_unet(BOX)
    boxes = box_batches(images, brains, np.random.default_rng([seed, 21]))
    fit(box_model, boxes, box_steps, BOX_LEARNING_RATE, mask_loss, "boxes")
    return train_whole_images(box_model, images, brains, seed, steps)


def train_whole_images(
    box_model: Any, images: np.ndarray, brains: np.ndarray, seed: int, steps: int
) -> Any:
    """Second stage of ``train_mask``, on whole images."""
    model = mask_unet(SHAPE)
    model.set_weights(box_model.get_weights())
    whole_images = batches(images, brains, np.random.default_rng([seed, 22]))
    fit(model, whole_images, steps, IMAGE_LEARNING_RATE, mask_loss, "whole images")
    return inference_form(model, SHAPE)
