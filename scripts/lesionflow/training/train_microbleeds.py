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
# Width in voxels at the faces of a patch that the loss ignores, since the network lacks context there.
MARGIN = 3


def patch_corner(
    example: Example, rng: np.random.Generator, false_positives: np.ndarray | None = None
) -> np.ndarray:
    """First voxel (3,) of a random patch, which is on a lesion, on a mimic or anywhere in the brain.

    50 % of the patches are on a lesion and 25 % on a mimic. With ``false_positives``, voxels (n, 3), 35 % are on
    these, 35 % on a lesion and 15 % on a mimic.
    """
    fraction = rng.random()
    if false_positives is not None and len(false_positives) and fraction > 0.65:
        voxels = false_positives
    elif fraction < (0.5 if false_positives is None else 0.35) and example.microbleeds:
        microbleed = example.microbleeds[rng.integers(len(example.microbleeds))]
        index = apply_affine(np.linalg.inv(example.grid.affine), microbleed.centre)
        voxels = np.rint(index).astype(int)[None]
    elif fraction < (0.75 if false_positives is None else 0.5) and len(example.mimics):
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
    batch_size: int,
    false_positives: list[np.ndarray] | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Endless batches (batch, x, y, z, 1) of images and lesion masks, float32, with random augmentation.

    Augmentation: flips along each axis (left to right in half of the patches, along the others in a quarter),
    brightness and gamma by up to 10 and 15 %, and noise. There are no lesions outside the brain; as in prediction,
    the image is not masked there. ``false_positives`` has voxels (n, 3) for each example.
    """
    while True:
        images = np.empty((batch_size, PATCH, PATCH, PATCH, 1), np.float32)
        masks = np.empty_like(images)
        for n in range(batch_size):
            index = rng.integers(len(examples))
            example = examples[index]
            voxels = false_positives[index] if false_positives else None
            corner = patch_corner(example, rng, voxels)
            box = tuple(slice(c, c + PATCH) for c in corner)
            image: np.ndarray = example.image[box].astype(np.float32)
            mask = (example.lesions[box] > 0).astype(np.float32)
            for axis, probability in enumerate((0.5, 0.25, 0.25)):
                if rng.random() < probability:
                    image, mask = np.flip(image, axis), np.flip(mask, axis)
            image = image.clip(0, 1) ** float(rng.uniform(0.85, 1.15)) * float(
                rng.uniform(0.9, 1.1)
            )
            noise = rng.standard_normal(image.shape, np.float32)
            image = image + float(rng.uniform(0, 0.02)) * noise
            images[n, ..., 0], masks[n, ..., 0] = image.clip(0, 1), mask
        yield images, masks


def lesion_loss(reference: Any, probability: Any) -> Any:
    """Soft Dice loss (Milletari et al. 2016) over the batch plus cross-entropy per lesion voxel.

    The Dice loss alone ignores patches without lesions. The sum of the cross-entropy over all voxels, divided by the
    number of lesion voxels (plus 100), gives a false positive voxel the same cost as a missed one.
    """
    from keras import ops

    inner = slice(MARGIN, -MARGIN)
    reference = reference[:, inner, inner, inner]
    probability = ops.clip(probability[:, inner, inner, inner], 1e-6, 1 - 1e-6)
    overlap = ops.sum(reference * probability)
    dice_loss = 1 - (2 * overlap + 10) / (ops.sum(reference) + ops.sum(probability) + 10)
    cross_entropy = -(reference * ops.log(probability) + (1 - reference) * ops.log(1 - probability))
    return dice_loss + ops.sum(cross_entropy) / (ops.sum(reference) + 100)


def false_positive_peaks(model: Any, example: Example, max_count: int = 150) -> np.ndarray:
    """Voxels (n, 3) with the highest probability of each false positive above 0.3, in descending order."""
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
    false_positive_steps: int,
    batch_size: int = 8,
) -> tuple[Any, float]:
    """Train a network on patches; return it with the input size of a full volume, and its best threshold.

    After ``steps``, the network predicts its training scans, and ``false_positive_steps`` follow with 35 % of the
    patches on its false positives. Its logits are then shifted so that 0.5 is the best threshold on the
    held-out scans (``best_threshold``). The same seed gives the same patches and initial weights; the weights may
    still differ slightly between runs, since the order of sums over threads varies.
    """
    import keras

    keras.utils.set_random_seed(seed)
    model = residual_unet((PATCH, PATCH, PATCH))
    rng = np.random.default_rng([seed, 9])
    fit(model, patches(examples, rng, batch_size), steps, 4e-3, lesion_loss)
    trained = train_on_false_positives(model, examples, seed, false_positive_steps, batch_size)
    threshold = best_threshold(trained, held_out)
    shift_logits(trained, threshold)
    return trained, threshold


def train_on_false_positives(
    model: Any, examples: list[Example], seed: int, steps: int, batch_size: int = 8
) -> Any:
    """Second stage of ``train_fold``, with patches on false positives."""
    full_size = with_shape(model, SHAPE)
    false_positives = [false_positive_peaks(full_size, example) for example in examples]
    count = sum(map(len, false_positives))
    logging.info("%s false positives on %s training scans", count, len(examples))
    rng = np.random.default_rng([seed, 11])
    fit(model, patches(examples, rng, batch_size, false_positives), steps, 2e-3, lesion_loss)
    return with_shape(model, SHAPE)


def best_threshold(model: Any, examples: list[Example], lesions_per_scan: float = 6.0) -> float:
    """The threshold of ``THRESHOLDS`` with the highest F1 over lesions; of equal ones, the highest.

    Training scans have more lesions than real ones, so that false positives would count too little. Lesions are
    weighted to an average of ``lesions_per_scan``.
    """
    maps = [
        model.predict_on_batch(e.image.astype(np.float32)[None, ..., None])[0, ..., 0]
        for e in examples
    ]
    best_f1, best = -1.0, 0.5
    for threshold in THRESHOLDS:
        counts = scores(maps, examples, threshold)["all"]
        weight = lesions_per_scan * len(examples) / max(1, counts["lesions"])
        detected, lesions = weight * counts["found"], weight * counts["lesions"]
        f1 = 2 * detected / max(1e-9, lesions + detected + counts["false_positives"])
        if f1 >= best_f1:
            best_f1, best = f1, threshold
    logging.info("best threshold %.2f, F1 %.3f on held-out scans", best, best_f1)
    return best


def shift_logits(model: Any, threshold: float) -> None:
    """Shift the logits of a network in place, so that a probability of ``threshold`` becomes 0.5."""
    layer = model.get_layer("probability")
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel, bias - np.log(threshold / (1 - threshold))])


def split_fold(
    examples: list[Example], fold: int, folds: int = 3
) -> tuple[list[Example], list[Example]]:
    """Training examples and held-out examples of a fold (from 1) of cross-validation."""
    held_out = examples[fold - 1 :: folds]
    return [e for n, e in enumerate(examples) if n % folds != fold - 1], held_out
