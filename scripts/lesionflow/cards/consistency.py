"""Keys of a model card that contradict each other although each of them is valid."""

from collections.abc import Iterator, Mapping
from typing import Any

from lesionflow.base.label_channels import decides_by_argmax
from lesionflow.base.safe_path import is_inside
from lesionflow.cards.model_card import NOT_CHANNELS
from lesionflow.cards.network_shape import network_shape

N_LEVELS = {"synthseg-h5": 5, "intel-unet3d-h5": 5, "torch-unet2d": 5}  # of the published U-Nets
WITH_NETWORK = ("savedmodel", "keras-h5", "keras", "onnx")  # formats whose file has its network


def contradictions(card: Mapping[str, Any]) -> Iterator[str]:
    """Every contradiction in a card with all its keys, one line each, the key first."""
    yield from _in_channels(card["input"])
    yield from _in_space(card["input"])
    yield from _in_labels(card["output"], card["postprocess"])
    yield from _in_network(card)
    yield from _in_weights(card)


def _in_channels(input_spec: Mapping[str, Any]) -> Iterator[str]:
    channels = input_spec["channels"]
    if reserved := set(NOT_CHANNELS) & set(channels):
        yield f"input.channels: {min(reserved)!r} cannot be a channel: it is another file of a scan"
    for key in ("reference", "fill_missing"):
        if input_spec[key] is not None and input_spec[key] not in channels:
            yield f"input.{key}: {input_spec[key]!r} is not one of the channels {channels}"


def _in_space(input_spec: Mapping[str, Any]) -> Iterator[str]:
    crop, view, tiles = input_spec["crop"], input_spec["view"], input_spec["tiles"]
    has_box = crop in ("brain", "centre")
    if has_box and input_spec["shape"] is None:
        yield f"input.shape: crop {crop} needs the three sides of the box"
    if not has_box and input_spec["shape"] is not None:
        yield f"input.shape: crop {crop or 'null'} has no box of a fixed shape"
    if input_spec["resize"] and input_spec["padding"] == "after":
        yield "input.padding: after is not possible with resize: the splines use the zeros"
    if input_spec["snap_start"] and crop != "centre":
        yield f"input.snap_start: it needs crop centre, not {crop or 'null'}"
    if input_spec["outside"] == "edge" and input_spec["interpolation"] != "linear":
        yield f"input.outside: edge needs interpolation linear, not {input_spec['interpolation']}"
    if (view == "tiles") != (tiles is not None):
        yield f"input.tiles: they are needed with view tiles, and only then (view is {view})"
    elif tiles and tiles["stride"]:
        size, stride = tiles["size"], tiles["stride"]
        if any(step > side for step, side in zip(stride, size, strict=True)):
            yield f"input.tiles.stride: {stride}: longer than the sides of a tile {size}, which leaves gaps"


def _in_labels(output: Mapping[str, Any], postprocess: Mapping[str, Any]) -> Iterator[str]:
    labels, total = output["labels"], output["total"]
    groups = {}
    if output["flip"]:
        groups["output.flip.swap"] = output["flip"]["swap"]
    if postprocess["components"]:
        groups["postprocess.components.classes"] = postprocess["components"]["classes"]
        if not decides_by_argmax(output["activation"], len(labels)):
            yield "postprocess.components: only possible with softmax over several labels"
    for key, lists in groups.items():
        values = [value for group in lists for value in group]
        if unknown := set(values) - set(labels):
            yield f"{key}: {min(unknown)} is not one of the labels {list(labels)}"
        if repeated := {value for value in values if values.count(value) > 1}:
            yield f"{key}: {min(repeated)} is repeated"
    if total is not None and not output["soft_volumes"]:
        yield "output.total: it is a soft volume, and soft_volumes is false"
    if total in labels.values():
        yield f"output.total: {total!r} is already the name of a label"


def _in_network(card: Mapping[str, Any]) -> Iterator[str]:
    fmt, input_spec = card["format"], card["input"]
    keys = [key for key, value in card["network"].items() if value is not None]
    if fmt in WITH_NETWORK:
        if keys:
            yield f"network.{keys[0]}: with the format {fmt} the network is in its file"
        return
    if card["output"]["logits"]:
        yield f"output.logits: with the format {fmt} the network is rebuilt with its activation"
    if input_spec["layout"] != "channels_last":
        yield f"input.layout: with the format {fmt} the network is rebuilt with channels_last"
    if fmt in N_LEVELS:
        factor = 2 ** (len(card["network"]["features"] or [0] * N_LEVELS[fmt]) - 1)
        sides = network_shape(input_spec)[:-1]
        if any((input_spec["pad"]["multiple_of"] if n is None else n) % factor for n in sides):
            yield (
                f"input.pad.multiple_of: a {fmt} of this depth reduces each side by the factor {factor}: sides "
                f"(now {sides}, null: any) must be multiples of it"
            )


def _in_weights(card: Mapping[str, Any]) -> Iterator[str]:
    for key in ("path", "md5"):
        values = [fold[key] for fold in card["folds"] if fold[key]]
        if repeated := [value for value in values if values.count(value) > 1]:
            yield f"folds: {key} {repeated[0]!r} is repeated: the folds of an ensemble are different networks"
    if card["source"]["archive"]:
        for number, fold in enumerate(card["folds"]):
            if not is_inside(fold["path"]):
                yield f"folds.{number}.path: {fold['path']!r} is outside the archive"
    elif card["source"]["sha256"]:
        yield "source.sha256: it belongs to an archive, and source.archive has none"
