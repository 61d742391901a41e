"""Rewrite OpenVINO networks so that convolutions read small maps instead of upsampled ones (``upsampling_algebra``)."""

from collections.abc import Iterator
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from lesionflow.networks.importing.upsampling_algebra import (
    MIN_VOXELS,
    Crop,
    Term,
    crop_of_doubled,
    may_be_doubled,
    terms,
)

# Operations that only move or repeat values. Their first input is the map.
MOVES = {"Reshape", "Slice", "StridedSlice", "Tile", "Transpose", "Unsqueeze", "Interpolate"}


class Upsampled(NamedTuple):
    """The small map that was upsampled, and how the upsampled map was cropped before the convolution."""

    small: Any  # ``openvino.Output``
    crop: Crop


def without_upsampling(model: Any, min_voxels: int = MIN_VOXELS) -> Any:
    """Replace each convolution of an upsampled map by transposed convolutions of the small map.

    Parameters
    ----------
    model
        ``openvino.Model``. It is not changed.
    min_voxels
        Smallest map, in voxels, whose convolution is replaced.

    Returns
    -------
    openvino.Model
        ``model`` itself if its shapes are dynamic, or if it has no 'same' convolution, without strides and
        dilations, of a map from nearest-neighbour upsampling (alone or concatenated with other maps).
    """
    from openvino._offline_transformations import apply_moc_transformations
    from openvino.utils import replace_node

    if model.is_dynamic():
        return model
    rewritten, origins, replaced = model.clone(), {}, 0
    # Upsampling can be written in many ways. OpenVINO's own transformations, which it applies to every
    # network that it compiles, reduce them to a few.
    apply_moc_transformations(rewritten, True)
    for node in rewritten.get_ordered_ops():
        if node.get_type_name() != "Convolution" or not _same_size(node):
            continue
        maps = _concatenated(node.input_value(0))
        for value in maps:
            # The convolution of a residual block's shortcut reads the same maps.
            if (name := _name(value)) not in origins:
                origins[name] = upsampled(value, min_voxels)
        map_origins = [origins[_name(value)] for value in maps]
        if any(map_origins):
            replace_node(node, _sum(node, maps, map_origins))
            replaced += 1
    return rewritten if replaced else model


def upsampled(value: Any, min_voxels: int = 1) -> Upsampled | None:
    """The small map that a map (batch, channel, *m) is the nearest-neighbour upsampling of, or None.

    The operations in between are not interpreted. They are run on random bytes, and each byte must arrive
    where upsampling puts it. Up to one plane may have been cropped at either end of an axis.
    """
    large = value.get_shape()
    for chain in _chains(value):
        small = chain[0].input_value(0)
        shape = small.get_shape()
        comparable = len(shape) == len(large) > 2 and list(shape[:2]) == list(large[:2])
        if comparable and may_be_doubled(shape[2:], large[2:], min_voxels):
            random = np.random.default_rng(0).integers(0, 256, tuple(shape), np.uint8)
            if crop := crop_of_doubled(random, _run(chain, random)):
                return Upsampled(small, crop)
    return None


def _same_size(node: Any) -> bool:
    """Whether it is a 'same' convolution in float32 with a constant kernel, and strides and dilations of 1."""
    attributes, kernel = node.get_attributes(), node.input_value(1)
    return (
        kernel.get_node().get_type_name() == "Constant"
        and kernel.get_element_type().to_string() == "f32"
        and {*attributes["strides"], *attributes["dilations"]} == {1}
        and attributes["pads_begin"] == attributes["pads_end"]
        and [2 * p + 1 for p in attributes["pads_begin"]] == list(kernel.get_shape())[2:]
    )


def _concatenated(value: Any) -> list[Any]:
    """The maps that were concatenated along the channels to give ``value``, or ``value`` alone."""
    node = value.get_node()
    is_concatenation = node.get_type_name() == "Concat" and node.get_attributes()["axis"] in (
        1,
        1 - len(value.get_shape()),
    )
    return node.input_values() if is_concatenation else [value]


def _name(value: Any) -> str:
    return f"{value.get_node().get_name()}:{value.get_index()}"


def _chains(value: Any) -> Iterator[list[Any]]:
    """The last operation before ``value``, the last two, and so on, as long as they only move values."""
    chain: list[Any] = []
    while True:
        node = value.get_node()
        constant = all(v.get_node().get_type_name() == "Constant" for v in node.input_values()[1:])
        if node.get_type_name() not in MOVES or not constant:
            return
        if node.get_attributes().get("mode", "nearest") != "nearest":  # e.g. linear interpolation
            return
        chain.insert(0, node)
        yield chain
        value = node.input_value(0)


def _run(chain: list[Any], array: np.ndarray) -> np.ndarray:
    """Output of copies of these operations for an array."""
    import openvino as ov
    import openvino.opset13 as ops
    from openvino.utils.node_factory import NodeFactory

    parameter = last = ops.parameter(array.shape, array.dtype)
    for node in chain:
        inputs = [last.output(0), *node.input_values()[1:]]
        factory = NodeFactory(node.get_type_info().version_id)
        last = factory.create(node.get_type_name(), inputs, node.get_attributes())
    model = ov.Model([ops.result(last)], [parameter])
    return ov.Core().compile_model(model, "CPU")(array)[0]


def _sum(node: Any, maps: list[Any], origins: list[Upsampled | None]) -> Any:
    """The convolution ``node`` of concatenated maps as a sum over the maps; ``origins`` has what they come from."""
    import openvino.opset13 as ops

    kernel, pads = node.input_value(1).get_node().data, node.get_attributes()["pads_begin"]
    kernels = np.split(kernel, np.cumsum([m.get_shape()[1] for m in maps])[:-1], axis=1)
    others = [n for n, origin in enumerate(origins) if origin is None]
    summands = []
    if others:
        joined = ops.concat([maps[n] for n in others], 1) if len(others) > 1 else maps[others[0]]
        weights = np.concatenate([kernels[n] for n in others], axis=1)
        ones = [1] * len(pads)
        summands.append(ops.convolution(joined, ops.constant(weights), ones, pads, pads, ones))
    for origin, weights in zip(origins, kernels, strict=True):
        if origin is not None:
            sizes = origin.small.get_shape()[2:]
            summands += [_node(origin.small, term) for term in terms(weights, sizes, origin.crop)]
    return reduce(ops.add, summands)


def _node(small: Any, term: Term) -> Any:
    """OpenVINO's node for one term of the sum."""
    import openvino.opset13 as ops

    sizes, axes = list(small.get_shape()[2:]), list(range(2, term.kernel.ndim))
    begin, end = (list(side) for side in zip(*term.planes, strict=True))
    if end != sizes or any(begin):
        small = ops.slice(small, begin, end, [1] * len(axes), axes)
    begin, end = (list(side) for side in zip(*term.cropping, strict=True))
    output = ops.convolution_backprop_data(
        small,
        ops.constant(term.kernel),
        list(term.strides),
        pads_begin=begin,
        pads_end=end,
        dilations=[1] * len(axes),
    )
    begin, end = ([0, 0, *side] for side in zip(*term.padding, strict=True))
    return ops.pad(output, begin, end, "constant", 0.0) if any(begin + end) else output
