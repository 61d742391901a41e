"""Training of the demo ensemble on patches of simulated scans."""

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
from nibabel.affines import apply_affine
from scipy import ndimage

from lesionflow.networks.architectures.residual_unet3d import residual_unet, with_shape
from lesionflow.training.fit import fit
from lesionflow.training.microbleed_examples import SHAPE, Example
from lesionflow.training.microbleed_scores import scores

PATCH = 32
THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99)
MARGIN = 3  # voxels at each face of a patch that the loss ignores, as the network lacks context


def patch_corner(
    example: Example, rng: np.random.Generator, false_positives: np.ndarray | None = None
) -> np.ndarray:
    """First voxel (3,) of a random patch: half of them at a lesion, a quarter at a mimic, the rest in the brain.

    With ``false_positives``, an array of voxel indices (n, 3), a third of the patches are at one of these.
    """
    kind = rng.random()
    if false_positives is not None and len(false_positives) and kind > 0.65:
        voxels = false_positives
    elif kind < (0.5 if false_positives is None else 0.35) and example.microbleeds:
        microbleed = example.microbleeds[rng.integers(len(example.microbleeds))]
        index = apply_affine(np.linalg.inv(example.grid.affine), microbleed.centre)
        voxels = np.rint(index).astype(int)[None]
    elif kind < (0.75 if false_positives is None else 0.5) and len(example.mimics):
        voxels = example.mimics
    else:
        voxels = np.empty((0, 3), int)
        while len(voxels) == 0:
            voxel = rng.integers(0, SHAPE)
            voxels = voxel[None] if example.brain[tuple(voxel)] else voxels
    corner = voxels[rng.integers(len(voxels))] - PATCH // 2 + rng.integers(-10, 11, 3)
    return np.clip(corner, 0, np.array(SHAPE) - PATCH)


def patches(
    examples: list[Example],
    rng: np.random.Generator,
    batch: int,
    false_positives: list[np.ndarray] | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Endless batches (batch, x, y, z, 1) of images and lesion masks, float32, augmented.

    Augmentation: flips (probability 0.5 left to right, 0.25 along the other axes), gamma, brightness and noise.
    Images are not masked, as in prediction.
    """
    while True:
        images = np.empty((batch, PATCH, PATCH, PATCH, 1), np.float32)
        masks = np.empty_like(images)
        for n in range(batch):
            index = rng.integers(len(examples))
            example = examples[index]
            corner = patch_corner(example, rng, false_positives[index] if false_positives else None)
            box = tuple(slice(c, c + PATCH) for c in corner)
            image: np.ndarray = example.image[box].astype(np.float32)
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


def lesion_loss(reference: Any, probability: Any) -> Any:
    """Soft Dice (Milletari et al. 2016) over the batch plus cross-entropy per lesion voxel.

    Dice alone ignores patches without lesions. The sum of the cross-entropy over all voxels, divided by the
    number of lesion voxels (plus 100), gives a false positive voxel the same weight as a missed one.
    """
    from keras import ops

    inner = slice(MARGIN, -MARGIN)
    reference = reference[:, inner, inner, inner]
    probability = ops.clip(probability[:, inner, inner, inner], 1e-6, 1 - 1e-6)
    overlap = ops.sum(reference * probability)
    dice = 1 - (2 * overlap + 10) / (ops.sum(reference) + ops.sum(probability) + 10)
    entropy = -(reference * ops.log(probability) + (1 - reference) * ops.log(1 - probability))
    return dice + ops.sum(entropy) / (ops.sum(reference) + 100)


def false_positive_peaks(model: Any, example: Example, max_count: int = 150) -> np.ndarray:
    """Voxel indices (n, 3) of the peaks of false positives above a probability of 0.3, the highest first."""
    image = example.image.astype(np.float32)[None, ..., None]
    probability = model.predict_on_batch(image)[0, ..., 0] * example.brain
    labels, count = ndimage.label(probability > 0.3, np.ones((3, 3, 3)))
    numbers = np.setdiff1d(np.arange(1, count + 1), labels[example.lesions > 0])
    if len(numbers) == 0:
        return np.empty((0, 3), int)
    peaks = np.array(ndimage.maximum_position(probability, labels, numbers))
    return peaks[np.argsort(-probability[tuple(peaks.T)])][:max_count]


def train_fold(
    examples: list[Example],
    held_out: list[Example],
    seed: int,
    steps: int,
    extra_steps: int,
    batch: int = 8,
) -> tuple[Any, float]:
    """Train a network on patches; return it with the input shape ``SHAPE``, and its best threshold.

    After ``steps`` the network is applied to its training scans, and ``extra_steps`` follow with a third of the
    patches at its false positives. Its logits are then shifted so that 0.5 is the best threshold on the held-out
    scans (``best_threshold``). The same seed gives the same patches and initial weights; trained weights may differ
    in their last bits between runs, as threads sum in any order.
    """
    import keras

    keras.utils.set_random_seed(seed)
    model = residual_unet((PATCH, PATCH, PATCH))
    fit(
        model,
        patches(examples, np.random.default_rng([seed, 9]), batch),
        steps,
        4e-3,
        lesion_loss,
        "patches",
    )
    trained = train_on_false_positives(model, examples, seed, extra_steps, batch)
    threshold = best_threshold(trained, held_out)
    shift_logits(trained, threshold)
    return trained, threshold


def train_on_false_positives(
    model: Any, examples: list[Example], seed: int, steps: int, batch: int = 8
) -> Any:
    """Second stage of ``train_fold``, with a third of the patches at false positives."""
    full_size = with_shape(model, SHAPE)
    false_positives = [false_positive_peaks(full_size, example) for example in examples]
    logging.info("%s false positives on %s scans", sum(map(len, false_positives)), len(examples))
    rng = np.random.default_rng([seed, 11])
    fit(
        model,
        patches(examples, rng, batch, false_positives),
        steps,
        2e-3,
        lesion_loss,
        "false positives",
    )
    return with_shape(model, SHAPE)


def best_threshold(model: Any, examples: list[Example], lesions_per_scan: float = 6.0) -> float:
    """The threshold of ``THRESHOLDS`` with the highest lesion-wise F1; the largest of several equal ones.

    Simulated scans have more lesions than real ones, which raises their precision. Lesions are therefore weighted
    as if there were ``lesions_per_scan``.
    """
    maps = [
        model.predict_on_batch(e.image.astype(np.float32)[None, ..., None])[0, ..., 0]
        for e in examples
    ]
    best_f1, best_value = -1.0, 0.5
    for threshold in THRESHOLDS:
        counts = scores(maps, examples, threshold)["all"]
        weight = lesions_per_scan * len(examples) / max(1, counts["lesions"])
        detected, lesions = weight * counts["found"], weight * counts["lesions"]
        f1 = 2 * detected / max(1e-9, lesions + detected + counts["false_positives"])
        if f1 >= best_f1:
            best_f1, best_value = f1, threshold
    logging.info("best threshold %.2f, F1 %.3f on held-out scans", best_value, best_f1)
    return best_value


def shift_logits(model: Any, threshold: float) -> None:
    """Shift the logits of a network, in place, so that ``threshold`` becomes 0.5."""
    layer = model.get_layer("probability")
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel, bias - np.log(threshold / (1 - threshold))])


def split_fold(
    examples: list[Example], fold: int, folds: int = 3
) -> tuple[list[Example], list[Example]]:
    """Training and held-out examples of a fold (numbered from 1) of a cross-validation."""
    held_out = examples[fold - 1 :: folds]
    return [e for n, e in enumerate(examples) if n % folds != fold - 1], held_out
