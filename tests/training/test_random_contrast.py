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
def label_map(tmp_path_factory):
    return label_head(tmp_path_factory.mktemp("head") / "head.nii.gz")


@pytest.fixture(scope="module")
def examples(label_map):
    return [random_example(label_map, seed) for seed in range(6)]


def test_same_seed_gives_the_same_image(label_map, examples):
    again = random_example(label_map, 2)
    assert (again[0] == examples[2][0]).all()
    assert (again[1] == examples[2][1]).all()
    assert (examples[0][0] != examples[2][0]).any()


def test_images_have_the_format_of_the_network_input(examples):
    for image, brain in examples:
        assert image.shape == brain.shape == SHAPE
        assert np.isfinite(image).all()
        assert image.min() >= 0
        assert 0.5 < image.max() <= 1
        outside = image == 0  # of the field of view
        assert not outside.any() or (brain[outside] == 0).mean() > 0.9


def test_brain_volume_stays_near_that_of_the_label_map(examples):
    ellipsoid_ml = 4 / 3 * np.pi * 68 * 86 * 71 / 1000
    for _, brain in examples:
        volume = brain.sum() / 255 * SPACING_MM**3 / 1000
        assert 0.5 * ellipsoid_ml < volume < 1.6 * ellipsoid_ml


def test_contrast_differs_between_images(examples):
    levels = [image[brain > 200].mean() for image, brain in examples]
    assert max(levels) - min(levels) > 0.15


def test_augmentation_keeps_the_brain_volume(examples):
    images, brains = (np.stack(arrays) for arrays in zip(*examples, strict=True))
    augmented = batches(images, brains, np.random.default_rng(0))
    for _ in range(3):
        image, brain = next(augmented)
        assert image.shape == brain.shape == (1, *SHAPE, 1)
        assert image.min() >= 0 and image.max() <= 1
        assert any(np.isclose(brain.sum(), b.sum() / 255, rtol=1e-4) for b in brains)


def test_mask_loss_is_zero_for_the_reference_and_increases_with_errors():
    reference = np.zeros((1, 4, 4, 4, 1), np.float32)
    reference[0, :2] = 1
    assert float(mask_loss(reference, reference)) < 1e-3
    assert float(mask_loss(reference, 0.5 * reference)) > 0.1
    assert float(mask_loss(reference, 1 - reference)) > 1


def test_network_is_small_and_returns_probabilities():
    model = mask_unet((16, 32, 16))
    assert model.count_params() * 4 < 3e6
    output = model(np.zeros((1, 16, 32, 16, 1), np.float32))
    assert output.shape == (1, 16, 32, 16, 1)
    assert 0 < float(output[0, 0, 0, 0, 0]) < 0.5


def test_dice_equals_value_computed_by_hand():
    first, second = np.zeros(10, bool), np.zeros(10, bool)
    first[:4], second[2:8] = True, True
    assert mask_dice(first, second) == 2 * 2 / (4 + 6)
    assert np.isnan(mask_dice(first & False, second & False))


def test_summary_has_the_worst_scan_and_means_of_groups():
    rows = [
        ("a", "t1", "1", 0.9),
        ("a", "pd", "1", 0.7),
        ("b", "t1", "2", 0.95),
        ("b", "pd", "2", 0.85),
    ]
    scans = pd.DataFrame(rows, columns=["head", "sequence", "spacing_mm", "dice"])
    dice_summary = summary(scans)
    assert dice_summary["worst"] == {"head": "a", "sequence": "pd", "spacing_mm": "1", "dice": 0.7}
    assert dice_summary["mean"] == 0.85
    assert dice_summary["by_sequence"] == {
        "t1": {"mean": 0.925, "worst": 0.9},
        "pd": {"mean": 0.775, "worst": 0.7},
    }
    assert dice_summary["by_head"]["b"] == {"mean": 0.9, "worst": 0.85}


def test_inference_form_gives_the_same_output():
    shape, widths = (16, 32, 16), (4, 6)
    model = mask_unet(shape, widths)
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(0.3, 0.5, w.shape) for w in model.get_weights()])
    image = rng.random((1, *shape, 1)).astype(np.float32)
    expected, output = (
        network.predict_on_batch(image) for network in (model, inference_form(model, shape, widths))
    )
    assert expected.std() > 0.01
    assert np.abs(output - expected).max() < 1e-5
