"""TensorFlow and OpenVINO, imported where they are needed and set up the same way everywhere."""

import hashlib
import logging
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from lesionflow.base.atomic_write import whole

CPU_PROPERTIES = ("DEVICE_ARCHITECTURE", "OPTIMIZATION_CAPABILITIES")


def tensorflow(threads: int = 0, gpu: bool = False) -> Any:
    """The TensorFlow module, quiet, with float32 that is float32.

    Parameters
    ----------
    threads
        Of the CPU; 0 leaves the number to TensorFlow.
    gpu
        Whether it may use GPUs, taking their memory bit by bit. On them, matrix products are kept
        from TensorFloat-32, which would cost half of the digits.

    Notes
    -----
    Threads and GPUs cannot be changed once a process has computed something: a job sets them once.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault(
        "TF_ENABLE_ONEDNN_OPTS", "1"
    )  # off by default on some CPUs, and much faster
    import tensorflow as tf

    tf.get_logger().setLevel(logging.ERROR)
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        if threads:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
        if not gpu:
            tf.config.set_visible_devices([], "GPU")
        for device in tf.config.get_visible_devices("GPU"):
            tf.config.experimental.set_memory_growth(device, True)
    except RuntimeError as error:
        logging.debug("TensorFlow has begun to compute: %s", error)
    return tf


def narrow_instructions(about: Path = Path("/proc/cpuinfo")) -> None:
    """Have both frameworks compute with 256 bits at a time on AMD's Zen 4, before they compute at all.

    It does 512 bits as two halves, and a network with 8 maps fills one of them. With the published ResUNet's
    size OpenVINO took 0.91 of the time without, TensorFlow 0.81 (two cores, float32, medians of 24 and 12
    calls in turns). Zen 3, of the same family, has no such instructions. What the environment says holds.

    Parameters
    ----------
    about
        What Linux says of its processors.
    """
    if about.is_file() and re.search(r"AuthenticAMD\ncpu family\s*: 25\n", about.read_text()):
        os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")


def mixed_precision(tf: Any, on: bool) -> None:
    """Have TensorFlow compute in float16 on GPUs where it deems that safe, or nowhere.

    Its graph optimizer rewrites a network that was saved in float32 when it is first called.
    """
    tf.config.optimizer.set_experimental_options({"auto_mixed_precision": on})


def nvidia_device() -> bool:
    """Whether the system has an NVIDIA device; no framework is asked."""
    return any(Path("/dev").glob("nvidia[0-9]*"))


def gpu_seen() -> bool:
    """Whether TensorFlow sees a GPU; it is only asked where the system has an NVIDIA device."""
    if not nvidia_device():
        return False
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def compiled_openvino(
    ir: Path,
    precision: str = "float32",
    threads: int = 0,
    shape: tuple[int, ...] | None = None,
    kept: Path | None = None,
) -> Any:
    """An OpenVINO network, compiled for the CPU, or read as it was compiled before.

    Parameters
    ----------
    ir
        The ``.xml`` file, the ``.bin`` beside it.
    precision
        ``float32`` or ``bfloat16`` (said in either case: OpenVINO's own choice depends on the CPU).
    threads
        0 leaves the number to OpenVINO.
    shape
        Of the input, the batch included; needed where the network takes any.
    kept
        Folder to keep the compiled network in, under a name of all that it depends on: the network, the
        CPU, the version of OpenVINO and the settings. (OpenVINO's own cache writes under the final
        name, where other processes read.)
    """
    import openvino as ov

    types = {"float32": ov.Type.f32, "bfloat16": ov.Type.bf16}
    settings: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": types[precision],
        "PERFORMANCE_HINT": "LATENCY",
        # Else each process takes the first CPUs of the machine for its threads, though other workers have them.
        "ENABLE_CPU_PINNING": False,
    }
    if threads:
        settings["INFERENCE_NUM_THREADS"] = threads
    core = ov.Core()
    if kept is None:
        return _compiled(core, ir, settings, shape)
    about = [core.get_property("CPU", key) for key in ("FULL_DEVICE_NAME", *CPU_PROPERTIES)]
    digest = hashlib.sha256(ir.read_bytes())
    digest.update(repr([ov.__version__, about, precision, threads, shape]).encode())
    path = kept / f"{digest.hexdigest()[:16]}.blob"
    with suppress(OSError, RuntimeError):  # not there, or broken
        return core.import_model(path.read_bytes(), "CPU", settings)
    compiled = _compiled(core, ir, settings, shape)
    with suppress(OSError), whole(path) as partial:  # the folder may be another user's
        partial.write_bytes(compiled.export_model().getbuffer())
    return compiled


def _compiled(core: Any, ir: Path, settings: dict[str, Any], shape: tuple[int, ...] | None) -> Any:
    model = core.read_model(ir)
    if shape is not None and model.input(0).partial_shape.is_dynamic:
        model.reshape(list(shape))
    return core.compile_model(model, "CPU", settings)
