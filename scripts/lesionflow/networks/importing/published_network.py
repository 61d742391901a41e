"""Networks as they were published, of whatever format, as functions of a tensor."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lesionflow.base.errors import WeightsError
from lesionflow.cards.model_card import Card
from lesionflow.networks.architectures.registry import FORMATS as REBUILT
from lesionflow.networks.architectures.registry import rebuild
from lesionflow.networks.weights.keras_models import load_keras

Original = tuple[Callable[[Any], Any], int | None, Any]


def original(tf: Any, part: Card, path: Path) -> Original:
    """A published network, as one that takes and returns channels last.

    Parameters
    ----------
    tf
        TensorFlow.
    part
        ``model_card.import_part`` of its card.
    path
        Its weights.

    Returns
    -------
    network
        Maps a tensor (batch, ..., channel) to probabilities, with the card's activation applied where
        the published network ends before it.
    batch
        The batch size that it asks for; None: any.
    keep
        What the network needs to live.

    Raises
    ------
    WeightsError
        If it cannot be loaded, has more than one input or output, or takes another shape than the card says.
    """
    load = _saved_model if part["format"] == "savedmodel" else _keras
    network, declared, keep = load(tf, part, path)
    rank = len(part["shape"])
    if part["layout"] == "channels_first":
        declared = [declared[0], *declared[2:], declared[1]] if len(declared) > 2 else declared
    batch = fitting(path, declared, part)

    def whole(x: Any) -> Any:
        if part["layout"] == "channels_first":
            x = tf.transpose(x, [0, rank, *range(1, rank)])
        found = tf.cast(network(x), tf.float32)
        if part["layout"] == "channels_first":
            found = tf.transpose(found, [0, *range(2, rank + 1), 1])
        if part["logits"]:
            found = tf.sigmoid(found) if part["activation"] == "sigmoid" else tf.nn.softmax(found)
        return found

    return whole, batch, keep


def _saved_model(tf: Any, part: Card, path: Path) -> tuple[Callable[[Any], Any], list, Any]:
    try:
        loaded = tf.saved_model.load(str(path))
    except Exception as error:  # TensorFlow raises many kinds for a damaged folder
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
    (key, spec), out = next(iter(inputs.items())), next(iter(outputs))
    declared, dtype = spec.shape.as_list() if spec.shape.rank else [], spec.dtype

    def signature(x: Any) -> Any:
        return call(**{key: tf.cast(x, dtype)})[out]

    return signature, declared, loaded


def _keras(tf: Any, part: Card, path: Path) -> tuple[Callable[[Any], Any], list, Any]:
    if part["format"] in REBUILT:
        model = rebuild(part, path)
    else:
        model = load_keras(path, trusted=part["weights"]["md5"] is not None)
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise WeightsError(
            f"{path}: has {len(model.inputs)} inputs and {len(model.outputs)} outputs"
        )
    variables = [getattr(variable, "value", variable) for variable in model.variables]
    keep = [v for v in variables if isinstance(v, tf.Variable)] or list(model.variables)
    return lambda x: model(x, training=False), list(model.inputs[0].shape), keep


def fitting(path: Path, declared: list[int | None], part: Card) -> int | None:
    """The batch size that a network asks for, if the rest of its input is what the card says.

    Raises
    ------
    WeightsError
        If it is not.
    """
    wanted = tuple(part["shape"])
    fits = len(declared) == len(wanted) + 1 and all(
        have in (None, want) for have, want in zip(declared[1:], wanted, strict=True)
    )
    if fits and declared[0] not in (None, 1):
        raise WeightsError(
            f"{path}: the network takes batches of {declared[0]} images only: save it with a batch of 1, or of any size"
        )
    if not fits:
        axes = "x, y, z" if len(wanted) == 4 else "x, y"
        raise WeightsError(
            f"{path}: the network takes {tuple(declared)} (batch, {axes}, channel), but the card's "
            f"input says {wanted} (None: any size)"
        )
    return declared[0]
