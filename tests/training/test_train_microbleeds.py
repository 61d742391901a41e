"""Training of the demo ensemble, on small arrays."""

import numpy as np
import pytest

from lesionflow.training import train_microbleeds
from lesionflow.training.microbleed_examples import (
    SHAPE,
)
from support.spheres import spheres


def test_each_fold_holds_out_another_third():
    examples = list(range(9))
    parts = [train_microbleeds.thirds(examples, fold) for fold in (1, 2, 3)]
    assert sorted(n for _, left_out in parts for n in left_out) == examples
    assert all(sorted(learn + left_out) == examples for learn, left_out in parts)


def test_patches_depend_on_the_seed_and_cover_lesions():
    example = spheres(((80, 100, 90), 3), shape=SHAPE)
    first, masks = next(train_microbleeds.patches([example], np.random.default_rng(4), 12))
    again, _ = next(train_microbleeds.patches([example], np.random.default_rng(4), 12))
    np.testing.assert_array_equal(first, again)
    assert first.shape == masks.shape == (12, 32, 32, 32, 1) and first.dtype == np.float32
    assert (masks.sum(axis=(1, 2, 3, 4)) > 0).sum() >= 3
    assert first.min() >= 0 and first.max() <= 1


def test_false_alarms_are_the_peaks_of_false_positives():
    example = spheres(((10, 10, 10), 3))
    found = np.zeros((1, 40, 40, 40, 1), np.float32)
    found[0, 12, 10, 10] = 0.99  # on the lesion
    found[0, 20, 20, 20:23, 0] = 0.4, 0.6, 0.5
    found[0, 30, 30, 30] = 0.9
    found[0, 5, 30, 30] = 0.3  # not above

    class Model:
        def predict_on_batch(self, image):
            assert image.shape == found.shape and image.dtype == np.float32
            return found

    alarms = train_microbleeds.false_alarms(Model(), example)
    assert alarms.tolist() == [[30, 30, 30], [20, 20, 21]]
    assert len(train_microbleeds.false_alarms(Model(), example, most=1)) == 1


@pytest.mark.slow
def test_the_lesion_loss_is_zero_for_the_truth():
    truth = np.zeros((1, 16, 16, 16, 1), np.float32)
    truth[0, 8, 8, 8] = 1
    rate = train_microbleeds.lesion_loss
    assert float(rate(truth, truth)) == pytest.approx(0, abs=1e-3)
    assert float(rate(truth, 1 - truth)) > float(rate(truth, 0 * truth)) > 0.1
