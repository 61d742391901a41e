"""Networks of TensorFlow without upsampled maps."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from lesionflow.networks.importing.upsampling_tensorflow import without_upsampling
from support.upsampled_places import assert_convolved, doubled, places, random

K = random(3, 3, 3, 2)
KINDS = {"Tile", "Split", "ResizeNearestNeighbor"}


def by_repeating(value):
    """Upsampled as Keras 3 does."""
    for axis in range(1, value.shape.rank - 1):
        value = tf.repeat(value, 2, axis)
    return value


def by_splitting(value):
    """Upsampled as old Keras does: the planes, each twice, joined."""
    for axis in range(1, value.shape.rank - 1):
        planes = tf.split(value, value.shape[axis], axis)
        value = tf.concat([plane for plane in planes for _ in range(2)], axis)
    return value


def by_resizing(value, factor=2, method="nearest"):
    """Upsampled as Keras does images; volumes by pairs of axes."""
    if value.shape.rank == 4:
        return tf.image.resize(value, [factor * n for n in value.shape[1:3]], method)
    return by_repeating(value)


def tiled(value):
    """A wrong variant: the whole map twice instead of each plane."""
    return tf.tile(value, [1, *[2] * (value.shape.rank - 2), 1])


def cut(value, crop):
    """The map less the planes that ``crop`` says."""
    ends = [slice(a, n - b) for (a, b), n in zip(crop, value.shape[1:-1], strict=True)]
    return value[:, *ends]


def same(value, kernel, **said):
    return tf.nn.convolution(value, kernel, **{"padding": "SAME", **said})


class Network:
    """A graph of named outputs, for inputs of shapes (channel last) whose batch size is free or fixed."""

    def __init__(self, make, *shapes, batch=None):
        with tf.Graph().as_default() as graph:
            inlets = [
                tf.compat.v1.placeholder(tf.float32, (batch, *shape), f"in{n}")
                for n, shape in enumerate(shapes)
            ]
            outputs = make(*inlets)
            tf.group(*[tf.identity(y, f"out{n}") for n, y in enumerate(outputs)], name="all")
        self.graph, self.outputs = graph.as_graph_def(), len(outputs)
        self.rewritten = without_upsampling(tf, self.graph, "all", 1)

    def kinds(self):
        return {node.op for node in self.rewritten.node}

    def run(self, *images, rewritten=True):
        with tf.Graph().as_default() as graph:
            tf.graph_util.import_graph_def(self.rewritten if rewritten else self.graph, name="")
        wanted = [f"out{n}:0" for n in range(self.outputs)]
        with tf.compat.v1.Session(graph=graph) as session:
            return session.run(wanted, {f"in{n}:0": image for n, image in enumerate(images)})


def last(array):
    """Channels at the end."""
    return np.moveaxis(array, 1, -1)


@settings(max_examples=40, deadline=None)
@given(
    places(),
    st.sampled_from([by_repeating, by_splitting, by_resizing]),
    st.sampled_from([None, 1]),
    st.integers(0, 99),
)
def test_every_place_is_what_scipy_makes_of_the_upsampled_map(place, way, batch, seed):
    kernels, images = place.kernels(seed), place.images(seed)

    def network(*inlets):
        maps = [
            cut(way(inlet), place.crop) if part == "small" else inlet
            for part, inlet in zip(place.parts, inlets, strict=True)
        ]
        joined = tf.concat(maps, -1) if len(maps) > 1 else maps[0]
        return [same(joined, np.moveaxis(kernel, (0, 1), (-1, -2))) for kernel in kernels]

    made = Network(network, *(last(image).shape[1:] for image in images), batch=batch)
    if "small" in place.parts:
        assert not KINDS & made.kinds()
    else:
        assert made.rewritten is made.graph
    for output, kernel in zip(made.run(*map(last, images)), kernels, strict=True):
        assert_convolved(np.moveaxis(output, -1, 1), place.joined(images), kernel)


def test_several_images_at_once_and_what_only_has_to_come_before():
    def network(small, large):
        with tf.control_dependencies([large]):
            up = cut(by_repeating(small), [(0, 0), (0, 1), (0, 0)])
        joined = tf.concat([large, up], -1)
        main = same(tf.identity(joined), random(3, 3, 3, 5, 4, seed=1))
        with tf.control_dependencies([main]):
            bias = tf.constant(random(4, seed=3))
        shortcut = same(joined, random(1, 1, 1, 5, 4, seed=2), padding="VALID")
        return [tf.nn.silu(main + bias) + shortcut]

    made = Network(network, (4, 5, 3, 3), (8, 9, 6, 2))
    images = random(3, 4, 5, 3, 3, seed=4), random(3, 8, 9, 6, 2, seed=5)
    (found,), (expected,) = made.run(*images), made.run(*images, rewritten=False)
    np.testing.assert_allclose(found, expected, atol=1e-4)  # of values up to 40
    assert "Conv3DBackpropInputV2" in made.kinds()
    assert not KINDS & made.kinds()
    graph = made.graph
    without_upsampling(tf, graph, "all", 1)
    assert "Conv3DBackpropInputV2" not in {node.op for node in graph.node}


def test_a_map_that_others_use_as_well_is_still_there():
    def network(small):
        large = by_repeating(small)
        return [same(large, K), tf.nn.relu(large)]

    made, image = Network(network, (6, 4, 3)), random(1, 6, 4, 3, seed=6)
    convolution, plain = made.run(image)
    large = doubled(np.moveaxis(image, -1, 1))
    kernel = np.moveaxis(K, (-1, -2), (0, 1))
    assert_convolved(np.moveaxis(convolution, -1, 1), large, kernel)
    np.testing.assert_array_equal(plain, last(np.maximum(large, 0)))
    assert "Conv2D" not in made.kinds()


def free_kernel(x):
    """A kernel that is not fixed."""
    return same(by_repeating(x), tf.reshape(tf.reduce_mean(x), [1, 1, 1, 1]) * K)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda x: same(by_resizing(x, method="bilinear"), K), id="linear"),
        pytest.param(lambda x: same(by_resizing(x, factor=3), K), id="threefold"),
        pytest.param(lambda x: same(tiled(x), K), id="tiled"),
        pytest.param(lambda x: same(cut(by_repeating(x), [(2, 0), (0, 0)]), K), id="two rows cut"),
        pytest.param(lambda x: same(by_repeating(x), K, strides=2), id="stride"),
        pytest.param(lambda x: same(by_repeating(x), K, dilations=2), id="dilation"),
        pytest.param(lambda x: same(by_repeating(x), K, padding="VALID"), id="valid"),
        pytest.param(lambda x: same(by_repeating(x), K[:2]), id="even kernel"),
        pytest.param(lambda x: same(by_repeating(x), K[:, :, :1].repeat(3, 3)), id="groups"),
        pytest.param(lambda x: same(by_repeating(x) + random(12, 8, 3), K), id="sum between"),
        pytest.param(lambda x: same(tf.nn.relu(by_repeating(x)), K), id="activation between"),
        pytest.param(lambda x: same(by_repeating(x) + x[:, :1, :1], K), id="two sources"),
        pytest.param(
            lambda x: same(tf.concat([by_repeating(x)] * 2, 1), K), id="joined along an axis"
        ),
        pytest.param(lambda x: same(tf.transpose(by_repeating(x), [0, 2, 1, 3]), K), id="turned"),
        pytest.param(lambda x: same(x, K), id="no upsampling"),
        pytest.param(lambda x: by_repeating(x), id="no convolution"),
        pytest.param(free_kernel, id="free kernel"),
    ],
)
def test_whatever_is_not_that_place_stays(make):
    made = Network(lambda x: [make(x)], (6, 4, 3))
    assert made.rewritten is made.graph


def test_small_maps_and_free_sizes_stay():
    made = Network(lambda x: [same(by_repeating(x), K)], (6, 4, 3))
    assert without_upsampling(tf, made.graph, "all", 25) is made.graph
    assert without_upsampling(tf, made.graph, "all", 24) is not made.graph
    made = Network(lambda x: [same(by_repeating(x), K)], (None, 4, 3))
    assert made.rewritten is made.graph
