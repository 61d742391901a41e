"""What a card must not say although its schema lets it: keys that contradict each other."""

from collections.abc import Iterator, Mapping
from typing import Any

from lesionflow.base.safe_path import is_inside
from lesionflow.cards.network_shape import network_shape
from lesionflow.results.columns import cohort_columns, model_summary, names

EXTRAS = {"mask", "regions", "truth"}  # files beside a scan
MODES = ("within", "per_channel")  # keys of a normalize step that are no operation
LEVELS = {"synthseg-h5": 5, "intel-unet3d-h5": 5, "torch-unet2d": 5}  # of the published U-Nets
OWN_NETWORK = ("savedmodel", "keras-h5", "keras", "onnx")  # formats whose file brings its network


def contradictions(card: Mapping[str, Any]) -> Iterator[str]:
    """Every contradiction in a card whose defaults are filled in, one line each, the key first."""
    yield from _of_channels(card["input"])
    yield from _of_space(card["input"])
    yield from _of_steps("before_crop", card["input"]["before_crop"])
    yield from _of_steps("normalize", card["input"]["normalize"])
    yield from _of_labels(card["output"], card["postprocess"])
    yield from _of_columns(card)
    yield from _of_network(card)
    yield from _of_weights(card)


def _of_channels(wanted: Mapping[str, Any]) -> Iterator[str]:
    if taken := EXTRAS & set(wanted["channels"]):
        yield f"input.channels: {min(taken)!r} is no channel: the cohort has files of that name already"
    for key in ("reference", "fill_missing"):
        if wanted[key] is not None and wanted[key] not in wanted["channels"]:
            yield f"input.{key}: {wanted[key]!r} is none of the channels {wanted['channels']}"


def _of_space(wanted: Mapping[str, Any]) -> Iterator[str]:
    boxed = wanted["crop"] in ("brain", "centre")
    if boxed and wanted["shape"] is None:
        yield f"input.shape: crop {wanted['crop']} needs the box's three sides"
    if not boxed and wanted["shape"] is not None:
        yield f"input.shape: crop {wanted['crop'] or 'null'} has no box of a given shape"
    if wanted["resize"] and wanted["padding"] == "after":
        yield "input.padding: after cannot be had with resize: zeros go into the splines"
    if wanted["snap_start"] and wanted["crop"] != "centre":
        yield f"input.snap_start: it goes with crop centre, not {wanted['crop'] or 'null'}"
    if wanted["outside"] == "edge" and wanted["interpolation"] != "linear":
        yield f"input.outside: edge goes with interpolation linear, not {wanted['interpolation']}"
    if (wanted["view"] == "tiles") != (wanted["tiles"] is not None):
        yield f"input.tiles: they go with view tiles, and with no other (view is {wanted['view']})"
    elif wanted["tiles"] and wanted["tiles"]["stride"]:
        size, stride = wanted["tiles"]["size"], wanted["tiles"]["stride"]
        if any(step > side for step, side in zip(stride, size, strict=True)):
            yield f"input.tiles.stride: {stride}: steps longer than a tile's sides {size} leave gaps"


def _of_steps(where: str, steps: list[dict[str, Any]]) -> Iterator[str]:
    for number, step in enumerate(steps):
        names = [key for key in step if key not in MODES]
        if len(names) != 1:
            yield f"input.{where}.{number}: {step} has {len(names)} operations, one is needed"
        low, high = step.get("clip_percentiles", (0, 1))
        if low >= high:
            yield f"input.{where}.{number}.clip_percentiles: {[low, high]}: the lower one goes first"


def _of_labels(output: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    own = list(output["labels"].values())
    if len(set(own)) < len(own):
        yield f"output.labels: {own}: two labels have one name"
    values = [int(value) for value in output["labels"]]
    groups = {}
    if output["flip"]:
        groups["output.flip.swap"] = output["flip"]["swap"]
    if after["components"]:
        groups["postprocess.components.classes"] = after["components"]["classes"]
        if output["activation"] != "softmax" or len(values) < 2:
            yield "postprocess.components: it is for softmax over several labels"
    for key, lists in groups.items():
        used = [value for group in lists for value in group]
        if unknown := set(used) - set(values):
            yield f"{key}: {min(unknown)} is none of the labels {values}"
        if twice := {value for value in used if used.count(value) > 1}:
            yield f"{key}: {min(twice)} is there twice"
    if output["total"] is not None:
        if not output["soft_volumes"]:
            yield "output.total: it is a soft volume, and soft_volumes is false"
        if output["total"] in own:
            yield f"output.total: {output['total']!r} is a label's name already"


def _of_columns(card: Mapping[str, Any]) -> Iterator[str]:
    columns = names(cohort_columns({card["name"]: model_summary(card)}))
    if twice := [column for column in columns if columns.count(column) > 1]:
        yield f"output.labels: two columns of the table would be called {twice[0]}: rename a label"


def _of_network(card: Mapping[str, Any]) -> Iterator[str]:
    fmt, wanted = card["format"], card["input"]
    said = [key for key, value in card["network"].items() if value is not None]
    if fmt in OWN_NETWORK:
        if said:
            yield f"network.{said[0]}: the network of a {fmt} is in its file"
        return
    if card["output"]["logits"]:
        yield f"output.logits: the network of a {fmt} is rebuilt with its activation"
    if wanted["layout"] != "channels_last":
        yield f"input.layout: the network of a {fmt} is rebuilt with its channels last"
    if fmt in LEVELS:
        side = 2 ** (len(card["network"].get("features") or [0] * LEVELS[fmt]) - 1)
        sides = network_shape(wanted)[:-1]
        if any((wanted["pad"]["multiple_of"] if n is None else n) % side for n in sides):
            yield (
                f"input.pad.multiple_of: a {fmt} of so many levels halves its image until {side} voxels are "
                f"one: sides (now {sides}, null: any) must be multiples of {side}"
            )


def _of_weights(card: Mapping[str, Any]) -> Iterator[str]:
    for key in ("path", "md5"):
        given = [fold[key] for fold in card["folds"] if fold[key]]
        if twice := [text for text in given if given.count(text) > 1]:
            yield f"folds: {key} {twice[0]!r} is there twice: an ensemble's folds are different networks"
    if card["source"]["archive"]:
        for number, fold in enumerate(card["folds"]):
            if not is_inside(fold["path"]):
                yield f"folds.{number}.path: {fold['path']!r} leaves the archive"
    elif card["source"]["sha256"]:
        yield "source.sha256: it is an archive's, and source.archive names none"
