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
    again = random_example(path, 2)
    assert (again[0] == examples[2][0]).all()
    assert (again[1] == examples[2][1]).all()
    assert (examples[0][0] != examples[2][0]).any()


def test_images_have_the_format_of_the_networks_input(examples):
    for image, brain in examples:
        assert image.shape == brain.shape == SHAPE
        assert np.isfinite(image).all()
        assert image.min() >= 0
        assert 0.5 < image.max() <= 1
        outside = image == 0  # of the field of view
        assert not outside.any() or (brain[outside] == 0).mean() > 0.9


def test_the_volume_of_the_brain_is_plausible(examples):
    true = 4 / 3 * np.pi * 68 * 86 * 71 / 1000
    for _, brain in examples:
        volume = brain.sum() / 255 * SPACING_MM**3 / 1000
        assert 0.5 * true < volume < 1.6 * true


def test_contrast_differs_between_images(examples):
    levels = [image[brain > 200].mean() for image, brain in examples]
    assert max(levels) - min(levels) > 0.15


def test_augmented_images_keep_their_brain(examples):
    images, brains = (np.stack(part) for part in zip(*examples, strict=True))
    drawn = batches(images, brains, np.random.default_rng(0))
    for _ in range(3):
        image, brain = next(drawn)
        assert image.shape == brain.shape == (1, *SHAPE, 1)
        assert image.min() >= 0 and image.max() <= 1
        assert any(np.isclose(brain.sum(), b.sum() / 255, rtol=1e-4) for b in brains)


def test_the_mask_loss_is_zero_for_the_truth_and_grows_with_errors():
    truth = np.zeros((1, 4, 4, 4, 1), np.float32)
    truth[0, :2] = 1
    assert float(mask_loss(truth, truth)) < 1e-3
    assert float(mask_loss(truth, 0.5 * truth)) > 0.1
    assert float(mask_loss(truth, 1 - truth)) > 1


def test_the_network_is_small_and_ends_in_a_probability():
    model = mask_unet((16, 32, 16))
    assert model.count_params() * 4 < 3e6
    found = model(np.zeros((1, 16, 32, 16, 1), np.float32))
    assert found.shape == (1, 16, 32, 16, 1)
    assert 0 < float(found[0, 0, 0, 0, 0]) < 0.5


def test_dice_by_hand():
    one, other = np.zeros(10, bool), np.zeros(10, bool)
    one[:4], other[2:8] = True, True
    assert mask_dice(one, other) == 2 * 2 / (4 + 6)
    assert np.isnan(mask_dice(one & False, other & False))


def test_the_summary_names_the_worst_scan():
    rows = [
        ("a", "t1", "1", 0.9),
        ("a", "pd", "1", 0.7),
        ("b", "t1", "2", 0.95),
        ("b", "pd", "2", 0.85),
    ]
    scans = pd.DataFrame(rows, columns=["head", "sequence", "spacing_mm", "dice"])
    figures = summary(scans)
    assert figures["worst"] == {"head": "a", "sequence": "pd", "spacing_mm": "1", "dice": 0.7}
    assert figures["mean"] == 0.85
    assert figures["by_sequence"] == {
        "t1": {"mean": 0.925, "worst": 0.9},
        "pd": {"mean": 0.775, "worst": 0.7},
    }
    assert figures["by_head"]["b"] == {"mean": 0.9, "worst": 0.85}


def test_the_inference_form_is_the_same_function():
    shape, widths = (16, 32, 16), (4, 6)
    model = mask_unet(shape, widths)
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(0.3, 0.5, w.shape) for w in model.get_weights()])
    image = rng.random((1, *shape, 1)).astype(np.float32)
    expected, found = (
        m.predict_on_batch(image) for m in (model, inference_form(model, shape, widths))
    )
    assert expected.std() > 0.01
    assert np.abs(found - expected).max() < 1e-5
