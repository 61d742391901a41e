"""Images of random contrast, training of the brain mask, and its scores."""

import numpy as np
import pandas as pd
import pytest

from lesionflow.networks.architectures.brain_mask_unet3d import inference_form, mask_unet
from lesionflow.training.brain_mask_scores import mask_dice, summary
from lesionflow.training.random_contrast import SHAPE, SPACING_MM, random_example
from lesionflow.training.train_brain_mask import batches, mask_loss
from support.heads import label_head


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return label_head(tmp_path_factory.mktemp("head") / "head.nii.gz")


@pytest.fixture(scope="module")
def examples(path):
    return [random_example(path, seed) for seed in range(6)]


def test_the_same_seed_gives_the_same_image(path, examples):
    image, brain = random_example(path, 2)
    assert (image == examples[2][0]).all()
    assert (brain == examples[2][1]).all()
    assert (examples[0][0] != examples[2][0]).any()


def test_images_have_the_format_of_the_input_of_the_network(examples):
    for image, brain in examples:
        assert image.shape == brain.shape == SHAPE
        assert np.isfinite(image).all()
        assert image.min() >= 0
        assert 0.5 < image.max() <= 1
        outside = image == 0  # of the field of view
        assert not outside.any() or (brain[outside] == 0).mean() > 0.9


def test_the_volume_of_the_brain_is_plausible(examples):
    expected_ml = 4 / 3 * np.pi * 68 * 86 * 71 / 1000
    for _, brain in examples:
        volume_ml = brain.sum() / 255 * SPACING_MM**3 / 1000
        assert 0.5 * expected_ml < volume_ml < 1.6 * expected_ml


def test_contrast_differs_between_images(examples):
    means = [image[brain > 200].mean() for image, brain in examples]
    assert max(means) - min(means) > 0.15


def test_augmented_images_keep_their_brain(examples):
    images, brains = (np.stack(arrays) for arrays in zip(*examples, strict=True))
    augmented = batches(images, brains, np.random.default_rng(0))
    for _ in range(3):
        image, brain = next(augmented)
        assert image.shape == brain.shape == (1, *SHAPE, 1)
        assert image.min() >= 0 and image.max() <= 1
        assert any(np.isclose(brain.sum(), b.sum() / 255, rtol=1e-4) for b in brains)


def test_the_mask_loss_is_zero_for_the_reference_and_grows_with_errors():
    reference = np.zeros((1, 4, 4, 4, 1), np.float32)
    reference[0, :2] = 1
    assert float(mask_loss(reference, reference)) < 1e-3
    assert float(mask_loss(reference, 0.5 * reference)) > 0.1
    assert float(mask_loss(reference, 1 - reference)) > 1


def test_the_network_has_less_than_3_mb_of_weights_and_returns_probabilities():
    model = mask_unet((16, 32, 16))
    assert model.count_params() * 4 < 3e6
    probability = model(np.zeros((1, 16, 32, 16, 1), np.float32))
    assert probability.shape == (1, 16, 32, 16, 1)
    assert 0 < float(probability[0, 0, 0, 0, 0]) < 0.5


def test_dice_by_hand():
    mask, reference = np.zeros(10, bool), np.zeros(10, bool)
    mask[:4], reference[2:8] = True, True
    assert mask_dice(mask, reference) == 2 * 2 / (4 + 6)
    assert np.isnan(mask_dice(mask & False, reference & False))


def test_the_summary_names_the_worst_scan():
    rows = [
        ("a", "t1", "1", 0.9),
        ("a", "pd", "1", 0.7),
        ("b", "t1", "2", 0.95),
        ("b", "pd", "2", 0.85),
    ]
    scans = pd.DataFrame(rows, columns=["head", "sequence", "spacing_mm", "dice"])
    scores = summary(scans)
    assert scores["worst"] == {"head": "a", "sequence": "pd", "spacing_mm": "1", "dice": 0.7}
    assert scores["mean"] == 0.85
    assert scores["by_sequence"] == {
        "t1": {"mean": 0.925, "worst": 0.9},
        "pd": {"mean": 0.775, "worst": 0.7},
    }
    assert scores["by_head"]["b"] == {"mean": 0.9, "worst": 0.85}


def test_the_inference_form_returns_the_same_probabilities():
    shape, widths = (16, 32, 16), (4, 6)
    model = mask_unet(shape, widths)
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(0.3, 0.5, w.shape) for w in model.get_weights()])
    image = rng.random((1, *shape, 1)).astype(np.float32)
    expected = model.predict_on_batch(image)
    probability = inference_form(model, shape, widths).predict_on_batch(image)
    assert expected.std() > 0.01
    assert np.abs(probability - expected).max() < 1e-5
