"""Write an imported fold (``networks.imported_fold``), and compare it with the published network."""

import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from lesionflow.base import json_sidecar
from lesionflow.base.digests import sha256_file
from lesionflow.base.errors import WeightsError
from lesionflow.base.leftovers import temporary_folder
from lesionflow.cards.fold_spec import FoldSpec
from lesionflow.networks.imported_fold import FILES_JSON, FOLD_JSON, OPENVINO, damaged_files
from lesionflow.networks.importing.constant_folding import fold_constants
from lesionflow.networks.importing.onnx import convert_onnx
from lesionflow.networks.importing.openvino_conversion import convert_to_openvino
from lesionflow.networks.importing.published_network import load_published
from lesionflow.networks.inference.backends import compiled_openvino, tensorflow
from lesionflow.networks.inference.random_volume import random_volume

# Largest allowed difference in probability between the imported fold and the published network.
MAX_DIFFERENCE = 1e-5
# Largest difference between two computations of a network that float32 rounding can explain.
MAX_ROUNDING = 1e-4


def write_fold(
    spec: FoldSpec,
    path: Path,
    digests: dict[str, str],
    folder: Path,
    threads: int = 0,
    code: str = "",
) -> None:
    """Import the weights of one fold, and compare the result with the published network on a random volume.

    Parameters
    ----------
    spec
        The fold.
    path
        The weights on disk, their hashes already checked.
    digests
        Their ``md5`` and ``sha256``.
    folder
        Folder of the imported fold. An existing one is kept if its files are those that were written, else replaced
        once the new one is complete.
    threads
        Number of CPU threads; 0 for all.
    code
        Digest of the code of the import, which ``fold.json`` records.

    Raises
    ------
    WeightsError
        If the weights cannot be loaded, or the network is not the one that the card describes.
    """
    if not damaged_files(folder):  # another run was faster
        return
    volume = random_volume(check_shape(spec))[None]
    with _replaced(folder) as partial:
        if spec.format == "onnx":
            problem = _write_onnx(spec, path, volume, partial, threads)
        else:
            problem = _write_tensorflow(spec, path, volume, partial, threads)
        json_sidecar.write(
            partial / FOLD_JSON,
            {
                "card": spec.name,
                **spec.recorded(),
                "weights": spec.weights["path"],
                "md5": digests["md5"],
                "weights_sha256": digests["sha256"],
                "archive_sha256": spec.source["sha256"],
                "openvino": problem or True,
                "code": code,
            },
        )
        written = sorted(p for p in partial.rglob("*") if p.is_file())
        names = {p.relative_to(partial).as_posix(): sha256_file(p) for p in written}
        json_sidecar.write(partial / FILES_JSON, names)


def check_shape(spec: FoldSpec) -> tuple[int, ...]:
    """Shape (x, y, z, channel), or (x, y, channel), of the image on which an import is compared.

    For a side of any size, twice the multiple that the network requires, and at least 32 voxels.
    """
    free = max(2 * spec.multiple_of, 32)
    return tuple(free if n is None else n for n in spec.shape)


def _write_tensorflow(
    spec: FoldSpec, path: Path, volume: np.ndarray, folder: Path, threads: int
) -> str:
    """Write a SavedModel and an OpenVINO network; return why there is no OpenVINO network, or an empty string."""
    tf = tensorflow(threads)
    network, batch, keep = load_published(tf, spec, path)
    graph = tf.function(network)  # eager Keras takes three times the memory and time
    expected = _checked(graph(tf.constant(volume)).numpy(), spec, volume.shape)
    serve = _serving(tf, network, (batch, *spec.shape))
    difference, rounding = np.inf, 0.0
    if folded := fold_constants(tf, serve):
        difference = rounding = _export(tf, *folded, folder, volume, expected)
    if not difference <= MAX_DIFFERENCE:
        difference = _export(tf, serve, keep, folder, volume, expected)
    if not difference <= MAX_DIFFERENCE:
        raise WeightsError(
            f"{path}: the imported fold differs from the published network by {difference:.2g}"
        )
    tolerance = spec.tolerance
    # If TensorFlow with and without constant folding differ by more, float32 is no more precise than that.
    if MAX_DIFFERENCE < rounding <= MAX_ROUNDING:
        tolerance = max(tolerance, min(2 * rounding, MAX_ROUNDING))
    problem = _write_openvino(folder, volume, expected, spec.shape, tolerance, threads)
    if problem:
        logging.warning("no OpenVINO network: %s; TensorFlow will be used", problem)
    return problem


def _write_onnx(spec: FoldSpec, path: Path, volume: np.ndarray, folder: Path, threads: int) -> str:
    convert_onnx(spec, path, folder / OPENVINO)
    network = compiled_openvino(folder / OPENVINO, "float32", threads, volume.shape)
    _checked(np.array(network(volume)[0]), spec, volume.shape)
    return ""


def _checked(probability: np.ndarray, spec: FoldSpec, input_shape: tuple[int, ...]) -> np.ndarray:
    """The output of a network for a volume of this shape, after comparing it with the card."""
    name = f"model {spec.name}, fold {spec.fold}"
    expected = (*input_shape[:-1], spec.channels)
    fits = probability.shape == expected
    if spec.view == "tiles" and probability.ndim == len(expected):
        # A network without padding loses the same number of voxels at both ends of an axis.
        lost = np.subtract(expected, probability.shape)
        fits = lost[0] == lost[-1] == 0 and bool((lost >= 0).all() and (lost % 2 == 0).all())
    if not fits:
        raise WeightsError(
            f"{name}: the network returns {probability.shape}, but the card's shape and labels "
            f"({spec.activation}) need {expected} (batch, x, y, z, channel)"
        )
    if not (probability.min() >= 0 and probability.max() <= 1 + 1e-5):  # also catches NaN
        raise WeightsError(
            f"{name}: the network returns values from {probability.min():.3g} to {probability.max():.3g}, "
            "which are not probabilities: if it returns logits, set output.logits: true"
        )
    if spec.activation == "softmax" and np.abs(probability.sum(-1) - 1).max() > 1e-3:
        raise WeightsError(
            f"{name}: its channels do not sum to 1, so output.activation is not softmax"
        )
    return probability


def _serving(tf: Any, network: Callable[[Any], Any], shape: tuple[int | None, ...]) -> Any:
    """``tf.function`` for the signature ``serving_default``."""

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32, name="image")])
    def serve(image: Any) -> dict[str, Any]:
        return {"probability": tf.identity(network(image), name="probability")}

    return serve


def _export(
    tf: Any, serve: Any, keep: Any, folder: Path, volume: np.ndarray, expected: np.ndarray
) -> float:
    """Save a function as a SavedModel, load it, and return the largest difference from the expected output."""
    module = tf.Module()
    module.serve = serve
    module.keep = keep  # TensorFlow saves only variables that the module refers to
    tf.saved_model.save(module, str(folder), signatures={"serving_default": serve})
    loaded = tf.saved_model.load(str(folder))
    output = loaded.signatures["serving_default"](image=tf.constant(volume))["probability"].numpy()
    difference = float(np.abs(output - expected).max())
    logging.info("imported fold and published network differ by at most %.2g", difference)
    return difference


def _write_openvino(
    folder: Path,
    volume: np.ndarray,
    expected: np.ndarray,
    shape: list[int | None],
    tolerance: float,
    threads: int,
) -> str:
    """Write the fold's OpenVINO network; return why there is none, or an empty string."""
    problem, ir = "", folder / OPENVINO
    try:
        convert_to_openvino(folder, (1, *shape), ir)
        output = compiled_openvino(ir, "float32", threads, volume.shape)(volume)[0]
        same_shape = output.shape == expected.shape
        difference = float(np.abs(output - expected).max()) if same_shape else np.inf
        logging.info("OpenVINO and TensorFlow differ by at most %.2g", difference)
        if not difference <= tolerance:
            problem = f"OpenVINO and TensorFlow differ by more than {tolerance:g}"
            _try_disk(folder)  # OpenVINO may write a part of a file without an error
    except Exception as error:  # e.g. an operation that OpenVINO does not have
        _raise_if_not_the_network(error, folder)
        logging.info("OpenVINO: %s", error)
        problem = f"OpenVINO cannot convert it ({type(error).__name__})"
    if problem:
        for suffix in (".xml", ".bin"):
            ir.with_suffix(suffix).unlink(missing_ok=True)
    return problem


@contextmanager
def _replaced(folder: Path) -> Iterator[Path]:
    """A new folder, which becomes ``folder`` if the block ends without an error.

    Several runs may import the same fold at the same time: the first import that is complete is kept.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with temporary_folder(folder.parent, "import") as partial:
        new = partial / "new"
        new.mkdir()
        yield new
        try:
            new.rename(folder)  # over nothing, or over the empty folder that Snakemake makes
        except OSError:
            if damaged_files(folder):
                folder.rename(partial / "old")
                new.rename(folder)


def _raise_if_not_the_network(error: Exception, folder: Path) -> None:
    """Raise again what says nothing of a network: a full disk, or too little memory.

    OpenVINO raises RuntimeError for everything, so the disk is tried with a file of the size of the network.

    Raises
    ------
    OSError, MemoryError
        If one of these is the reason.
    """
    if isinstance(error, (OSError, MemoryError)):
        raise error
    text = f"{type(error).__name__} {error}".lower()
    if any(
        words in text for words in ("bad_alloc", "resourceexhausted", "out of memory", "allocate")
    ):
        raise MemoryError(" ".join(str(error).split())[:300]) from error
    _try_disk(folder)


def _try_disk(folder: Path) -> None:
    """Raise OSError if the disk has no room for another file of the size of all those in a folder."""
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    with tempfile.TemporaryFile(dir=folder) as trial:
        trial.write(bytes(size))
        trial.flush()
        os.fsync(trial.fileno())
