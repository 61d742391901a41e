"""One fold of a network on one scan."""

import logging
from pathlib import Path
from typing import Any

import numpy as np

from lesionflow import facts
from lesionflow.frameworks import compiled_openvino, gpu_seen, tensorflow

IR = "openvino.xml"
ROUNDING = 1e-5  # by how much arithmetic may carry a probability over 0 or 1


def predict(
    folder: Path,
    image: np.ndarray,
    backend: str = "auto",
    device: str = "auto",
    precision: str = "float32",
    threads: int = 1,
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
        ``float32``, or ``bfloat16`` where OpenVINO runs on a CPU that has it; TensorFlow, and other
        CPUs, compute in float32.
    threads
        Of the CPU.

    Returns
    -------
    probability : array (x, y, z, label), float32
        In [0, 1].
    facts : dict
        ``backend``, ``device`` and ``precision`` that were used.

    Raises
    ------
    ValueError
        If the image has another shape than the network takes or holds values that are no numbers, if
        device or backend cannot be had, or if what the fold returns is not a probability map.
    """
    fold = facts.read(folder / "fold.json")
    shape = tuple(fold["shape"])
    if image.shape != shape:
        raise ValueError(
            f"fold {folder} takes images of (x, y, z, channel) {shape}, not {image.shape}"
        )
    if not np.isfinite(image).all():
        raise ValueError("the normalized image holds values that are no numbers")
    chosen = _choose(folder, fold, backend, device)
    batch = np.ascontiguousarray(image[None], np.float32)
    run = _run_openvino if chosen["backend"] == "openvino" else _run_tensorflow
    found, used = run(folder, batch, chosen["device"], precision, threads)
    logging.info("predicted with %s on %s in %s", *chosen.values(), used)
    if used != precision:
        logging.warning("%s was asked for, but neither TensorFlow nor this CPU has it", precision)
    probability = checked(found, (*shape[:3], fold["channels"]), folder)
    return probability, {**chosen, "precision": used}


def checked(found: np.ndarray, shape: tuple[int, ...], folder: Path) -> np.ndarray:
    """What a fold returned, without the batch axis, if it is a probability map of this shape.

    Raises
    ------
    ValueError
        Names the fold.
    """
    if found.shape != (1, *shape):
        raise ValueError(f"fold {folder} returned the shape {found.shape}, expected {(1, *shape)}")
    if not np.isfinite(found).all():
        raise ValueError(
            f"fold {folder} returned {np.sum(~np.isfinite(found))} values that are no numbers"
        )
    if found.min() < -ROUNDING or found.max() > 1 + ROUNDING:
        raise ValueError(
            f"fold {folder} returned values from {found.min():.3g} to {found.max():.3g}, which are no "
            "probabilities"
        )
    return np.clip(found[0], 0, 1).astype(np.float32)


def _choose(folder: Path, fold: dict[str, Any], backend: str, device: str) -> dict[str, str]:
    if backend == "openvino" and device == "gpu":
        raise ValueError("backend openvino runs on the CPU: take device cpu, or backend tensorflow")
    if backend != "openvino" and device != "cpu" and gpu_seen():
        return {"backend": "tensorflow", "device": "gpu"}
    if device == "gpu":
        raise ValueError(
            "device gpu was asked for, but TensorFlow sees no GPU; device auto takes the CPU"
        )
    converted = fold["openvino"] is True and (folder / IR).is_file()
    if backend == "openvino" and not converted:
        raise ValueError(
            f"backend openvino: fold {folder} has no network for it: {fold['openvino']}"
        )
    if backend == "auto" and not converted:
        logging.info("no network for OpenVINO (%s): TensorFlow predicts", fold["openvino"])
    use = "openvino" if converted and backend != "tensorflow" else "tensorflow"
    return {"backend": use, "device": "cpu"}


def _run_openvino(
    folder: Path, batch: np.ndarray, device: str, precision: str, threads: int
) -> tuple[np.ndarray, str]:
    network = compiled_openvino(folder / IR, precision, threads)
    used = network.get_property("INFERENCE_PRECISION_HINT").to_string()
    return np.array(network(batch)[0]), {"f32": "float32", "bf16": "bfloat16"}.get(used, used)


def _run_tensorflow(
    folder: Path, batch: np.ndarray, device: str, precision: str, threads: int
) -> tuple[np.ndarray, str]:
    tf = tensorflow(threads, gpu=device == "gpu")
    network = tf.saved_model.load(
        str(folder)
    )  # to be kept: its functions do not keep its variables
    found = network.signatures["serving_default"](image=tf.constant(batch))
    return found["probability"].numpy(), "float32"
