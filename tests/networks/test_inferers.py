"""Inferers (tiles, slices, mirror image, blur), with networks of one line of NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from lesionflow.networks.inference.inferers import blurred, partners, probability, starts, tiled
from support.card_defaults import default

RNG = np.random.default_rng(0)


def card(view="volume", tiles=None, **output):
    said = {"labels": {1: "a"}, **output}
    return {
        "input": default("input", channels=["t1"], crop=None, view=view, tiles=tiles),
        "output": default("output", **said),
    }


def valid_mean(batch):
    """Mean over 3 x 3 x 3 voxels, without padding."""
    view = np.lib.stride_tricks.sliding_window_view(batch, (3, 3, 3), axis=(1, 2, 3))
    return view.mean(axis=(-1, -2, -3))


def same_mean(batch):
    return np.stack([ndimage.uniform_filter(b, (3, 3, 3, 1), mode="constant") for b in batch])


@settings(max_examples=30, deadline=None)
@given(
    shape=st.tuples(*[st.integers(2, 17)] * 3),
    size=st.tuples(*[st.integers(3, 9)] * 3),
    edge=st.sampled_from(["zero", "reflect"]),
)
def test_tiles_of_a_network_without_padding_equal_one_call(shape, size, edge):
    image = RNG.random((*shape, 1)).astype(np.float32)
    predicted = tiled(
        valid_mean,
        image,
        card("tiles", {"size": list(size), "edge": edge}),
        image[..., 0] > 2,
    )
    mode = "mirror" if edge == "reflect" else "constant"
    expected = ndimage.uniform_filter(image.astype(float), (3, 3, 3, 1), mode=mode)
    np.testing.assert_allclose(predicted, expected, atol=1e-5)


def test_overlapping_tiles_are_averaged():
    image = RNG.random((10, 6, 6, 1)).astype(np.float32)
    how = card("tiles", {"size": [6, 6, 6], "stride": [4, 6, 6]})
    predicted = tiled(same_mean, image, how, np.ones((10, 6, 6), bool))
    one, other = same_mean(image[None, :6])[0], same_mean(image[None, 4:])[0]
    np.testing.assert_allclose(predicted[:4], one[:4], atol=1e-6)
    np.testing.assert_allclose(predicted[4:6], (one[4:] + other[:2]) / 2, atol=1e-6)
    np.testing.assert_allclose(predicted[6:], other[2:], atol=1e-6)


def test_first_voxels_of_tiles():
    size, stride = np.array([4, 4, 3]), np.array([4, 3, 3])
    assert list(starts((4, 9, 3), size, stride)) == [(0, 0, 0), (0, 3, 0), (0, 5, 0)]
    assert [s[0] for s in starts((13, 4, 3), size, stride)] == [0, 4, 8, 9]


def test_tiles_without_brain_are_skipped_and_become_background():
    asked = []

    def network(batch):
        asked.append(batch.shape)
        return np.stack([0 * batch[..., 0], 1 + 0 * batch[..., 0]], axis=-1)

    brain = np.zeros((12, 4, 4), bool)
    brain[5] = True
    how = card("tiles", {"size": [4, 4, 4], "skip_outside_brain": True}, activation="softmax")
    predicted = tiled(network, np.ones((12, 4, 4, 1), np.float32), how, brain)
    assert len(asked) == 2  # one to see what comes out, one with brain
    assert predicted[:4, ..., 0].min() == predicted[8:, ..., 0].min() == 1
    assert predicted[4:8, ..., 1].min() == 1
    np.testing.assert_allclose(predicted.sum(axis=3), 1)


def test_a_skipped_tile_does_not_lower_the_mean_of_its_neighbour():
    def network(batch):
        return np.stack([0.1 + 0 * batch[..., 0], 0.9 + 0 * batch[..., 0]], axis=-1)

    brain = np.zeros((10, 4, 4), bool)
    brain[1] = True
    how = card("tiles", {"size": [4, 4, 4], "skip_outside_brain": True}, activation="softmax")
    how["input"]["tiles"]["stride"] = [2, 4, 4]
    predicted = tiled(network, np.ones((10, 4, 4, 1), np.float32), how, brain)
    np.testing.assert_allclose(predicted[:, 0, 0, 1], [0.9] * 4 + [0] * 6)
    np.testing.assert_allclose(predicted.sum(axis=3), 1)


def test_slices_keep_their_order_and_axes():
    image = RNG.random((4, 5, 3, 2)).astype(np.float32)

    def network(batch):  # (batch, x, y, channel): the first channel, and what is before along x
        return np.stack([batch[..., 0], np.roll(batch[..., 1], 1, axis=1)], axis=-1)

    predicted = probability(
        network, image, card("slices", labels={1: "a", 2: "b"}), image[..., 0] > 0
    )
    np.testing.assert_array_equal(predicted[..., 0], image[..., 0])
    np.testing.assert_array_equal(predicted[..., 1], np.roll(image[..., 1], 1, axis=0))


def test_the_mirror_image_exchanges_left_and_right():
    labels = {1: "left", 2: "middle", 5: "right"}
    flip = {"axis": 0, "swap": [[1, 5]]}
    how = card(activation="softmax", labels=labels, flip=flip)
    assert partners(how["output"]) == [0, 3, 2, 1]
    how_sigmoid = card(labels=labels, flip=flip)
    assert partners(how_sigmoid["output"]) == [2, 1, 0]

    def network(batch):  # background, left where x is small, middle, right where x is large
        n = batch.shape[1]
        x = np.arange(n)[None, :, None, None, None] + 0 * batch
        parts = [0 * x, x < n // 2, 0 * x, x >= n // 2]
        return np.concatenate(parts, axis=-1) * batch

    image = np.zeros((4, 1, 1, 1), np.float32)
    image[:, 0, 0, 0] = [0.1, 0.2, 0.4, 0.8]
    predicted = probability(network, image, how, image[..., 0] > 0)
    # the mirror image sees 0.8 and 0.4 on the left: mirrored back and exchanged, they are right again
    np.testing.assert_allclose(predicted[:, 0, 0, 1], [0.1, 0.2, 0, 0])
    np.testing.assert_allclose(predicted[:, 0, 0, 3], [0, 0, 0.4, 0.8])

    def leaning(batch):  # says more of the first half, whatever is there
        x = np.arange(batch.shape[1])[None, :, None, None, None]
        return np.where(x < 2, 0.6, 0.2) + 0 * batch

    predicted = probability(leaning, image, card(flip={"axis": 0}), image[..., 0] > 0)
    np.testing.assert_allclose(predicted[..., 0], 0.4)


def test_kernel_of_the_blur():
    point = np.zeros((5, 5, 5, 1), np.float32)
    point[2, 2, 2] = 1
    side = np.exp(-2.0)  # one voxel away at sigma 0.5
    predicted = blurred(point.copy(), 0.5)[..., 0]
    assert predicted[2, 2, 2] == pytest.approx(1 / (1 + 2 * side) ** 3)
    assert predicted[1, 2, 2] == pytest.approx(side / (1 + 2 * side) ** 3)
    assert np.count_nonzero(predicted) == 27
    assert predicted.sum() == pytest.approx(1)
    corner = blurred(np.ones((5, 5, 5, 1), np.float32), 0.5)[0, 0, 0, 0]
    assert corner == pytest.approx(0.713, abs=5e-4)  # measured on SynthSeg's layer
    assert np.count_nonzero(blurred(point.copy(), 1.0)) == 27  # ceil(2.5) is 3: a window of three
    assert np.count_nonzero(blurred(point.copy(), 1.5)) == 125
    assert blurred(point, 0) is point


def test_blur_precedes_the_mean_with_the_mirror_image():
    image = RNG.random((4, 4, 4, 1)).astype(np.float32)
    how = card(blur=0.5, flip={"axis": 0})
    predicted = probability(lambda batch: batch, image, how, image[..., 0] > 0)
    np.testing.assert_allclose(predicted, blurred(image.copy(), 0.5), atol=1e-6)
