"""Normalization, with results worked out by hand."""

import numpy as np
import pytest

from lesionflow.base.errors import LesionflowError
from lesionflow.imaging.intensity import normalize, quantized

SHIVA = [
    {"clip_below": 0},
    {"divide_by_percentile": 99, "within": "brain"},
    {"clip_above": 1.3},
    {"divide_by": 1.3},
]


def column(*values):
    """An image (n, 1, 1, 1) and a mask of all its voxels."""
    x = np.array(values, float).reshape(-1, 1, 1, 1)
    return x, np.ones(x.shape[:3], bool)


def test_shiva_normalization_puts_the_99th_percentile_at_one_over_one_point_three():
    values = np.arange(101.0)
    image, brain = column(*values)
    normal = normalize(image, SHIVA, brain).ravel()
    assert normal[99] == pytest.approx(1 / 1.3)
    assert normal[50] == pytest.approx(50 / 99 / 1.3)


def test_shiva_normalization_clips_both_ends():
    image, brain = column(-5, *[100.0] * 200, 1000)
    brain[-1] = False  # the bright voxel lies outside the brain
    normal = normalize(image, SHIVA, brain).ravel()
    assert normal[0] == 0
    assert normal[1] == pytest.approx(1 / 1.3)
    assert normal[-1] == 1


def test_statistics_are_taken_within_the_brain_only_if_asked():
    image, brain = column(1, 1, 1, 9)
    brain[3] = False
    within = normalize(image, [{"divide_by_percentile": 100, "within": "brain"}], brain)
    everywhere = normalize(image, [{"divide_by_percentile": 100}], brain)
    assert within.ravel().tolist() == [1, 1, 1, 9]
    assert everywhere.ravel()[3] == 1


def test_statistics_are_over_all_channels_or_per_channel():
    image = np.stack([np.array([0.0, 1]), np.array([0.0, 4])], -1).reshape(2, 1, 1, 2)
    brain = np.ones((2, 1, 1), bool)
    together = normalize(image, [{"min_max": [0, 1]}], brain)
    per_channel = normalize(image, [{"min_max": [0, 1], "per_channel": True}], brain)
    assert together[1, 0, 0].tolist() == [0.25, 1]
    assert per_channel[1, 0, 0].tolist() == [1, 1]


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("order", ["C", "F"])
def test_one_channel_equals_that_of_all_channels(per_channel, order):
    image = np.random.default_rng(2).normal(9, 3, (5, 6, 7, 3)).astype(np.float32, order=order)
    image[:2] = np.nan
    brain = image[..., 0] > 8
    steps = [{"z_score": True, "per_channel": True}, {"min_max": [0, 1], "within": "brain"}]
    steps = steps[:1] if per_channel else steps
    for c, normal in enumerate(np.moveaxis(normalize(image, steps, brain), 3, 0)):
        single = normalize(image, steps, brain, c)
        np.testing.assert_array_equal(single, normal[..., None])


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ({"clip_below": 2}, [2, 2, 3, 4]),
        ({"clip_above": 3}, [1, 2, 3, 3]),
        ({"clip_percentiles": [0, 50]}, [1, 2, 2.5, 2.5]),
        ({"divide_by": 2}, [0.5, 1, 1.5, 2]),
        ({"min_max": [-1, 2]}, [-1, 0, 1, 2]),
        (
            {"z_score": True},
            [-1.5 / 1.25**0.5, -0.5 / 1.25**0.5, 0.5 / 1.25**0.5, 1.5 / 1.25**0.5],
        ),
        ({"zero_below_fraction_of_max": 0.5}, [0, 2, 3, 4]),
    ],
)
def test_each_operation_worked_out_by_hand(step, expected):
    image, brain = column(1, 2, 3, 4)
    assert normalize(image, [step], brain).ravel().tolist() == pytest.approx(expected)


def test_the_array_of_the_caller_is_not_changed():
    image, brain = column(1, 2, 3)
    normalize(image, [{"divide_by": 2}], brain)
    assert image.ravel().tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"divide_by_percentile": 99}, "percentile 99.* is 0"),
        ({"z_score": True}, "every voxel is 0"),
        ({"min_max": [0, 1]}, "every voxel is 0"),
    ],
)
def test_a_step_that_cannot_be_computed_is_refused(step, message):
    image, brain = column(0, 0, 0)
    with pytest.raises(LesionflowError, match=message):
        normalize(image, [step], brain)


def test_an_empty_mask_is_refused():
    image, brain = column(1, 2)
    with pytest.raises(LesionflowError, match="mask is empty"):
        normalize(image, [{"z_score": True, "within": "brain"}], ~brain)


@pytest.mark.parametrize("scale", [1.0, 1e-7, 255.0, 3.2e4])
def test_quantization_changes_values_by_less_than_a_millionth_of_the_largest(scale):
    image = (np.random.default_rng(1).normal(0, 0.2, (6, 7, 8)) * scale).astype(np.float32)
    rounded = quantized(image)
    assert rounded.dtype == np.float32
    largest = np.abs(image).max()
    assert 0 < np.abs(rounded - image).max() <= largest * 2.0**-21
    np.testing.assert_array_equal(quantized(rounded), rounded)
    steps = rounded / 2.0 ** (np.floor(np.log2(largest)) - 20)
    np.testing.assert_array_equal(steps, np.round(steps))


def test_an_image_of_zeros_is_not_changed_by_quantization():
    np.testing.assert_array_equal(quantized(np.zeros((2, 2, 2), np.float32)), 0)
