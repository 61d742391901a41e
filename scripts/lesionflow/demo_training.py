"""Training of the demo ensemble on patches of simulated scans."""

import logging
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from nibabel.affines import apply_affine

from lesionflow.demo_data import SHAPE, Example
from lesionflow.demo_network import copied, residual_unet

PATCH = 32
RIM = 3  # voxels at a patch's faces, where the network lacks context, do not count


def patch_corner(example: Example, rng: np.random.Generator) -> np.ndarray:
    """First voxel (3,) of a patch: half on a lesion, a quarter on a mimic, the rest in the brain."""
    kind = rng.random()
    if kind < 0.5 and example.bleeds:
        bleed = example.bleeds[rng.integers(len(example.bleeds))]
        index = apply_affine(np.linalg.inv(example.grid.affine), bleed.centre)
        voxels = np.rint(index).astype(int)[None]
    elif kind < 0.75 and len(example.mimics):
        voxels = example.mimics
    else:
        voxels = np.empty((0, 3), int)
        while len(voxels) == 0:
            guess = rng.integers(0, SHAPE)
            voxels = guess[None] if example.brain[tuple(guess)] else voxels
    centre = voxels[rng.integers(len(voxels))] if len(voxels) else np.array(SHAPE) // 2
    corner = centre - PATCH // 2 + rng.integers(-10, 11, 3)
    return np.clip(corner, 0, np.array(SHAPE) - PATCH)


def patches(
    examples: list[Example], rng: np.random.Generator, batch: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Endless batches (batch, x, y, z, 1) of images and lesion masks, float32, augmented.

    Flips along each axis (left to right half of the time, the others a quarter), brightness and
    gamma by some per cent, and a little more noise. What lies outside the brain is no lesion, but
    the image is not masked there: neither is it at prediction.
    """
    while True:
        images = np.empty((batch, PATCH, PATCH, PATCH, 1), np.float32)
        masks = np.empty_like(images)
        for n in range(batch):
            example = examples[rng.integers(len(examples))]
            box = tuple(slice(c, c + PATCH) for c in patch_corner(example, rng))
            image = example.image[box].astype(np.float32)
            mask = (example.lesions[box] > 0).astype(np.float32)
            for axis, chance in enumerate((0.5, 0.25, 0.25)):
                if rng.random() < chance:
                    image, mask = np.flip(image, axis), np.flip(mask, axis)
            image = image.clip(0, 1) ** float(rng.uniform(0.85, 1.15)) * float(
                rng.uniform(0.9, 1.1)
            )
            noise = rng.standard_normal(image.shape, np.float32)
            image = image + float(rng.uniform(0, 0.02)) * noise
            images[n, ..., 0], masks[n, ..., 0] = image.clip(0, 1), mask
        yield images, masks


def lesion_loss(truth: Any, probability: Any) -> Any:
    """Soft Dice (Milletari et al. 2016) over the batch plus cross-entropy per lesion voxel.

    Dice alone forgets patches without lesions; the sum of the cross-entropy over all voxels, divided
    by the number of lesion voxels (and 100), charges each false voxel what a missed one costs.
    """
    from keras import ops

    inner = slice(RIM, -RIM)
    truth = truth[:, inner, inner, inner]
    probability = ops.clip(probability[:, inner, inner, inner], 1e-6, 1 - 1e-6)
    found = ops.sum(truth * probability)
    dice = 1 - (2 * found + 10) / (ops.sum(truth) + ops.sum(probability) + 10)
    entropy = -(truth * ops.log(probability) + (1 - truth) * ops.log(1 - probability))
    return dice + ops.sum(entropy) / (ops.sum(truth) + 100)


def train_fold(
    examples: list[Example], seed: int, steps: int, batch: int = 8, peak_rate: float = 4e-3
) -> tuple[Any, float]:
    """A network of the whole volume's shape, trained on patches, and the loss at the end.

    Adam with a linear warm-up and a cosine decay. The same seed draws the same patches and first
    weights; sums over threads may differ in their last bits from run to run.
    """
    import keras

    keras.utils.set_random_seed(seed)
    model = residual_unet((PATCH, PATCH, PATCH))
    rate = keras.optimizers.schedules.CosineDecay(
        peak_rate / 20, steps, 0.01, warmup_target=peak_rate, warmup_steps=max(1, steps // 20)
    )
    model.compile(keras.optimizers.Adam(rate, clipnorm=1.0), lesion_loss)
    losses: list[float] = []
    started = time.monotonic()
    for step, (images, masks) in enumerate(
        patches(examples, np.random.default_rng([seed, 9]), batch), 1
    ):
        losses.append(float(model.train_on_batch(images, masks)))
        model.reset_metrics()
        if step % 50 == 0:
            pace = (time.monotonic() - started) / step
            logging.info(
                "seed %s step %s loss %.3f, %.2f s a step", seed, step, np.mean(losses[-50:]), pace
            )
        if step == steps:
            break
    return copied(model, SHAPE), float(np.mean(losses[-50:]))


def thirds(examples: list[Example], fold: int, folds: int = 3) -> list[Example]:
    """The examples of a fold: all but every third, beginning with another one each."""
    return [example for n, example in enumerate(examples) if n % folds != fold - 1]
