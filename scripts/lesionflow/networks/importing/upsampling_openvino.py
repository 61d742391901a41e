"""Upsampled maps in networks of OpenVINO: found, and rewritten as ``upsampling`` says."""

from collections.abc import Iterator
from functools import reduce
from typing import Any

import numpy as np

from lesionflow.networks.importing.upsampling_algebra import (
    AT_LEAST,
    Share,
    Upsampled,
    crop_of_doubled,
    may_be_doubled,
    shares,
)

# Operations that copy values to other places. Their first input is the map.
MOVES = {"Reshape", "Slice", "StridedSlice", "Tile", "Transpose", "Unsqueeze", "Interpolate"}


def without_upsampling(model: Any, at_least: int = AT_LEAST) -> Any:
    """A network that convolves small maps where this one convolves what it has made of them.

    Parameters
    ----------
    model
        ``openvino.Model``. It is left as it is.
    at_least
        Voxels that a small map must have.

    Returns
    -------
    openvino.Model
        ``model`` itself where its shapes are not fixed, or no upsampling by nearest neighbours goes, alone or
        joined to other maps, into a 'same' convolution without strides and dilations.
    """
    from openvino._offline_transformations import apply_moc_transformations
    from openvino.utils import replace_node

    if model.is_dynamic():
        return model
    rewritten, known, count = model.clone(), {}, 0
    # There are many ways to write an upsampling; after OpenVINO's own transformations, which every
    # network goes through when it is compiled, a few are left.
    apply_moc_transformations(rewritten, True)
    for node in rewritten.get_ordered_ops():
        if node.get_type_name() != "Convolution" or not _same_size(node):
            continue
        parts = _parts(node.input_value(0))
        for part in parts:
            if (name := _name(part)) not in known:  # a shortcut's convolution sees the same maps
                known[name] = upsampled(part, at_least)
        found = [known[_name(part)] for part in parts]
        if any(found):
            replace_node(node, _sum(node, parts, found))
            count += 1
    return rewritten if count else model


def upsampled(value: Any, at_least: int = 1) -> Upsampled | None:
    """Where a map (batch, channel, *m) comes from, if it is another one doubled by nearest neighbours.

    Nothing is read out of the operations in between: they are run on random bytes, and each must
    arrive where upsampling takes it. Up to one plane may have been cut on either side.
    """
    large = value.get_shape()
    for chain in _chains(value):
        small = chain[0].input_value(0)
        n = small.get_shape()
        fits = len(n) == len(large) > 2 and list(n[:2]) == list(large[:2])
        if fits and may_be_doubled(n[2:], large[2:], at_least):
            sent = np.random.default_rng(0).integers(0, 256, tuple(n), np.uint8)
            if crop := crop_of_doubled(sent, _run(chain, sent)):
                return Upsampled(small, crop)
    return None


def _same_size(node: Any) -> bool:
    """Whether a convolution in float32 with a fixed kernel has strides and dilations of 1, padding 'same'."""
    said, kernel = node.get_attributes(), node.input_value(1)
    return (
        kernel.get_node().get_type_name() == "Constant"
        and kernel.get_element_type().to_string() == "f32"
        and {*said["strides"], *said["dilations"]} == {1}
        and said["pads_begin"] == said["pads_end"]
        and [2 * p + 1 for p in said["pads_begin"]] == list(kernel.get_shape())[2:]
    )


def _parts(value: Any) -> list[Any]:
    """The maps that are joined along the channels, or the one that there is."""
    node = value.get_node()
    joined = node.get_type_name() == "Concat" and node.get_attributes()["axis"] in (
        1,
        1 - len(value.get_shape()),
    )
    return node.input_values() if joined else [value]


def _name(value: Any) -> str:
    return f"{value.get_node().get_name()}:{value.get_index()}"


def _chains(value: Any) -> Iterator[list[Any]]:
    """The operations that only move what ends as ``value``: the last, the last two, and so on."""
    chain: list[Any] = []
    while True:
        node = value.get_node()
        fixed = all(v.get_node().get_type_name() == "Constant" for v in node.input_values()[1:])
        if node.get_type_name() not in MOVES or not fixed:
            return
        if node.get_attributes().get("mode", "nearest") != "nearest":  # an Interpolate that mixes
            return
        chain.insert(0, node)
        yield chain
        value = node.input_value(0)


def _run(chain: list[Any], sent: np.ndarray) -> np.ndarray:
    """What copies of these operations make of an array."""
    import openvino as ov
    import openvino.opset13 as ops
    from openvino.utils.node_factory import NodeFactory

    inlet = moved = ops.parameter(sent.shape, sent.dtype)
    for node in chain:
        inputs = [moved.output(0), *node.input_values()[1:]]
        factory = NodeFactory(node.get_type_info().version_id)
        moved = factory.create(node.get_type_name(), inputs, node.get_attributes())
    alone = ov.Model([ops.result(moved)], [inlet])
    return ov.Core().compile_model(alone, "CPU")(sent)[0]


def _sum(node: Any, parts: list[Any], found: list[Upsampled | None]) -> Any:
    """The convolution ``node`` of these parts as the sum of its shares."""
    import openvino.opset13 as ops

    kernel, pads = node.input_value(1).get_node().data, node.get_attributes()["pads_begin"]
    split = np.split(kernel, np.cumsum([part.get_shape()[1] for part in parts])[:-1], axis=1)
    rest = [n for n, origin in enumerate(found) if origin is None]
    terms = []
    if rest:
        maps = ops.concat([parts[n] for n in rest], 1) if len(rest) > 1 else parts[rest[0]]
        weights = np.concatenate([split[n] for n in rest], axis=1)
        ones = [1] * len(pads)
        terms.append(ops.convolution(maps, ops.constant(weights), ones, pads, pads, ones))
    for origin, weights in zip(found, split, strict=True):
        if origin is not None:
            sizes = origin.small.get_shape()[2:]
            terms += [_term(origin.small, share) for share in shares(weights, sizes, origin.crop)]
    return reduce(ops.add, terms)


def _term(small: Any, share: Share) -> Any:
    """A summand in OpenVINO."""
    import openvino.opset13 as ops

    sizes, axes = list(small.get_shape()[2:]), list(range(2, share.kernel.ndim))
    begin, end = (list(side) for side in zip(*share.planes, strict=True))
    if end != sizes or any(begin):
        small = ops.slice(small, begin, end, [1] * len(axes), axes)
    begin, end = (list(side) for side in zip(*share.cuts, strict=True))
    term = ops.convolution_backprop_data(
        small,
        ops.constant(share.kernel),
        list(share.strides),
        pads_begin=begin,
        pads_end=end,
        dilations=[1] * len(axes),
    )
    begin, end = ([0, 0, *side] for side in zip(*share.zeros, strict=True))
    return ops.pad(term, begin, end, "constant", 0.0) if any(begin + end) else term
