"""Rewriting of upsampling in OpenVINO networks."""

import numpy as np
import openvino as ov
import openvino.opset13 as ops
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lesionflow.networks.importing.upsampling_openvino import upsampled, without_upsampling
from support.upsampled_places import assert_convolved, doubled, places, random


def by_interpolation(value, factor=2, mode="nearest"):
    """Upsampling as in ONNX files, by one operation."""
    n = value.get_shape()[2:]
    return ops.interpolate(
        value,
        np.array([factor * size for size in n]),
        mode,
        "sizes",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
        axes=np.arange(2, 2 + len(n)),
    )


def by_copies(value, tiled=False):
    """Upsampling as in Keras: with channels last, one axis after the other.

    ``tiled``: a wrong variant, which repeats the whole map instead of each plane.
    """
    rank = len(value.get_shape())
    value = ops.transpose(value, [0, *range(2, rank), 1])
    for axis in range(1, rank - 1):
        shape = list(value.get_output_shape(0))
        shape[axis] *= 2
        reps = np.ones(rank + 1, int)
        reps[axis + (not tiled)] = 2
        value = ops.reshape(ops.tile(ops.unsqueeze(value, axis + (not tiled)), reps), shape, False)
    return ops.transpose(value, [0, rank - 1, *range(1, rank - 1)])


def by_splitting(value):
    """Upsampling as in old versions of Keras: each plane twice, concatenated."""
    for axis in range(2, len(value.get_shape())):
        planes = ops.split(value, axis, value.get_output_shape(0)[axis]).outputs()
        value = ops.concat([plane for plane in planes for _ in range(2)], axis)
    return value


def cut(value, crop):
    """The cropped map, in OpenVINO."""
    m = value.get_output_shape(0)[2:]
    begin, end = zip(*((a, n - b) for (a, b), n in zip(crop, m, strict=True)), strict=True)
    return ops.slice(value, list(begin), list(end), [1] * len(m), list(range(2, 2 + len(m))))


def same(value, kernel, **attributes):
    """'same' convolution, in OpenVINO."""
    ones, pads = [1] * (kernel.ndim - 2), [size // 2 for size in kernel.shape[2:]]
    options = {
        "strides": ones,
        "pads_begin": pads,
        "pads_end": pads,
        "dilations": ones,
        **attributes,
    }
    return ops.convolution(value, ops.constant(kernel.astype(np.float32)), **options)


def parameter(*shape):
    return ops.parameter(shape, np.float32)


def run(model, *images):
    return ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(images)[0]


def kinds(model):
    return [node.get_type_name() for node in model.get_ops()]


@settings(max_examples=25, deadline=None)
@given(places(), st.sampled_from([by_interpolation, by_copies, by_splitting]), st.integers(0, 99))
def test_rewritten_convolutions_equal_scipys_of_the_upsampled_map(place, way, seed):
    if min(place.n) == 1 and way is by_splitting:
        way = by_copies  # OpenVINO does not see that one plane, split, is itself
    inlets = [parameter(*shape) for shape in place.shapes]
    maps = [
        cut(way(inlet), place.crop) if part == "small" else inlet
        for part, inlet in zip(place.parts, inlets, strict=True)
    ]
    joined = ops.concat(maps, 1) if len(maps) > 1 else maps[0]
    kernels, images = place.kernels(seed), place.images(seed)
    model = ov.Model([ops.result(same(joined, kernel)) for kernel in kernels], inlets)
    rewritten = without_upsampling(model, 1)
    if "small" in place.parts:
        assert not {"Tile", "Split", "Interpolate"} & set(kinds(rewritten))
    else:
        assert rewritten is model
    results = ov.Core().compile_model(rewritten, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(images)
    for output, kernel in zip(results.values(), kernels, strict=True):
        assert_convolved(output, place.joined(images), kernel)


def u_net_stage(crop):
    """Main branch and shortcut of a residual stage, each with a bias, and their sum."""
    small, large = parameter(1, 3, 4, 5, 3), parameter(1, 2, 8, 9, 6)
    joined = ops.concat([large, cut(by_copies(small), crop)], 1)
    bias = ops.constant(random(1, 4, 1, 1, 1, seed=3))
    main = ops.swish(ops.add(same(joined, random(4, 5, 3, 3, 3, seed=1)), bias))
    shortcut = ops.add(same(joined, random(4, 5, 1, 1, 1, seed=2)), bias)
    return ov.Model([ops.result(ops.add(main, shortcut))], [small, large])


def test_a_stage_gives_the_same_output_and_its_model_is_not_changed():
    model = u_net_stage([(0, 0), (0, 1), (0, 0)])
    before = kinds(model)
    images = random(1, 3, 4, 5, 3, seed=4), random(1, 2, 8, 9, 6, seed=5)
    expected = run(model, *images)
    output = run(without_upsampling(model, 1), *images)
    assert kinds(model) == before
    np.testing.assert_allclose(output, expected, atol=1e-4)  # of values up to 40


def test_the_small_map_and_the_crop_are_found():
    small = parameter(1, 2, 3, 4, 2)
    crop = ((1, 0), (0, 1), (1, 1))
    upsampling = upsampled(cut(by_copies(small), crop).output(0))
    assert upsampling.small.get_node().get_name() == small.get_name()
    assert upsampling.crop == crop


def depthwise(value):
    kernel = ops.constant(random(3, 1, 1, 3, 3))
    return ops.group_convolution(value, kernel, [1, 1], [1, 1], [1, 1], [1, 1])


K = random(2, 3, 3, 3)
MASK = ops.constant(random(1, 3, 12, 8))


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda x: same(by_interpolation(x, mode="linear"), K), id="linear"),
        pytest.param(lambda x: same(by_interpolation(x, factor=3), K), id="threefold"),
        pytest.param(lambda x: same(by_copies(x, tiled=True), K), id="tiled"),
        pytest.param(lambda x: same(cut(by_copies(x), [(2, 0), (0, 0)]), K), id="two rows cut"),
        pytest.param(lambda x: same(by_copies(x), K, strides=[2, 2]), id="stride"),
        pytest.param(
            lambda x: same(by_copies(x), K, dilations=[2, 2], pads_begin=[2, 2], pads_end=[2, 2]),
            id="dilation",
        ),
        pytest.param(
            lambda x: same(by_copies(x), K, pads_begin=[0, 0], pads_end=[0, 0]), id="valid"
        ),
        pytest.param(
            lambda x: same(by_copies(x), K, pads_begin=[2, 0], pads_end=[0, 2]), id="uneven"
        ),
        pytest.param(lambda x: same(ops.add(by_copies(x), MASK), K), id="sum between"),
        pytest.param(lambda x: same(ops.relu(by_copies(x)), K), id="activation between"),
        pytest.param(lambda x: depthwise(by_copies(x)), id="depthwise"),
        pytest.param(lambda x: by_copies(x), id="no convolution"),
        pytest.param(
            lambda x: same(ops.concat([by_copies(x)] * 2, 2), K), id="joined along an axis"
        ),
        pytest.param(lambda x: same(ops.transpose(by_copies(x), [0, 1, 3, 2]), K), id="turned"),
        pytest.param(lambda x: same(x, K), id="no upsampling"),
    ],
)
def test_other_operations_are_not_rewritten(make):
    small = parameter(1, 3, 6, 4)
    model = ov.Model([ops.result(make(small))], [small])
    assert without_upsampling(model, 1) is model


def test_small_maps_and_dynamic_shapes_are_not_rewritten():
    small = parameter(1, 3, 6, 4)
    model = ov.Model([ops.result(same(by_copies(small), K))], [small])
    assert without_upsampling(model, 25) is model
    assert without_upsampling(model, 24) is not model
    free = ops.parameter([1, 3, -1, 4], np.float32)
    nearest = ops.interpolate(free, np.float32([2, 2]), "nearest", "scales", axes=np.array([2, 3]))
    model = ov.Model([ops.result(same(nearest, K))], [free])
    assert without_upsampling(model, 1) is model


def test_an_upsampled_map_with_other_uses_is_kept():
    small = parameter(1, 3, 6, 4)
    large = by_copies(small)
    model = ov.Model([ops.result(same(large, K)), ops.result(ops.relu(large))], [small])
    rewritten = without_upsampling(model, 1)
    image = random(1, 3, 6, 4, seed=6)
    results = ov.Core().compile_model(rewritten, "CPU")(image)
    assert_convolved(results[0], doubled(image), K)
    np.testing.assert_array_equal(results[1], np.maximum(doubled(image), 0))
