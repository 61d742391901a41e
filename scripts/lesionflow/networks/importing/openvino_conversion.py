"""Conversion of a SavedModel to an OpenVINO network."""

from pathlib import Path

from lesionflow.networks.importing.upsampling_openvino import without_upsampling


def convert_to_openvino(saved_model: Path, shape: tuple[int | None, ...], ir: Path) -> None:
    """Convert a SavedModel to an OpenVINO network in float32, with an input of this shape.

    If the shape is fixed, convolutions of upsampled maps are replaced (``upsampling_openvino``).

    OpenVINO's core reads the folder directly. Its ``convert_model`` gives the same network but takes some
    seconds longer, silences the root logger, and reports its use over the network.

    Parameters
    ----------
    saved_model
        Folder of a SavedModel with one input.
    shape
        Shape of the input, batch included; None for a dimension of any size.
    ir
        The ``.xml`` file to write. The ``.bin`` file goes beside it.
    """
    import openvino as ov

    model = ov.Core().read_model(saved_model)
    model.reshape([-1 if n is None else n for n in shape])
    ov.save_model(without_upsampling(model), ir, compress_to_fp16=False)
