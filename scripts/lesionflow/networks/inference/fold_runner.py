"""Predict a scan with one fold.

Loaded folds stay loaded for the next call in the same process: a job makes one call, a shared process many, in
threads. Only one thread at a time computes.
"""

import json
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from lesionflow.base import json_sidecar
from lesionflow.base.errors import ConfigError, ScanError, WeightsError
from lesionflow.networks.imported_fold import (
    COMPILED,
    FILES_JSON,
    FOLD_JSON,
    OPENVINO,
    SAVED_MODEL,
    damaged_files,
)
from lesionflow.networks.inference.backends import (
    compiled_openvino,
    gpu_available,
    mixed_precision,
    narrow_instructions,
    tensorflow,
)
from lesionflow.networks.inference.inferers import Network, whole_volume
from lesionflow.networks.inference.loaded_folds import Loaded, LoadedFolds

AXES = {3: "x, y, channel", 4: "x, y, z, channel"}  # of a network's input
ROUNDING = 1e-5  # by how much rounding may move a probability below 0 or above 1
LOADED_FOLDS = LoadedFolds()
_computing = threading.Lock()


def predict(
    folder: Path,
    image: np.ndarray,
    backend: str = "auto",
    device: str = "auto",
    precision: str = "float32",
    threads: int = 1,
    inferer: Callable[[Network, np.ndarray], np.ndarray] = whole_volume,
    xla: bool = False,
    memory_mb: float | None = None,
) -> tuple[np.ndarray, dict[str, str]]:
    """Predict an image with one fold; return the probabilities and how they were computed.

    Parameters
    ----------
    folder
        Folder of an imported fold (see ``networks.imported_fold``).
    image : array (x, y, z, channel), float32
        On the model's grid, and normalised as the card specifies.
    backend
        ``tensorflow``, ``openvino``, or ``auto``: TensorFlow on a GPU; on the CPU OpenVINO, if the fold has an
        OpenVINO network.
    device
        ``cpu``, ``gpu``, or ``auto``: a GPU if TensorFlow finds one.
    precision
        ``float32``; ``bfloat16`` for OpenVINO on a CPU that supports it; ``float16`` for TensorFlow on a GPU
        (mixed precision, which keeps float32 where 16 bits are not enough). Otherwise float32 is used.
    threads
        Number of CPU threads.
    inferer
        How the network is applied to the image (``inferers.probability`` with a card). It is called with the
        network, as a function of a batch, and the image; by default the whole volume is predicted in one call.
    xla
        Whether TensorFlow compiles the network with XLA. OpenVINO always compiles it.
    memory_mb
        Memory of this process. Loaded folds are dropped if another one would exceed it.

    Returns
    -------
    probability : array (x, y, z, label), float32
        In [0, 1].
    computed_with : dict
        ``backend``, ``device`` and ``precision`` that were used.

    Raises
    ------
    ScanError
        If the image holds NaN or infinity.
    ConfigError
        If the device, the backend or the precision is not available.
    WeightsError
        If the image does not have the shape of the network's input, or the output is not a probability map.
    """
    fold = json_sidecar.read(folder / FOLD_JSON)
    if not np.isfinite(image).all():
        raise ScanError("the normalized image has NaN or infinite values")
    choice = choose_backend(folder, fold, backend, device)
    if choice["backend"] == "tensorflow":
        settings: dict[str, Any] = {"gpu": choice["device"] == "gpu", "xla": xla}
    else:
        settings = {"fixed": None not in fold["shape"]}
    key = json.dumps([str(folder), fold, choice, precision, threads, settings])

    def network(batch: np.ndarray) -> np.ndarray:
        expected = tuple(fold["shape"])
        actual = batch.shape[1:]
        if len(actual) != len(expected) or any(
            n not in (None, m) for n, m in zip(expected, actual, strict=True)
        ):
            raise WeightsError(
                f"fold {folder} takes images of ({AXES[len(expected)]}) {expected}, not {actual}"
            )
        return run(np.ascontiguousarray(batch, np.float32))

    def load() -> Loaded:
        check_files(folder, choice["backend"])
        if precision != "bfloat16":  # which Zen 4 computes with its 512-bit instructions
            narrow_instructions()
        load_fold = load_openvino if choice["backend"] == "openvino" else load_tensorflow
        return load_fold(folder, precision, threads, **settings)

    with _computing, LOADED_FOLDS.fold(key, load, memory_mb) as (run, precision_used):
        maps = inferer(network, np.asarray(image, np.float32))
    logging.info("predicted with %s on %s in %s", *choice.values(), precision_used())
    if precision_used() != precision:
        logging.warning(
            "precision %s is not available here; %s was used", precision, precision_used()
        )
    probability = checked(maps[None], (*image.shape[:3], fold["channels"]), folder)
    return probability, {**choice, "precision": precision_used()}


def check_files(folder: Path, backend: str) -> None:
    """Check that the files of a fold are those that its import wrote. A damaged fold is imported again by the next run.

    Parameters
    ----------
    folder
        Folder of an imported fold.
    backend
        The framework whose files are checked: ``openvino`` or ``tensorflow``.

    Raises
    ------
    WeightsError
        If a file is missing, or has another content.
    """
    of_openvino = Path(OPENVINO).stem
    damaged = damaged_files(
        folder,
        used=lambda name: (
            name == FOLD_JSON or (Path(name).stem == of_openvino) == (backend == "openvino")
        ),
    )
    if damaged:
        with suppress(OSError):  # a folder that cannot be written to is named in the message
            (folder / FILES_JSON).unlink(missing_ok=True)
        raise WeightsError(
            f"fold {folder} is damaged ({', '.join(damaged)}): run the same command again to import it again, or "
            "delete the folder if you may not write to it"
        )


def checked(output: np.ndarray, shape: tuple[int, ...], folder: Path) -> np.ndarray:
    """The output of a fold without the batch axis, after checking that it is a probability map of this shape.

    Raises
    ------
    WeightsError
        If it is not; the message names the fold.
    """
    if output.shape != (1, *shape):
        raise WeightsError(
            f"fold {folder} returned the shape {output.shape}, expected {(1, *shape)}"
        )
    if not np.isfinite(output).all():
        raise WeightsError(
            f"fold {folder} returned {np.sum(~np.isfinite(output))} values that are NaN or infinite"
        )
    if output.min() < -ROUNDING or output.max() > 1 + ROUNDING:
        raise WeightsError(
            f"fold {folder} returned values from {output.min():.3g} to {output.max():.3g}, which are not "
            "probabilities"
        )
    return np.clip(output[0], 0, 1).astype(np.float32)


def choose_backend(folder: Path, fold: dict[str, Any], backend: str, device: str) -> dict[str, str]:
    """Backend and device of a fold (the content of its fold.json), from those of the config.

    Raises
    ------
    ConfigError
        If the fold cannot run there.
    """
    if backend == "openvino" and device == "gpu":
        raise ConfigError(
            "backend openvino runs on the CPU: set device to cpu, or backend to tensorflow"
        )
    converted = fold["openvino"] is True and (folder / OPENVINO).is_file()
    if not (folder / SAVED_MODEL).is_file():  # imported from a format that TensorFlow cannot read
        if backend == "tensorflow" or device == "gpu" or not converted:
            raise ConfigError(
                f"fold {folder} ({fold['format']}) runs in OpenVINO on the CPU only: set backend to auto "
                "and device to auto or cpu"
            )
        return {"backend": "openvino", "device": "cpu"}
    if backend != "openvino" and device != "cpu" and gpu_available():
        return {"backend": "tensorflow", "device": "gpu"}
    if device == "gpu":
        raise ConfigError("device is gpu, but TensorFlow finds no GPU; device auto uses the CPU")
    if backend == "openvino" and not converted:
        raise ConfigError(
            f"backend openvino: fold {folder} has no OpenVINO network: {fold['openvino']}"
        )
    if backend == "auto" and not converted:
        logging.info("no OpenVINO network (%s): TensorFlow is used", fold["openvino"])
    framework = "openvino" if converted and backend != "tensorflow" else "tensorflow"
    return {"backend": framework, "device": "cpu"}


def load_openvino(folder: Path, precision: str, threads: int, fixed: bool) -> Loaded:
    """Load a fold in OpenVINO; ``fixed``: images have one size, for which the compiled network is cached."""
    compiled: dict[tuple[int, ...], Any] = {}
    cache = folder / COMPILED if fixed else None  # otherwise there would be one for each image size

    def run(batch: np.ndarray) -> np.ndarray:
        if batch.shape not in compiled:
            compiled.clear()  # one at a time, since a compiled network keeps its memory
            compiled[batch.shape] = compiled_openvino(
                folder / OPENVINO, precision, threads, batch.shape, cache
            )
        return np.array(compiled[batch.shape](batch)[0])

    def precision_used() -> str:
        hint = next(iter(compiled.values())).get_property("INFERENCE_PRECISION_HINT").to_string()
        return {"f32": "float32", "bf16": "bfloat16", "f16": "float16"}.get(hint, hint)

    return run, precision_used


def load_tensorflow(folder: Path, precision: str, threads: int, gpu: bool, xla: bool) -> Loaded:
    """Load a fold in TensorFlow."""
    tf = tensorflow(threads, gpu)
    mixed = gpu and precision == "float16"
    mixed_precision(tf, mixed)
    loaded = tf.saved_model.load(
        str(folder)
    )  # must stay referenced: its functions do not keep its variables
    serve = loaded.signatures["serving_default"]

    @tf.function(jit_compile=True)
    def serve_xla(image: Any) -> Any:
        return serve(image=image)["probability"]

    def run(batch: np.ndarray, keep: Any = loaded) -> np.ndarray:
        image = tf.constant(batch)
        output = serve_xla(image) if xla else serve(image=image)["probability"]
        return output.numpy()

    return run, lambda: "float16" if mixed else "float32"
