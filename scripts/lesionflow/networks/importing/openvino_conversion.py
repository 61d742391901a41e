"""From a SavedModel to OpenVINO's network."""

from pathlib import Path

from lesionflow.networks.importing.upsampling_openvino import without_upsampling


def convert_to_openvino(saved_model: Path, shape: tuple[int | None, ...], ir: Path) -> None:
    """Write a SavedModel as an OpenVINO network in float32, its input of this shape.

    Where its shapes are fixed it makes no upsampled maps (``upsampling``).

    OpenVINO's core reads the folder by itself. Its ``convert_model`` would do the same some seconds
    slower, silence the root logger, and report its use over the network.

    Parameters
    ----------
    saved_model
        Folder of a SavedModel with one input.
    shape
        Of the input, the batch included; None: any.
    ir
        The ``.xml`` file to write, the ``.bin`` beside it.
    """
    import openvino as ov

    model = ov.Core().read_model(saved_model)
    model.reshape([-1 if n is None else n for n in shape])
    ov.save_model(without_upsampling(model), ir, compress_to_fp16=False)
