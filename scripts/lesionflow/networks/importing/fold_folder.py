"""Imported folds: every foreign format turned once into the one kind of network that predicts.

A fold is a folder with a TensorFlow SavedModel whose signature ``serving_default`` maps ``image``, float32
(batch, x, y, z, channel), of 2-D networks (batch, x, y, channel), to ``probability``, float32, with the
labels in the channel's place; the same network for OpenVINO where OpenVINO converts it and agrees; and
``fold.json``, which says what it is. Of an ONNX file there is OpenVINO's network only.
"""

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from lesionflow.base import json_sidecar
from lesionflow.base.errors import WeightsError
from lesionflow.cards.fold_spec import SAID
from lesionflow.cards.model_card import Card
from lesionflow.networks.importing.constant_folding import fold_constants
from lesionflow.networks.importing.onnx import convert_onnx
from lesionflow.networks.importing.openvino_conversion import convert_to_openvino
from lesionflow.networks.importing.published_network import original
from lesionflow.networks.inference.backends import compiled_openvino, tensorflow
from lesionflow.networks.inference.random_volume import random_volume

SAME = 1e-5  # how far the imported fold may be from the original, in probability
ROUNDING = 1e-4  # how much between two computations of a network may be put down to float32
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
        ``model_card.import_part`` of the card.
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
    volume = random_volume(check_shape(part))[None]
    with _replaced(folder) as partial:
        if part["format"] == "onnx":
            problem = _write_onnx(part, path, volume, partial, threads)
        else:
            problem = _write_tensorflow(part, path, volume, partial, threads)
        json_sidecar.write(
            partial / "fold.json",
            {
                "card": part["name"],
                **{key: part[key] for key in SAID},
                "weights": part["weights"]["path"],
                "md5": digests["md5"],
                "weights_sha256": digests["sha256"],
                "archive_sha256": part["source"]["sha256"],
                "openvino": problem or True,
                "code": code,
            },
        )


def check_shape(part: Card) -> tuple[int, ...]:
    """Shape (x, y, z, channel), or (x, y, channel), of the image that an import is checked with.

    Where the network takes any size: two of the sides that it can divide, at least 32 voxels.
    """
    free = max(2 * part["multiple_of"], 32)
    return tuple(free if n is None else n for n in part["shape"])


def _write_tensorflow(
    part: Card, path: Path, volume: np.ndarray, folder: Path, threads: int
) -> str:
    """A SavedModel in ``folder``, and OpenVINO's network beside it; returns why that is not there."""
    tf = tensorflow(threads)
    network, batch, keep = original(tf, part, path)
    graph = tf.function(network)  # eager Keras takes three times the memory and time
    expected = _checked(graph(tf.constant(volume)).numpy(), part, volume.shape)
    serve = _serving(tf, network, (batch, *part["shape"]))
    apart, rounding = np.inf, 0.0
    if folded := fold_constants(tf, serve):
        apart = rounding = _exported(tf, *folded, folder, volume, expected)
    if not apart <= SAME:
        apart = _exported(tf, serve, keep, folder, volume, expected)
    if not apart <= SAME:
        raise WeightsError(f"{path}: the imported fold differs from the original by {apart:.2g}")
    tolerance = part["tolerance"]
    if SAME < rounding <= ROUNDING:  # float32 says no more: TensorFlow's own two ways differ
        tolerance = max(tolerance, min(2 * rounding, ROUNDING))
    problem = _convert_to_openvino(folder, volume, expected, part["shape"], tolerance, threads)
    if problem:
        logging.warning("no OpenVINO network: %s; TensorFlow will predict", problem)
    return problem


def _write_onnx(part: Card, path: Path, volume: np.ndarray, folder: Path, threads: int) -> str:
    convert_onnx(part, path, folder / IR)
    network = compiled_openvino(folder / IR, "float32", threads, volume.shape)
    _checked(np.array(network(volume)[0]), part, volume.shape)
    return ""


def _checked(probability: np.ndarray, part: Card, seen: tuple[int, ...]) -> np.ndarray:
    """What the network returns for a volume of the shape ``seen``, if it is what the card says."""
    name = f"model {part['name']}, fold {part['fold']}"
    wanted = (*seen[:-1], part["channels"])
    fits = probability.shape == wanted
    if part["view"] == "tiles" and probability.ndim == len(wanted):
        lost = np.subtract(wanted, probability.shape)  # without padding, as much on either side
        fits = lost[0] == lost[-1] == 0 and bool((lost >= 0).all() and (lost % 2 == 0).all())
    if not fits:
        raise WeightsError(
            f"{name}: the network returns {probability.shape}, but the card's shape and labels "
            f"({part['activation']}) need {wanted} (batch, x, y, z, channel)"
        )
    if not (probability.min() >= 0 and probability.max() <= 1 + 1e-5):  # NaN fails as well
        raise WeightsError(
            f"{name}: the network returns {probability.min():.3g} to {probability.max():.3g}, which are "
            "no probabilities: if it ends before its activation, say output.logits: true"
        )
    if part["activation"] == "softmax" and np.abs(probability.sum(-1) - 1).max() > 1e-3:
        raise WeightsError(
            f"{name}: its channels do not sum to 1, so output.activation is not softmax"
        )
    return probability


def _serving(tf: Any, network: Callable[[Any], Any], shape: tuple[int | None, ...]) -> Any:
    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32, name="image")])
    def serve(image: Any) -> dict[str, Any]:
        return {"probability": tf.identity(network(image), name="probability")}

    return serve


def _exported(
    tf: Any, serve: Any, keep: Any, folder: Path, volume: np.ndarray, expected: np.ndarray
) -> float:
    """How far the function, saved and loaded again, is from what is expected of it."""
    module = tf.Module()
    module.serve = serve
    module.keep = keep  # TensorFlow saves the variables that hang on the module
    tf.saved_model.save(module, str(folder), signatures={"serving_default": serve})
    again = tf.saved_model.load(str(folder))
    found = again.signatures["serving_default"](image=tf.constant(volume))["probability"].numpy()
    apart = float(np.abs(found - expected).max())
    logging.info("imported fold and original differ by at most %.2g", apart)
    return apart


def _convert_to_openvino(
    folder: Path,
    volume: np.ndarray,
    expected: np.ndarray,
    shape: tuple[int | None, ...],
    tolerance: float,
    threads: int,
) -> str:
    """Put the fold's network for OpenVINO beside it; returns why not, or nothing."""
    problem = ""
    try:
        convert_to_openvino(folder, (1, *shape), folder / IR)
        found = compiled_openvino(folder / IR, "float32", threads, volume.shape)(volume)[0]
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
