"""Training of the demo ensemble on patches of simulated scans."""

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
from nibabel.affines import apply_affine
from scipy import ndimage

from lesionflow.networks.architectures.residual_unet3d import copied, residual_unet
from lesionflow.training.fit import fit
from lesionflow.training.microbleed_examples import SHAPE, Example
from lesionflow.training.microbleed_scores import scores

PATCH = 32
THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99)
RIM = 3  # voxels at a patch's faces, where the network lacks context, do not count


def patch_corner(
    example: Example, rng: np.random.Generator, alarms: np.ndarray | None = None
) -> np.ndarray:
    """First voxel (3,) of a patch: half on a lesion, a quarter on a mimic, the rest in the brain.

    With ``alarms``, voxels (n, 3) where a network was wrong, a third is on these instead.
    """
    kind = rng.random()
    if alarms is not None and len(alarms) and kind > 0.65:
        voxels = alarms
    elif kind < (0.5 if alarms is None else 0.35) and example.bleeds:
        bleed = example.bleeds[rng.integers(len(example.bleeds))]
        index = apply_affine(np.linalg.inv(example.grid.affine), bleed.centre)
        voxels = np.rint(index).astype(int)[None]
    elif kind < (0.75 if alarms is None else 0.5) and len(example.mimics):
        voxels = example.mimics
    else:
        voxels = np.empty((0, 3), int)
        while len(voxels) == 0:
            guess = rng.integers(0, SHAPE)
            voxels = guess[None] if example.brain[tuple(guess)] else voxels
    corner = voxels[rng.integers(len(voxels))] - PATCH // 2 + rng.integers(-10, 11, 3)
    return np.clip(corner, 0, np.array(SHAPE) - PATCH)


def patches(
    examples: list[Example],
    rng: np.random.Generator,
    batch: int,
    alarms: list[np.ndarray] | None = None,
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
            chosen = rng.integers(len(examples))
            example = examples[chosen]
            corner = patch_corner(example, rng, alarms[chosen] if alarms else None)
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


def false_alarms(model: Any, example: Example, most: int = 150) -> np.ndarray:
    """Voxels (n, 3) at the peaks of what a network finds above 0.3 where no lesion is, worst first."""
    image = example.image.astype(np.float32)[None, ..., None]
    probability = model.predict_on_batch(image)[0, ..., 0] * example.brain
    parts, count = ndimage.label(probability > 0.3, np.ones((3, 3, 3)))
    numbers = np.setdiff1d(np.arange(1, count + 1), parts[example.lesions > 0])
    if len(numbers) == 0:
        return np.empty((0, 3), int)
    peaks = np.array(ndimage.maximum_position(probability, parts, numbers))
    return peaks[np.argsort(-probability[tuple(peaks.T)])][:most]


def train_fold(
    examples: list[Example],
    left_out: list[Example],
    seed: int,
    steps: int,
    again: int,
    batch: int = 8,
) -> tuple[Any, float]:
    """A network of the whole volume's shape, trained on patches, and the threshold it was set to.

    After ``steps`` it is run over its own training scans, and ``again`` steps follow on patches of
    which a third lie where it was wrong. Then its probabilities are shifted so that 0.5 is the best
    threshold on the scans that it was not trained on (``best_threshold``). The same seed draws the same patches and first weights;
    sums over threads may differ in their last bits from run to run.
    """
    import keras

    keras.utils.set_random_seed(seed)
    model = residual_unet((PATCH, PATCH, PATCH))
    fit(model, patches(examples, np.random.default_rng([seed, 9]), batch), steps, 4e-3, lesion_loss)
    trained = train_again(model, examples, seed, again, batch)
    threshold = best_threshold(trained, left_out)
    shift(trained, threshold)
    return trained, threshold


def train_again(model: Any, examples: list[Example], seed: int, steps: int, batch: int = 8) -> Any:
    """The second part of ``train_fold``."""
    whole = copied(model, SHAPE)
    alarms = [false_alarms(whole, example) for example in examples]
    logging.info("%s false alarms on %s scans", sum(map(len, alarms)), len(examples))
    rng = np.random.default_rng([seed, 11])
    fit(model, patches(examples, rng, batch, alarms), steps, 2e-3, lesion_loss)
    return copied(model, SHAPE)


def best_threshold(model: Any, examples: list[Example], lesions_a_scan: float = 6.0) -> float:
    """The one of ``THRESHOLDS`` with the highest F1 over lesions, the higher of two equal ones.

    Training scans hold more lesions than scans do; theirs count as if each scan had
    ``lesions_a_scan``, since with many lesions false positives seem few.
    """
    maps = [
        model.predict_on_batch(e.image.astype(np.float32)[None, ..., None])[0, ..., 0]
        for e in examples
    ]
    best, chosen = -1.0, 0.5
    for threshold in THRESHOLDS:
        counts = scores(maps, examples, threshold)["all"]
        weight = lesions_a_scan * len(examples) / max(1, counts["lesions"])
        found, wanted = weight * counts["found"], weight * counts["lesions"]
        f1 = 2 * found / max(1e-9, wanted + found + counts["false_positives"])
        if f1 >= best:
            best, chosen = f1, threshold
    logging.info("best threshold %.2f, F1 %.3f on scans left out", chosen, best)
    return chosen


def shift(model: Any, threshold: float) -> None:
    """Move a network's probabilities, in place, so that ``threshold`` becomes 0.5."""
    layer = model.get_layer("probability")
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel, bias - np.log(threshold / (1 - threshold))])


def thirds(
    examples: list[Example], fold: int, folds: int = 3
) -> tuple[list[Example], list[Example]]:
    """The examples that a fold (from 1) trains on, and the third that it does not."""
    left_out = examples[fold - 1 :: folds]
    return [e for n, e in enumerate(examples) if n % folds != fold - 1], left_out
