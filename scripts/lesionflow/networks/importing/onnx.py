"""Import of ONNX files, which OpenVINO can read and TensorFlow cannot."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from lesionflow.base.errors import WeightsError
from lesionflow.base.leftovers import process_folder, temporary_folder
from lesionflow.cards.fold_spec import FoldSpec
from lesionflow.networks.importing.published_network import checked_batch_size


def convert_onnx(spec: FoldSpec, path: Path, ir: Path) -> None:
    """Convert an ONNX network to an OpenVINO network in float32, with channels last and its final activation.

    Parameters
    ----------
    spec
        The fold.
    path
        The ``.onnx`` file. It must contain its weights: the card's hash is that of this file alone.
    ir
        The ``.xml`` file to write. The ``.bin`` file goes beside it.

    Raises
    ------
    WeightsError
        If the file cannot be read, has more than one input or output, or its input shape is not the card's.
    """
    import openvino as ov
    import openvino.opset13 as ops

    with temporary_folder(process_folder(), "weights") as folder:
        copy = Path(folder, "network.onnx")  # apart from other files, which it could refer to
        shutil.copyfile(path, copy)
        try:
            model = ov.Core().read_model(copy)
        except Exception as error:  # OpenVINO raises RuntimeError for any problem
            raise WeightsError(f"{path}: OpenVINO cannot read it: {_reason(error)}") from error
        if len(model.inputs) != 1 or len(model.outputs) != 1:
            raise WeightsError(
                f"{path}: has {len(model.inputs)} inputs and {len(model.outputs)} outputs"
            )
        channels_first = spec.layout == "channels_first"
        rank = len(spec.shape)
        shape = [None if d.is_dynamic else d.get_length() for d in model.input(0).partial_shape]
        declared = [shape[0], *shape[2:], shape[1]] if channels_first and len(shape) > 2 else shape
        checked_batch_size(path, declared, spec)
        input_shape = [1, *(-1 if n is None else n for n in spec.shape)]
        try:
            axes = [0, rank, *range(1, rank)] if channels_first else list(range(rank + 1))
            model.reshape([input_shape[axis] for axis in axes])
            parameter = model.input(0).get_node()
            image = ops.parameter(input_shape, np.float32, name="image")
            network_input: Any = ops.transpose(image, axes) if channels_first else image
            if parameter.get_element_type() != ov.Type.f32:
                network_input = ops.convert(network_input, parameter.get_element_type())
            for target in parameter.output(0).get_target_inputs():
                target.replace_source_output(network_input.output(0))
            output: Any = ops.convert(model.output(0).get_node().input_value(0), ov.Type.f32)
            if channels_first:
                output = ops.transpose(output, [0, *range(2, rank + 1), 1])
            if spec.logits:
                softmax = spec.activation == "softmax"
                output = ops.softmax(output, axis=rank) if softmax else ops.sigmoid(output)
            converted = ov.Model([ops.result(output)], [image], spec.name)
            ov.save_model(converted, ir, compress_to_fp16=False)
        except RuntimeError as error:
            raise WeightsError(
                f"{path}: OpenVINO cannot reshape it to {input_shape}: {_reason(error)}"
            ) from error


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:400]
