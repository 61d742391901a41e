"""Imported folds: every foreign format turned once into the one kind of network that predicts.

A fold is a folder with a TensorFlow SavedModel whose signature ``serving_default`` maps ``image``, float32
(batch, x, y, z, channel), to ``probability``, float32 (batch, x, y, z, label); the same network for
OpenVINO where OpenVINO converts it and agrees; and ``fold.json``, which says what it is.
"""

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from lesionflow import facts
from lesionflow.archives import WeightsError
from lesionflow.cards import Card
from lesionflow.frameworks import compiled_openvino, convert_to_openvino, tensorflow
from lesionflow.keras_files import load_keras

SAME = 1e-5  # how far the imported fold may be from the original, in probability
IR = "openvino.xml"


def write_fold(
    part: Card,
    path: Path,
    digests: dict[str, str],
    folder: Path,
    threads: int = 0,
    code: str = "",
) -> None:
    """Import one fold's weights, and hold the result against the original on a random volume.

    Parameters
    ----------
    part
        ``cards.import_part`` of the card.
    path
        The weights on disk, their hashes already checked.
    digests
        Their ``md5`` and ``sha256``.
    folder
        Where the fold goes; whatever was there is replaced, once the new one is whole.
    threads
        Of the CPU.
    code
        Mark of the code that imports, to be kept with the fold.

    Raises
    ------
    WeightsError
        If the weights cannot be loaded, or the network is not the one that the card describes.
    """
    tf = tensorflow(threads)
    network, batch, keep = _load(tf, part, path)
    shape = tuple(part["shape"])
    volume = random_volume(shape)[None]
    original = tf.function(network)  # as a graph: eager Keras takes three times the memory and time
    expected = _checked(original(tf.constant(volume)).numpy(), part)
    with _replaced(folder) as partial:
        _export(tf, network, (batch, *shape), keep, partial)
        again = tf.saved_model.load(str(partial))
        found = again.signatures["serving_default"](image=tf.constant(volume))[
            "probability"
        ].numpy()
        apart = float(np.abs(found - expected).max())
        logging.info("imported fold and original differ by at most %.2g", apart)
        if not apart <= SAME:
            raise WeightsError(
                f"{path}: the imported fold differs from the original by {apart:.2g}"
            )
        problem = _convert_to_openvino(partial, volume, expected, part["tolerance"], threads)
        if problem:
            logging.warning("no OpenVINO network: %s; TensorFlow will predict", problem)
        facts.write(
            partial / "fold.json",
            {
                "card": part["name"],
                "version": part["version"],
                "fold": part["fold"],
                "weights": part["weights"]["path"],
                "format": part["format"],
                "md5": digests["md5"],
                "weights_sha256": digests["sha256"],
                "archive_sha256": part["source"]["sha256"],
                "shape": list(shape),
                "channels": part["channels"],
                "activation": part["activation"],
                "tolerance": part["tolerance"],
                "openvino": problem or True,
                "code": code,
            },
        )


def random_volume(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Random intensities in [0, 1] with structure of every size, as a scan has and noise has not.

    White noise averages out on a network's way down; what is left is a small difference of large
    numbers, and says more about arithmetic than about the network.

    Parameters
    ----------
    shape
        (x, y, z, channel).
    seed
        The same one gives the same volume.

    Returns
    -------
    array (x, y, z, channel), float32
        Mean of random blocks with sides of 1, 2, 4, ... voxels, from 0 to 1.
    """
    rng = np.random.default_rng(seed)
    total, side = np.zeros(shape, np.float32), 1
    while side < 2 * max(shape[:3]):
        blocks = rng.random((*(-(-n // side) for n in shape[:3]), shape[3]), np.float32)
        for axis in range(3):
            blocks = blocks.repeat(side, axis).take(range(shape[axis]), axis)
        total += blocks
        side *= 2
    total -= total.min()
    return total / total.max()


def _load(tf: Any, part: Card, path: Path) -> tuple[Callable[[Any], Any], int | None, Any]:
    """The network as a function of a tensor, its batch size (None: any), and what it needs to live."""
    if part["format"] == "savedmodel":
        try:
            loaded = tf.saved_model.load(str(path))
        except Exception as error:  # TensorFlow raises many kinds for a damaged folder
            reason = " ".join(str(error).split())[:400]
            raise WeightsError(
                f"{path}: TensorFlow cannot load the SavedModel: {reason}"
            ) from error
        signatures = loaded.signatures
        name = "serving_default" if "serving_default" in signatures else "serve"
        if name not in signatures:
            raise WeightsError(
                f"{path}: has no signature serving_default, only {sorted(signatures)}"
            )
        call = signatures[name]
        inputs, outputs = call.structured_input_signature[1], call.structured_outputs
        if len(inputs) != 1 or len(outputs) != 1:
            raise WeightsError(
                f"{path}: one input and one output are needed, not {sorted(inputs)} and {sorted(outputs)}"
            )
        (key, spec), out = next(iter(inputs.items())), next(iter(outputs))
        declared, dtype = spec.shape.as_list() if spec.shape.rank else [], spec.dtype

        def signature(x: Any) -> Any:
            return tf.cast(call(**{key: tf.cast(x, dtype)})[out], tf.float32)

        return signature, _fitting(path, declared, part), loaded
    model = load_keras(path, trusted=part["weights"]["md5"] is not None)
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise WeightsError(
            f"{path}: has {len(model.inputs)} inputs and {len(model.outputs)} outputs"
        )

    def network(x: Any) -> Any:
        return tf.cast(model(x, training=False), tf.float32)

    variables = [getattr(variable, "value", variable) for variable in model.variables]
    keep = [v for v in variables if isinstance(v, tf.Variable)] or list(model.variables)
    return network, _fitting(path, list(model.inputs[0].shape), part), keep


def _fitting(path: Path, declared: list[int | None], part: Card) -> int | None:
    """The batch size that the network asks for, if the rest of its input is what the card says."""
    wanted = tuple(part["shape"])
    fits = len(declared) == 5 and all(
        have in (None, want) for have, want in zip(declared[1:], wanted, strict=True)
    )
    if not fits or declared[0] not in (None, 1):
        raise WeightsError(
            f"{path}: the network takes {tuple(declared)} (batch, x, y, z, channel), but the card's "
            f"input.shape and input.channels say {wanted}"
        )
    return declared[0]


def _checked(probability: np.ndarray, part: Card) -> np.ndarray:
    """What the network returns for a volume, if it is what the card says."""
    name, wanted = (
        f"model {part['name']}, fold {part['fold']}",
        (1, *part["shape"][:3], part["channels"]),
    )
    if probability.shape != wanted:
        raise WeightsError(
            f"{name}: the network returns {probability.shape}, but the card's shape and labels "
            f"({part['activation']}) need {wanted} (batch, x, y, z, channel)"
        )
    if not (probability.min() >= 0 and probability.max() <= 1 + 1e-5):  # NaN fails as well
        raise WeightsError(
            f"{name}: the network returns {probability.min():.3g} to {probability.max():.3g}, which are "
            "no probabilities: does it end before its activation?"
        )
    if part["activation"] == "softmax" and np.abs(probability.sum(-1) - 1).max() > 1e-3:
        raise WeightsError(
            f"{name}: its channels do not sum to 1, so output.activation is not softmax"
        )
    return probability


def _export(
    tf: Any,
    network: Callable[[Any], Any],
    shape: tuple[int | None, ...],
    keep: Any,
    folder: Path,
) -> None:
    module = tf.Module()
    module.keep = keep  # TensorFlow saves the variables that hang on the module

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32, name="image")])
    def serve(image: Any) -> dict[str, Any]:
        return {"probability": tf.identity(network(image), name="probability")}

    module.serve = serve
    tf.saved_model.save(module, str(folder), signatures={"serving_default": serve})


def _convert_to_openvino(
    folder: Path, volume: np.ndarray, expected: np.ndarray, tolerance: float, threads: int
) -> str:
    """Put the fold's network for OpenVINO beside it; returns why not, or nothing."""
    problem = ""
    try:
        convert_to_openvino(folder, volume.shape, folder / IR)
        found = compiled_openvino(folder / IR, "float32", threads)(volume)[0]
        apart = float(np.abs(found - expected).max()) if found.shape == expected.shape else np.inf
        logging.info("OpenVINO and TensorFlow differ by at most %.2g", apart)
        if not apart <= tolerance:
            problem = f"OpenVINO and TensorFlow differ by more than {tolerance:g}"
    except Exception as error:  # any operation that OpenVINO lacks
        logging.info("OpenVINO: %s", error)
        problem = f"OpenVINO cannot convert it ({type(error).__name__})"
    if problem:
        for suffix in (".xml", ".bin"):
            (folder / IR).with_suffix(suffix).unlink(missing_ok=True)
    return problem


@contextmanager
def _replaced(folder: Path) -> Iterator[Path]:
    """Folder to fill, put in the place of ``folder`` once the block ends without an error."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial, old = (folder.with_name(f".{os.getpid()}-{w}-{folder.name}") for w in ("new", "old"))
    try:
        for leftover in (partial, old):
            shutil.rmtree(leftover, ignore_errors=True)
        partial.mkdir()
        yield partial
        if folder.exists():
            folder.replace(old)
        partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
