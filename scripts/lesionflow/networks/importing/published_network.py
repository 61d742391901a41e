"""Load published networks of any format as functions of a tensor."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lesionflow.base.errors import WeightsError
from lesionflow.cards.fold_spec import FoldSpec
from lesionflow.networks.architectures.registry import FORMATS as REBUILT_FORMATS
from lesionflow.networks.architectures.registry import rebuild
from lesionflow.networks.weights.keras_models import load_keras

PublishedNetwork = tuple[Callable[[Any], Any], int | None, Any]


def load_published(tf: Any, spec: FoldSpec, path: Path) -> PublishedNetwork:
    """Load a published network as a function that takes and returns tensors with channels last.

    Parameters
    ----------
    tf
        TensorFlow.
    spec
        The fold.
    path
        Its weights.

    Returns
    -------
    network
        Maps a tensor (batch, ..., channel) to probabilities. The card's activation is applied if the published
        network returns logits.
    batch
        The batch size that it requires; None for any.
    keep
        Object that must stay referenced, since it holds the network's variables.

    Raises
    ------
    WeightsError
        If it cannot be loaded, has more than one input or output, or its input shape is not the card's.
    """
    load = _saved_model if spec.format == "savedmodel" else _keras
    network, declared, keep = load(tf, spec, path)
    rank = len(spec.shape)
    if spec.layout == "channels_first":
        declared = [declared[0], *declared[2:], declared[1]] if len(declared) > 2 else declared
    batch = checked_batch_size(path, declared, spec)

    def network_channels_last(x: Any) -> Any:
        if spec.layout == "channels_first":
            x = tf.transpose(x, [0, rank, *range(1, rank)])
        output = tf.cast(network(x), tf.float32)
        if spec.layout == "channels_first":
            output = tf.transpose(output, [0, *range(2, rank + 1), 1])
        if spec.logits:
            sigmoid = spec.activation == "sigmoid"
            output = tf.sigmoid(output) if sigmoid else tf.nn.softmax(output)
        return output

    return network_channels_last, batch, keep


def _saved_model(tf: Any, spec: FoldSpec, path: Path) -> tuple[Callable[[Any], Any], list, Any]:
    try:
        loaded = tf.saved_model.load(str(path))
    except Exception as error:  # TensorFlow raises exceptions of many types for a damaged folder
        reason = " ".join(str(error).split())[:400]
        raise WeightsError(f"{path}: TensorFlow cannot load the SavedModel: {reason}") from error
    signatures = loaded.signatures
    name = "serving_default" if "serving_default" in signatures else "serve"
    if name not in signatures:
        raise WeightsError(f"{path}: has no signature serving_default, only {sorted(signatures)}")
    call = signatures[name]
    inputs, outputs = call.structured_input_signature[1], call.structured_outputs
    if len(inputs) != 1 or len(outputs) != 1:
        raise WeightsError(
            f"{path}: one input and one output are needed, not {sorted(inputs)} and {sorted(outputs)}"
        )
    (key, tensor), output_key = next(iter(inputs.items())), next(iter(outputs))
    declared, dtype = tensor.shape.as_list() if tensor.shape.rank else [], tensor.dtype

    def signature(x: Any) -> Any:
        return call(**{key: tf.cast(x, dtype)})[output_key]

    return signature, declared, loaded


def _keras(tf: Any, spec: FoldSpec, path: Path) -> tuple[Callable[[Any], Any], list, Any]:
    if spec.format in REBUILT_FORMATS:
        model = rebuild(spec, path)
    else:
        model = load_keras(path, trusted=spec.weights["md5"] is not None)
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise WeightsError(
            f"{path}: has {len(model.inputs)} inputs and {len(model.outputs)} outputs"
        )
    variables = [getattr(variable, "value", variable) for variable in model.variables]
    keep = [v for v in variables if isinstance(v, tf.Variable)] or list(model.variables)
    return lambda x: model(x, training=False), list(model.inputs[0].shape), keep


def checked_batch_size(path: Path, declared: list[int | None], spec: FoldSpec) -> int | None:
    """The batch size that a network requires (None for any), after comparing its input shape with the card's.

    Raises
    ------
    WeightsError
        If the shape is another one, or the batch size is not 1.
    """
    shape = tuple(spec.shape)
    fits = len(declared) == len(shape) + 1 and all(
        have in (None, expected) for have, expected in zip(declared[1:], shape, strict=True)
    )
    if fits and declared[0] not in (None, 1):
        raise WeightsError(
            f"{path}: the network takes batches of {declared[0]} images only: save it with a batch of 1, or of any size"
        )
    if not fits:
        axes = "x, y, z" if len(shape) == 4 else "x, y"
        raise WeightsError(
            f"{path}: the network takes {tuple(declared)} (batch, {axes}, channel), but the card's "
            f"input says {shape} (None: any size)"
        )
    return declared[0]
