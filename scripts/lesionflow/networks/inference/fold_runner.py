"""One fold of a network on one scan.

What was loaded stays loaded for the next call of this process: a job makes one call, a warm worker many, in
threads, of which one has the processor's threads or the GPU at a time.
"""

import json
import logging
import resource
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lesionflow.base import json_sidecar
from lesionflow.base.errors import ConfigError, ScanError, WeightsError
from lesionflow.networks.imported_fold import COMPILED, FOLD_JSON, OPENVINO, SAVED_MODEL
from lesionflow.networks.inference.backends import (
    compiled_openvino,
    gpu_seen,
    mixed_precision,
    narrow_instructions,
    tensorflow,
)
from lesionflow.networks.inference.inferers import Network, whole_volume

AXES = {3: "x, y, channel", 4: "x, y, z, channel"}  # of what a network takes
ROUNDING = 1e-5  # by how much arithmetic may carry a probability over 0 or 1
Loaded = tuple[Network, Callable[[], str]]  # a fold as a function, and the precision that it used
_loaded: dict[str, Loaded] = {}
_one_more_mb = 0.0  # what another fold is expected to take beside those that are loaded
_turn = threading.Lock()


def predict(
    folder: Path,
    image: np.ndarray,
    backend: str = "auto",
    device: str = "auto",
    precision: str = "float32",
    threads: int = 1,
    see: Callable[[Network, np.ndarray], np.ndarray] = whole_volume,
    xla: bool = False,
    memory_mb: float | None = None,
) -> tuple[np.ndarray, dict[str, str]]:
    """Probabilities of one fold, and what computed them.

    Parameters
    ----------
    folder
        An imported fold (see ``folds``).
    image : array (x, y, z, channel), float32
        On the model's grid, normalised as the card says.
    backend
        ``tensorflow``, ``openvino``, or ``auto``: TensorFlow on a GPU, and on the CPU OpenVINO where
        the fold has a network for it.
    device
        ``cpu``, ``gpu``, or ``auto``: a GPU where TensorFlow sees one.
    precision
        ``float32``; ``bfloat16`` where OpenVINO runs on a CPU that has it; ``float16`` where TensorFlow
        runs on a GPU (its mixed precision: float32 where 16 bits would harm). Elsewhere float32.
    threads
        Of the CPU.
    see
        How the network sees the image (``inferers.probability`` with a card): it is called with the network,
        as a function of a batch, and the image; by default the whole volume goes in at once.
    xla
        Whether TensorFlow compiles the network by XLA; OpenVINO compiles in any case.
    memory_mb
        Of this process: folds that were loaded before make room for another one.

    Returns
    -------
    probability : array (x, y, z, label), float32
        In [0, 1].
    facts : dict
        ``backend``, ``device`` and ``precision`` that were used.

    Raises
    ------
    ScanError
        If the image holds NaN or infinity.
    ConfigError
        If the device, the backend or the precision is not available.
    WeightsError
        If the image has another shape than the network takes, or what the fold returns is not a probability map.
    """
    fold = json_sidecar.read(folder / FOLD_JSON)
    if not np.isfinite(image).all():
        raise ScanError("the normalized image holds values that are no numbers")
    chosen = _choose(folder, fold, backend, device)
    if chosen["backend"] == "tensorflow":
        settings: dict[str, Any] = {"gpu": chosen["device"] == "gpu", "xla": xla}
    else:
        settings = {"fixed": None not in fold["shape"]}
    key = json.dumps([str(folder), fold, chosen, precision, threads, settings])

    def network(batch: np.ndarray) -> np.ndarray:
        wanted = tuple(fold["shape"])
        have = batch.shape[1:]
        if len(have) != len(wanted) or any(
            n not in (None, m) for n, m in zip(wanted, have, strict=True)
        ):
            raise WeightsError(
                f"fold {folder} takes images of ({AXES[len(wanted)]}) {wanted}, not {have}"
            )
        return run(np.ascontiguousarray(batch, np.float32))

    with _turn:
        if new := key not in _loaded:
            _make_room(memory_mb)
            before_mb = _resident_mb()
            if precision != "bfloat16":  # which Zen 4 has among its wide instructions
                narrow_instructions()
            make = _openvino if chosen["backend"] == "openvino" else _tensorflow
            _loaded[key] = make(folder, precision, threads, **settings)
        run, used = _loaded[key]
        found = see(network, np.asarray(image, np.float32))
        if new:
            _learn(_resident_mb() - before_mb)
    logging.info("predicted with %s on %s in %s", *chosen.values(), used())
    if used() != precision:
        logging.warning("%s was asked for, but neither TensorFlow nor this CPU has it", precision)
    probability = checked(found[None], (*image.shape[:3], fold["channels"]), folder)
    return probability, {**chosen, "precision": used()}


def checked(found: np.ndarray, shape: tuple[int, ...], folder: Path) -> np.ndarray:
    """What a fold returned, without the batch axis, if it is a probability map of this shape.

    Raises
    ------
    WeightsError
        Names the fold.
    """
    if found.shape != (1, *shape):
        raise WeightsError(
            f"fold {folder} returned the shape {found.shape}, expected {(1, *shape)}"
        )
    if not np.isfinite(found).all():
        raise WeightsError(
            f"fold {folder} returned {np.sum(~np.isfinite(found))} values that are no numbers"
        )
    if found.min() < -ROUNDING or found.max() > 1 + ROUNDING:
        raise WeightsError(
            f"fold {folder} returned values from {found.min():.3g} to {found.max():.3g}, which are no "
            "probabilities"
        )
    return np.clip(found[0], 0, 1).astype(np.float32)


def _choose(folder: Path, fold: dict[str, Any], backend: str, device: str) -> dict[str, str]:
    if backend == "openvino" and device == "gpu":
        raise ConfigError(
            "backend openvino runs on the CPU: take device cpu, or backend tensorflow"
        )
    converted = fold["openvino"] is True and (folder / OPENVINO).is_file()
    if not (folder / SAVED_MODEL).is_file():  # its format is one that TensorFlow cannot read
        if backend == "tensorflow" or device == "gpu" or not converted:
            raise ConfigError(
                f"fold {folder} ({fold['format']}) runs in OpenVINO on the CPU only: take backend auto "
                "and device auto or cpu"
            )
        return {"backend": "openvino", "device": "cpu"}
    if backend != "openvino" and device != "cpu" and gpu_seen():
        return {"backend": "tensorflow", "device": "gpu"}
    if device == "gpu":
        raise ConfigError(
            "device gpu was asked for, but TensorFlow sees no GPU; device auto takes the CPU"
        )
    if backend == "openvino" and not converted:
        raise ConfigError(
            f"backend openvino: fold {folder} has no network for it: {fold['openvino']}"
        )
    if backend == "auto" and not converted:
        logging.info("no network for OpenVINO (%s): TensorFlow predicts", fold["openvino"])
    use = "openvino" if converted and backend != "tensorflow" else "tensorflow"
    return {"backend": use, "device": "cpu"}


def _make_room(memory_mb: float | None) -> None:
    """Drop the folds that are loaded if one more is expected to need more than the memory."""
    if _loaded and memory_mb and _resident_mb() + _one_more_mb > memory_mb:
        _loaded.clear()


def _learn(grown_mb: float) -> None:
    """What loading and calling a fold took is what the next one takes; of a first one half.

    The first one's includes the framework, and with TensorFlow the memory of a call, which all folds share.
    """
    global _one_more_mb
    _one_more_mb = max(grown_mb if len(_loaded) > 1 else grown_mb / 2, 0)


def _resident_mb() -> float:
    """Memory that this process holds now."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:  # no Linux: there are no warm workers either
        return 0.0
    return pages * resource.getpagesize() / 1e6


def _openvino(folder: Path, precision: str, threads: int, fixed: bool) -> Loaded:
    compiled: dict[tuple[int, ...], Any] = {}
    kept = folder / COMPILED if fixed else None  # else there would be one for every size of image

    def run(batch: np.ndarray) -> np.ndarray:
        if batch.shape not in compiled:
            compiled.clear()  # one at a time: a compiled network holds its memory
            compiled[batch.shape] = compiled_openvino(
                folder / OPENVINO, precision, threads, batch.shape, kept
            )
        return np.array(compiled[batch.shape](batch)[0])

    def used() -> str:
        hint = next(iter(compiled.values())).get_property("INFERENCE_PRECISION_HINT").to_string()
        return {"f32": "float32", "bf16": "bfloat16", "f16": "float16"}.get(hint, hint)

    return run, used


def _tensorflow(folder: Path, precision: str, threads: int, gpu: bool, xla: bool) -> Loaded:
    tf = tensorflow(threads, gpu)
    mixed = gpu and precision == "float16"
    mixed_precision(tf, mixed)
    loaded = tf.saved_model.load(str(folder))  # to be kept: its functions do not keep its variables
    serve = loaded.signatures["serving_default"]

    @tf.function(jit_compile=True)
    def by_xla(image: Any) -> Any:
        return serve(image=image)["probability"]

    def run(batch: np.ndarray, keep: Any = loaded) -> np.ndarray:
        image = tf.constant(batch)
        found = by_xla(image) if xla else serve(image=image)["probability"]
        return found.numpy()

    return run, lambda: "float16" if mixed else "float32"
