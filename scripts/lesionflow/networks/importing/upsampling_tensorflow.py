"""Upsampled maps in networks of TensorFlow: found, and rewritten as ``upsampling`` says."""

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

CONVOLUTIONS = {"Conv2D": b"NHWC", "Conv3D": b"NDHWC"}  # and how their maps lie
# Operations that copy values to other places.
MOVES = {
    *("ConcatV2", "ExpandDims", "GatherV2", "Identity", "Pack", "Reshape", "ResizeNearestNeighbor"),
    *("Slice", "Split", "SplitV", "Squeeze", "StridedSlice", "Tile", "Transpose", "Unpack"),
}


def without_upsampling(tf: Any, graph: Any, outlet: str, at_least: int = AT_LEAST) -> Any:
    """A network that convolves small maps where this one convolves what it has made of them.

    Parameters
    ----------
    tf
        TensorFlow.
    graph
        ``GraphDef`` of the network, its weights constants. It is left as it is.
    outlet
        Name of the operation that gives its output.
    at_least
        Voxels that a small map must have.

    Returns
    -------
    GraphDef
        ``graph`` itself where no upsampling by nearest neighbours goes, alone or joined to other maps, into
        a 'same' convolution without strides and dilations.
    """
    known: dict[str, Upsampled | None] = {}
    sums: dict[str, str] = {}  # in the place of these convolutions
    with _runner(tf, graph) as session, tf.Graph().as_default() as network:
        tf.graph_util.import_graph_def(graph, name="")
        for operation in network.get_operations():
            if not _same_size(tf, operation):
                continue
            parts = _parts(tf, operation.inputs[0])
            for part in parts:
                if part.name not in known:  # a shortcut's convolution sees the same maps
                    known[part.name] = upsampled(session, part, at_least)
            found = [known[part.name] for part in parts]
            if any(found):
                sums[operation.name] = _sum(tf, operation, parts, found).op.name
        rewritten = network.as_graph_def()
    if not sums:
        return graph
    for node in rewritten.node:
        for n, name in enumerate(node.input):
            bare = name.removeprefix("^")  # what only has to come before it in time
            node.input[n] = name.removesuffix(bare) + sums.get(bare, bare)
    return tf.compat.v1.graph_util.extract_sub_graph(rewritten, [outlet])


def upsampled(session: Any, large: Any, at_least: int = 1) -> Upsampled | None:
    """Where a map (batch, *m, channel) comes from, if it is another one doubled by nearest neighbours.

    Nothing is read out of the operations in between: random bytes are sent through them, and must
    arrive where upsampling takes them. Up to one plane may have been cut on either side.
    """
    small = _moved_from(large)
    if small is None or small is large or small.shape.rank != large.shape.rank:
        return None
    (_, *n, channels), (_, *m, same) = small.shape.as_list(), large.shape.as_list()
    if None in (*n, *m) or channels != same or not may_be_doubled(n, m, at_least):
        return None
    sent = np.random.default_rng(0).integers(0, 256, (1, *n, channels)).astype(np.float32)
    seen = session.run(large.name, {small.name: sent})
    crop = crop_of_doubled(np.moveaxis(sent, -1, 1), np.moveaxis(seen, -1, 1))
    return Upsampled(small, crop) if crop else None


def _runner(tf: Any, graph: Any) -> Any:
    """Session to run parts of a network in, without all that only has to come before them in time."""
    free = tf.compat.v1.GraphDef()
    free.CopyFrom(graph)
    for node in free.node:
        node.input[:] = [name for name in node.input if not name.startswith("^")]
    with tf.Graph().as_default() as copy:
        tf.graph_util.import_graph_def(free, name="")
    return tf.compat.v1.Session(graph=copy)


def _same_size(tf: Any, operation: Any) -> bool:
    """Whether it is a convolution in float32 with a fixed kernel, without strides and dilations, padding 'same'."""
    if operation.type not in CONVOLUTIONS:
        return False
    x, kernel = operation.inputs
    *sizes, channels, _ = kernel.shape.as_list()
    about = operation.get_attr
    return (
        tf.get_static_value(kernel) is not None
        and kernel.dtype == tf.float32
        and about("data_format") == CONVOLUTIONS[operation.type]
        and {*about("strides"), *about("dilations")} == {1}
        and (about("padding") == b"SAME" or {*sizes} == {1})
        and all(size % 2 for size in sizes)
        and x.shape[-1] == channels  # else it has groups
    )


def _parts(tf: Any, tensor: Any) -> list[Any]:
    """The maps that are joined along the channels, or the one that there is."""
    while tensor.op.type == "Identity":
        tensor = tensor.op.inputs[0]
    if tensor.op.type != "ConcatV2":
        return [tensor]
    *maps, axis = tensor.op.inputs
    joined = tf.get_static_value(axis) in (-1, tensor.shape.rank - 1)
    return maps if joined and all(part.shape[-1] for part in maps) else [tensor]


def _moved_from(tensor: Any) -> Any:
    """The one tensor that all values were copied from, as far back as they are only copied; or None."""
    waiting, seen, sources = [tensor], set(), {}
    while waiting:
        one = waiting.pop()
        if one.name in seen:
            continue
        seen.add(one.name)
        if one.dtype.is_integer or one.op.type in MOVES:  # integers say where to
            waiting.extend(one.op.inputs)
        else:
            sources[one.name] = one
    return sources.popitem()[1] if len(sources) == 1 else None


def _sum(tf: Any, operation: Any, parts: list[Any], found: list[Upsampled | None]) -> Any:
    """The convolution of these parts as the sum of its shares."""
    kernel = tf.get_static_value(operation.inputs[1])
    split = np.split(kernel, np.cumsum([part.shape[-1] for part in parts])[:-1], axis=-2)
    rest = [n for n, origin in enumerate(found) if origin is None]
    terms = []
    if rest:
        maps = tf.concat([parts[n] for n in rest], -1) if len(rest) > 1 else parts[rest[0]]
        weights = np.concatenate([split[n] for n in rest], axis=-2)
        terms.append(tf.nn.convolution(maps, weights, padding="SAME"))
    for origin, weights in zip(found, split, strict=True):
        if origin is not None:
            first = np.moveaxis(weights, (-1, -2), (0, 1))  # out, in, *k
            sizes = origin.small.shape.as_list()[1:-1]
            terms += [_term(tf, origin.small, share) for share in shares(first, sizes, origin.crop)]
    return reduce(tf.add, terms)


def _term(tf: Any, small: Any, share: Share) -> Any:
    """A summand in TensorFlow."""
    batch, *n, _ = small.shape.as_list()
    batch = tf.shape(small)[0] if batch is None else batch
    begin, end = (list(side) for side in zip(*share.planes, strict=True))
    if end != n or any(begin):
        n = [b - a for a, b in share.planes]
        small = tf.slice(small, [0, *begin, 0], [-1, *n, -1])
    filters = np.moveaxis(share.kernel, (0, 1), (-1, -2))  # *k, out, in
    *k, out, _ = filters.shape
    whole = [(a - 1) * s + b for a, s, b in zip(n, share.strides, k, strict=True)]
    first = [begin for begin, _ in share.cuts]
    kept = [size - sum(ends) for size, ends in zip(whole, share.cuts, strict=True)]
    # TensorFlow can leave away rows itself, if they are those that its 'SAME' pads.
    if same := first == _padded(kept, share.strides, k) and n == _strided(kept, share.strides):
        whole = kept
    padding = "SAME" if same else "VALID"
    term = tf.nn.conv_transpose(small, filters, [batch, *whole, out], share.strides, padding)
    if whole != kept:
        term = tf.slice(term, [0, *first, 0], [-1, *kept, -1])
    if any(map(any, share.zeros)):
        term = tf.pad(term, [(0, 0), *share.zeros, (0, 0)])
    return term


def _strided(sizes: list[int], strides: tuple[int, ...]) -> list[int]:
    """Sizes after a 'SAME' convolution."""
    return [-(-size // stride) for size, stride in zip(sizes, strides, strict=True)]


def _padded(sizes: list[int], strides: tuple[int, ...], k: list[int]) -> list[int]:
    """Rows that it pads before the first."""
    after = _strided(sizes, strides)
    return [
        max((n - 1) * stride + taps - size, 0) // 2
        for n, stride, taps, size in zip(after, strides, k, sizes, strict=True)
    ]
