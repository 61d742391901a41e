"""Describe a model for its user: its card as text, and its folds as run on a random volume."""

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lesionflow.base import json_sidecar
from lesionflow.base.label_channels import decides_by_argmax
from lesionflow.base.peak_memory import peak_memory
from lesionflow.cards.model_card import reference_channel
from lesionflow.cards.network_shape import network_shape
from lesionflow.networks.imported_fold import FOLD_JSON
from lesionflow.networks.inference import inferers
from lesionflow.networks.inference.fold_runner import predict
from lesionflow.networks.inference.random_volume import random_volume

FREE_SIZE = 160  # voxels along a side of any size: a head at 1 mm


def describe_card(card: Mapping[str, Any]) -> str:
    """Text of a few lines: the scans that a card expects, and its output."""
    input_spec, output, after = card["input"], card["output"], card["postprocess"]
    mm = input_spec["spacing_mm"]
    channels = ", ".join(input_spec["channels"])
    if len(input_spec["channels"]) > 1:
        channels += f" (on the grid of {reference_channel(input_spec)}"
        channels += ", which stands in for missing ones)" if input_spec["fill_missing"] else ")"
    grid = f"{input_spec['orientation']}, " + (
        f"{' x '.join(f'{n:g}' for n in mm)} mm, {input_spec['interpolation']}"
        if mm
        else "the scan's own voxels"
    )
    if input_spec["quarter_turns"]:
        grid += f", turned by {_many(input_spec['quarter_turns'], 'quarter')}"
    if any(input_spec["drop_slices"]):
        first, last = input_spec["drop_slices"]
        grid += f", without the first {first} and last {last} slices"
    box = {
        "brain": "around the brain",
        "centre": "in the middle of the field of view",
        "foreground": "around what is not 0",
    }.get(input_spec["crop"], "the whole field of view")
    if input_spec["shape"]:
        box = f"{_sides(input_spec['shape'])} voxels {box}"
    if input_spec["resize"]:
        box += f", resized to {_sides(input_spec['resize'])}"
    if input_spec["pad"]["multiple_of"] > 1 or input_spec["pad"]["at_least"] > 1:
        box += f", padded to multiples of {input_spec['pad']['multiple_of']}"
        box += f" and at least {input_spec['pad']['at_least']}"
    labels = ", ".join(f"{value} {name}" for value, name in output["labels"].items())
    count = (
        "the most probable label of each voxel"
        if decides_by_argmax(output["activation"], len(output["labels"]))
        else f"lesions where the probability is above {after['threshold']:g}"
    )
    before = "; ".join(_step(step) for step in input_spec["before_crop"])
    also = {
        "mirrored": output["flip"] and "the mean with the mirror image's result",
        "blurred": output["blur"] and f"probabilities, sigma {output['blur']:g} voxels",
        "cleaned": after["components"] and "only the largest structures are kept",
        "largest": after["keep_largest"] and "only the largest lesion of each label counts",
        "soft volumes": output["soft_volumes"] and "sums of probabilities",
    }
    rows = {
        "expects": channels,
        "grid": grid,
        "box": box,
        "before crop": before or "nothing",
        "intensities": "; ".join(_step(step) for step in input_spec["normalize"]) or "as they are",
        "view": input_spec["view"],
        "brain mask": "needed" if _needs_brain(card) else "not needed by the network",
        "returns": f"{output['activation']}: {labels}",
        "counts": f"{count}, {after['connectivity']} neighbours",
        **{key: text for key, text in also.items() if text},
        "licence": card["source"]["licence"] or "not given",
        "to cite": card["source"]["citation"] or "not given",
    }
    head = f"{card['name']} ({card['version']}): {card['description']}\n"
    return head + "".join(f"  {key:<12} {text}\n" for key, text in rows.items())


def describe_fold(
    card: Mapping[str, Any], folder: Path, backend: str, device: str, precision: str, threads: int
) -> str:
    """Text of a few lines: hashes of a fold, and the run time (with loading) and peak memory for a random volume.

    Raises
    ------
    LesionflowError
        If the fold does not run, or its output is not a probability map (``fold_runner.predict``).
    """
    record = json_sidecar.read(folder / FOLD_JSON)
    shape = dummy_shape(card["input"])
    image = random_volume(shape)
    inferer = partial(inferers.probability, card=card, brain=np.ones(shape[:3], bool))
    begin = time.perf_counter()
    maps, used = predict(folder, image, backend, device, precision, threads, inferer)
    seconds = time.perf_counter() - begin
    rows = {
        "weights": f"{record['weights']} ({record['format']})",
        "md5": record["md5"],
        "sha256": record["weights_sha256"],
        "dummy": f"{_sides(shape[:3])} voxels of {_many(shape[3], 'channel')}: {seconds:.1f} s with its start, "
        f"{peak_memory() / 1e6:.0f} MB, {used['backend']} on {used['device']} in {used['precision']}",
        "gives": f"{_sides(maps.shape[:3])} voxels of {_many(maps.shape[3], 'channel')}, "
        f"{maps.min():.3g} to {maps.max():.3g}",
    }
    if record["openvino"] is not True:
        rows["openvino"] = f"no: {record['openvino']}"
    text = f"  fold {record['fold']}\n"
    return text + "".join(f"    {key:<10} {value}\n" for key, value in rows.items())


def dummy_shape(input_spec: Mapping[str, Any]) -> tuple[int, ...]:
    """Shape (x, y, z, channel) of an image for a network: the card's, or that of a head at 1 mm."""
    multiple = input_spec["pad"]["multiple_of"]
    free_size = -(-max(FREE_SIZE, input_spec["pad"]["at_least"]) // multiple) * multiple
    if input_spec["view"] == "tiles":
        return (*input_spec["tiles"]["size"], len(input_spec["channels"]))
    *sides, channels = network_shape(input_spec)
    if input_spec["view"] == "slices":
        sides = [*sides, 1]
    return (*(n or free_size for n in sides), channels or 1)


def _needs_brain(card: Mapping[str, Any]) -> bool:
    input_spec = card["input"]
    steps = [*input_spec["before_crop"], *input_spec["normalize"]]
    uses_mask = input_spec["mask"] or card["output"]["mask"] or input_spec["crop"] == "brain"
    uses_mask = uses_mask or (input_spec["tiles"] and input_spec["tiles"]["skip_outside_brain"])
    return bool(uses_mask or any(step.get("within") == "brain" for step in steps))


def _sides(shape: Any) -> str:
    return " x ".join(str(n) for n in shape)


def _many(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _step(step: Mapping[str, Any]) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in step.items())
