"""Networks in ONNX files, which OpenVINO reads and TensorFlow does not."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from lesionflow.base.errors import WeightsError
from lesionflow.cards.model_card import Card
from lesionflow.networks.importing.published_network import fitting


def convert_onnx(part: Card, path: Path, ir: Path) -> None:
    """Write an ONNX network as one of OpenVINO's in float32, with channels last and its activation.

    Parameters
    ----------
    part
        ``model_card.import_part`` of its card.
    path
        The ``.onnx`` file. It must hold its weights itself: the card's hash is of this file alone.
    ir
        The ``.xml`` file to write, the ``.bin`` beside it.

    Raises
    ------
    WeightsError
        If it cannot be read, has more than one input or output, or takes another shape than the card says.
    """
    import openvino as ov
    import openvino.opset13 as ops

    with TemporaryDirectory(prefix="lesionflow-") as folder:
        alone = Path(folder, "network.onnx")  # no other file is within its reach
        shutil.copyfile(path, alone)
        try:
            model = ov.Core().read_model(alone)
        except Exception as error:  # OpenVINO raises RuntimeError for whatever is wrong
            raise WeightsError(f"{path}: OpenVINO cannot read it: {_reason(error)}") from error
        if len(model.inputs) != 1 or len(model.outputs) != 1:
            raise WeightsError(
                f"{path}: has {len(model.inputs)} inputs and {len(model.outputs)} outputs"
            )
        first = part["layout"] == "channels_first"
        rank = len(part["shape"])
        shape = [None if d.is_dynamic else d.get_length() for d in model.input(0).partial_shape]
        last = [shape[0], *shape[2:], shape[1]] if first and len(shape) > 2 else shape
        fitting(path, last, part)
        wanted = [1, *(-1 if n is None else n for n in part["shape"])]
        try:
            to_own = [0, rank, *range(1, rank)] if first else list(range(rank + 1))
            model.reshape([wanted[axis] for axis in to_own])
            old = model.input(0).get_node()
            image = ops.parameter(wanted, np.float32, name="image")
            seen: Any = ops.transpose(image, to_own) if first else image
            if old.get_element_type() != ov.Type.f32:
                seen = ops.convert(seen, old.get_element_type())
            for target in old.output(0).get_target_inputs():
                target.replace_source_output(seen.output(0))
            found: Any = ops.convert(model.output(0).get_node().input_value(0), ov.Type.f32)
            if first:
                found = ops.transpose(found, [0, *range(2, rank + 1), 1])
            if part["logits"]:
                softmax = part["activation"] == "softmax"
                found = ops.softmax(found, axis=rank) if softmax else ops.sigmoid(found)
            whole = ov.Model([ops.result(found)], [image], part["name"])
            ov.save_model(whole, ir, compress_to_fp16=False)
        except RuntimeError as error:
            raise WeightsError(
                f"{path}: OpenVINO cannot bring it to the shape {wanted}: {_reason(error)}"
            ) from error


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:400]
