"""What a model is, for a person: its card in words, and its folds on a dummy volume."""

import resource
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lesionflow.base import json_sidecar
from lesionflow.base.label_channels import decides_by_argmax
from lesionflow.cards.model_card import reference_channel
from lesionflow.cards.network_shape import network_shape
from lesionflow.networks.imported_fold import FOLD_JSON
from lesionflow.networks.inference import inferers
from lesionflow.networks.inference.fold_runner import predict
from lesionflow.networks.inference.random_volume import random_volume

FREE = 160  # voxels a side of the dummy volume where the network takes any: a head at 1 mm


def described(card: Mapping[str, Any]) -> str:
    """What a card expects of a scan, and what it returns; some lines of text."""
    wanted, output, after = card["input"], card["output"], card["postprocess"]
    mm = wanted["spacing_mm"]
    channels = ", ".join(wanted["channels"])
    if len(wanted["channels"]) > 1:
        channels += f" (on the grid of {reference_channel(wanted)}"
        channels += ", which stands in for missing ones)" if wanted["fill_missing"] else ")"
    grid = f"{wanted['orientation']}, " + (
        f"{' x '.join(f'{n:g}' for n in mm)} mm, {wanted['interpolation']}"
        if mm
        else "the scan's own voxels"
    )
    if wanted["quarter_turns"]:
        grid += f", turned by {_many(wanted['quarter_turns'], 'quarter')}"
    if any(wanted["drop_slices"]):
        first, last = wanted["drop_slices"]
        grid += f", without the first {first} and last {last} slices"
    box = {
        "brain": "around the brain",
        "centre": "in the middle of the field of view",
        "foreground": "around what is not 0",
    }.get(wanted["crop"], "the whole field of view")
    if wanted["shape"]:
        box = f"{_sides(wanted['shape'])} voxels {box}"
    if wanted["resize"]:
        box += f", resized to {_sides(wanted['resize'])}"
    if wanted["pad"]["multiple_of"] > 1 or wanted["pad"]["at_least"] > 1:
        box += f", padded to multiples of {wanted['pad']['multiple_of']}"
        box += f" and at least {wanted['pad']['at_least']}"
    labels = ", ".join(f"{value} {name}" for value, name in output["labels"].items())
    count = (
        "the most probable label of each voxel"
        if decides_by_argmax(output["activation"], len(output["labels"]))
        else f"lesions where the probability is above {after['threshold']:g}"
    )
    before = "; ".join(_step(step) for step in wanted["before_crop"])
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
        "intensities": "; ".join(_step(step) for step in wanted["normalize"]) or "as they are",
        "view": wanted["view"],
        "brain mask": "needed" if _needs_brain(card) else "not needed by the network",
        "returns": f"{output['activation']}: {labels}",
        "counts": f"{count}, {after['connectivity']} neighbours",
        **{key: text for key, text in also.items() if text},
        "licence": card["source"]["licence"] or "not said",
        "to cite": card["source"]["citation"] or "not said",
    }
    head = f"{card['name']} ({card['version']}): {card['description']}\n"
    return head + "".join(f"  {key:<12} {text}\n" for key, text in rows.items())


def tried(
    card: Mapping[str, Any], folder: Path, backend: str, device: str, precision: str, threads: int
) -> str:
    """What a fold hashes to, and what a dummy volume costs: the seconds with its start, and the highest memory.

    Raises
    ------
    ValueError
        If the fold does not run, or returns no probabilities (``fold_runner.predict``).
    """
    known = json_sidecar.read(folder / FOLD_JSON)
    shape = dummy_shape(card["input"])
    image = random_volume(shape)
    see = partial(inferers.probability, card=card, brain=np.ones(shape[:3], bool))
    begin = time.perf_counter()
    found, used = predict(folder, image, backend, device, precision, threads, see)
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # kB on Linux
    rows = {
        "weights": f"{known['weights']} ({known['format']})",
        "md5": known["md5"],
        "sha256": known["weights_sha256"],
        "dummy": f"{_sides(shape[:3])} voxels of {_many(shape[3], 'channel')}: {seconds:.1f} s with its start, "
        f"{peak:.0f} MB, {used['backend']} on {used['device']} in {used['precision']}",
        "gives": f"{_sides(found.shape[:3])} voxels of {_many(found.shape[3], 'channel')}, "
        f"{found.min():.3g} to {found.max():.3g}",
    }
    if known["openvino"] is not True:
        rows["openvino"] = f"no: {known['openvino']}"
    text = f"  fold {known['fold']}\n"
    return text + "".join(f"    {key:<10} {value}\n" for key, value in rows.items())


def dummy_shape(wanted: Mapping[str, Any]) -> tuple[int, ...]:
    """Shape (x, y, z, channel) of an image that a network takes: the card's, or a head's at 1 mm."""
    multiple = wanted["pad"]["multiple_of"]
    free = -(-max(FREE, wanted["pad"]["at_least"]) // multiple) * multiple
    if wanted["view"] == "tiles":
        return (*wanted["tiles"]["size"], len(wanted["channels"]))
    *sides, channels = network_shape(wanted)
    if wanted["view"] == "slices":
        sides = [*sides, 1]
    return (*(n or free for n in sides), channels or 1)


def _needs_brain(card: Mapping[str, Any]) -> bool:
    wanted = card["input"]
    steps = [*wanted["before_crop"], *wanted["normalize"]]
    masked = wanted["mask"] or card["output"]["mask"] or wanted["crop"] == "brain"
    masked = masked or (wanted["tiles"] and wanted["tiles"]["skip_outside_brain"])
    return bool(masked or any(step.get("within") == "brain" for step in steps))


def _sides(shape: Any) -> str:
    return " x ".join(str(n) for n in shape)


def _many(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _step(step: Mapping[str, Any]) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in step.items())
