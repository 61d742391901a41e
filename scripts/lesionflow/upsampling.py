"""Upsampled maps that are convolved, but never made: the same sums in 8/27 of the arithmetic.

A U-Net doubles a small map by nearest neighbours, joins it to a skip connection and convolves both. With
kernel K of size k = 2p + 1 along an axis, zeros outside, and U[j] = x[j // 2], the sum
y[o] = sum over t of K[t] U[o + t - p] meets x[i] at the taps with o + t - p = 2i or 2i + 1. That is a
transposed convolution of x with stride 2 and a kernel W of size k + 1:

    y[o] = sum over i of W[o - 2i + p] x[i],    W[u] = K[2p - u] + K[2p + 1 - u]    (K is 0 outside 0 ... 2p)

And the convolution of joined maps is the sum of their convolutions. Both are identities; what differs is
float32's rounding.
"""

from collections.abc import Iterator
from functools import reduce
from itertools import product
from typing import Any, NamedTuple

import numpy as np

# Operations that copy values to other places. Their first input is the map.
MOVES = {"Reshape", "Slice", "StridedSlice", "Tile", "Transpose", "Unsqueeze", "Interpolate"}
# Voxels of a small map: below, nothing is gained, and the larger kernel takes space.
AT_LEAST = 1000


class Upsampled(NamedTuple):
    """The output ``small`` (batch, channel, *n) of a node, and what the doubled map has lost by then.

    ``crop`` has (first, last) for each axis: whether the map's first and its last plane were cut.
    """

    small: Any
    crop: tuple[tuple[int, int], ...]


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
        cut = [2 * a - b for a, b in zip(n[2:], large[2:], strict=False)]
        fits = len(n) == len(large) > 2 and list(n[:2]) == list(large[:2])
        if fits and set(cut) <= {0, 1, 2} and np.prod(n[2:]) >= at_least:
            sent = np.random.default_rng(0).integers(0, 256, tuple(n), np.uint8)
            seen, crop = _run(chain, sent), []
            for axis, (size, lost) in enumerate(zip(large[2:], cut, strict=True), 2):
                pair = size > 1 and (seen.take(0, axis) == seen.take(1, axis)).all()
                first = 0 if pair else min(lost, 1)
                crop.append((first, lost - first))
                sent = sent.take((np.arange(size) + first) // 2, axis)
            if max(max(ends) for ends in crop) <= 1 and np.array_equal(seen, sent):
                return Upsampled(small, tuple(crop))
    return None


def tap_sums(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which taps of a kernel of odd ``size`` k = 2p + 1 meet a voxel of the small map, along one axis.

    Returns
    -------
    doubled : array (k + 1, k)
        Times K, the kernel W of the transposed convolution.
    first, last : arrays (p, k)
        Times K, what the first plane of the doubled map adds to the p planes after it, in their order, and
        the last one to the p planes before it.
    """
    p, reverse = size // 2, np.eye(size)[::-1]
    doubled = np.pad(reverse, ((0, 1), (0, 0))) + np.pad(reverse, ((1, 0), (0, 0)))
    return doubled, reverse[p + 1 :], reverse[:p]


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
    shares = np.split(kernel, np.cumsum([part.get_shape()[1] for part in parts])[:-1], axis=1)
    rest = [n for n, origin in enumerate(found) if origin is None]
    terms = []
    if rest:
        maps = ops.concat([parts[n] for n in rest], 1) if len(rest) > 1 else parts[rest[0]]
        weights = np.concatenate([shares[n] for n in rest], axis=1)
        ones = [1] * len(pads)
        terms.append(ops.convolution(maps, ops.constant(weights), ones, pads, pads, ones))
    for origin, share in zip(found, shares, strict=True):
        if origin is not None:
            terms.extend(_transposed(origin, share, node.get_output_shape(0)))
    return reduce(ops.add, terms)


def _transposed(origin: Upsampled, kernel: np.ndarray, shape: list[int]) -> Iterator[Any]:
    """Summands of the convolution of a doubled and cropped map, from the small one.

    Where a plane was cut the convolution met zeros. So what the plane would have added is subtracted:
    along each axis the cropped map is the doubled one less its cut planes, and the product over the axes
    is multiplied out.

    Parameters
    ----------
    origin
        The small map and the crop.
    kernel : array (out, in, *k)
    shape
        Of the convolution's output, (batch, out, *m).
    """
    import openvino.opset13 as ops

    small, axes = origin.small.get_shape(), range(2, kernel.ndim)
    ways = []  # an axis: taps, planes of the small map, stride, rows to cut and to add on either side
    for axis, (first, last) in zip(axes, origin.crop, strict=True):
        k, n, m = kernel.shape[axis], small[axis], shape[axis]
        p, (doubled, at_first, at_last) = k // 2, tap_sums(k)
        way = [(doubled, (0, n), 2, (p + first, p + last), (0, 0))]
        if first and p:
            way.append((-at_first, (0, 1), 1, (0, 0), (0, m - p)))
        if last and p:
            way.append((-at_last, (n - 1, n), 1, (0, 0), (m - p, 0)))
        ways.append(way)
    for choice in product(*ways):
        taps, planes, strides, cuts, zeros = zip(*choice, strict=True)
        weights = kernel.swapaxes(0, 1).astype(float)  # a transposed convolution's: in, out, *k
        for axis, matrix in zip(axes, taps, strict=True):
            weights = np.moveaxis(np.tensordot(matrix, weights, (1, axis)), 0, axis)
        term: Any = origin.small
        begin, end = (list(side) for side in zip(*planes, strict=True))
        if end != list(small[2:]) or any(begin):
            term = ops.slice(term, begin, end, [1] * len(begin), list(axes))
        begin, end = (list(side) for side in zip(*cuts, strict=True))
        term = ops.convolution_backprop_data(
            term,
            ops.constant(np.ascontiguousarray(weights, np.float32)),
            list(strides),
            pads_begin=begin,
            pads_end=end,
            dilations=[1] * len(begin),
        )
        begin, end = ([0, 0, *side] for side in zip(*zeros, strict=True))
        yield ops.pad(term, begin, end, "constant", 0.0) if any(begin + end) else term
