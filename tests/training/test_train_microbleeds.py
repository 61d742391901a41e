"""Training of the demo ensemble, on small arrays."""

import numpy as np
import pytest

from lesionflow.training import train_microbleeds
from lesionflow.training.microbleed_examples import (
    SHAPE,
)
from support.spheres import spheres


def test_each_example_is_held_out_in_one_fold():
    examples = list(range(9))
    splits = [train_microbleeds.split_fold(examples, fold) for fold in (1, 2, 3)]
    assert sorted(n for _, held_out in splits for n in held_out) == examples
    assert all(sorted(training + held_out) == examples for training, held_out in splits)


def test_patches_depend_only_on_the_seed_and_contain_lesions():
    example = spheres(((80, 100, 90), 3), shape=SHAPE)
    first, masks = next(train_microbleeds.patches([example], np.random.default_rng(4), 12))
    again, _ = next(train_microbleeds.patches([example], np.random.default_rng(4), 12))
    np.testing.assert_array_equal(first, again)
    assert first.shape == masks.shape == (12, 32, 32, 32, 1) and first.dtype == np.float32
    assert (masks.sum(axis=(1, 2, 3, 4)) > 0).sum() >= 3
    assert first.min() >= 0 and first.max() <= 1


def test_peaks_of_false_positives_are_sorted_by_probability():
    example = spheres(((10, 10, 10), 3))
    probability = np.zeros((1, 40, 40, 40, 1), np.float32)
    probability[0, 12, 10, 10] = 0.99  # on the lesion
    probability[0, 20, 20, 20:23, 0] = 0.4, 0.6, 0.5
    probability[0, 30, 30, 30] = 0.9
    probability[0, 5, 30, 30] = 0.3  # not above

    class Model:
        def predict_on_batch(self, image):
            assert image.shape == probability.shape and image.dtype == np.float32
            return probability

    peaks = train_microbleeds.false_positive_peaks(Model(), example)
    assert peaks.tolist() == [[30, 30, 30], [20, 20, 21]]
    assert len(train_microbleeds.false_positive_peaks(Model(), example, max_count=1)) == 1


@pytest.mark.slow
def test_lesion_loss_is_zero_for_the_reference():
    reference = np.zeros((1, 16, 16, 16, 1), np.float32)
    reference[0, 8, 8, 8] = 1
    loss = train_microbleeds.lesion_loss
    assert float(loss(reference, reference)) == pytest.approx(0, abs=1e-3)
    assert float(loss(reference, 1 - reference)) > float(loss(reference, 0 * reference)) > 0.1
