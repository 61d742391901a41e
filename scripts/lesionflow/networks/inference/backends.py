"""Set up TensorFlow and OpenVINO. Both are imported only when they are needed."""

import hashlib
import logging
import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from lesionflow.base.atomic_write import write_atomically
from lesionflow.base.leftovers import process_folder

WSL_DRIVER = Path("/usr/lib/wsl/lib/libcuda.so.1")  # WSL2 has no /dev/nvidia0
CPU_PROPERTIES = ("DEVICE_ARCHITECTURE", "OPTIMIZATION_CAPABILITIES")


def tensorflow(threads: int = 0, gpu: bool = False) -> Any:
    """Import TensorFlow with little logging and with full float32 precision.

    Parameters
    ----------
    threads
        Number of CPU threads; 0 for TensorFlow's default.
    gpu
        Whether it may use GPUs, allocating their memory as needed. TensorFloat-32, which would lose half of the
        digits of matrix products, is disabled.

    Notes
    -----
    Threads and GPUs cannot be changed once a process has computed something, so a job sets them once.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault(
        "TF_ENABLE_ONEDNN_OPTS", "1"
    )  # off by default on some CPUs, and much faster
    import tensorflow as tf

    _redirect_generated_files()
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
        logging.debug("TensorFlow is already initialized: %s", error)
    return tf


def _redirect_generated_files() -> None:
    """Let TensorFlow's autograph write its Python files to a folder that is removed with this process.

    Otherwise they stay in the folder for temporary files if the process is killed, and their bytecode always does.
    """
    with suppress(ImportError):  # a module that another release may lack; the files then stay
        from tensorflow.python.autograph.pyct import loader

        def generated_file(**options: Any) -> Any:
            return tempfile.NamedTemporaryFile(dir=process_folder(), **options)

        loader.tempfile = SimpleNamespace(NamedTemporaryFile=generated_file)


def narrow_instructions(cpuinfo: Path = Path("/proc/cpuinfo")) -> None:
    """Make both frameworks use 256-bit instead of 512-bit instructions on AMD Zen 4. Call it before they compute.

    Zen 4 splits 512 bits into two halves, and a network with 8 feature maps fills only one of them. With a network
    of the published ResUNet's size, 256 bits reduced the time to 0.91 in OpenVINO and 0.81 in TensorFlow (two
    cores, float32, medians of 24 and 12 alternating calls). Zen 3, of the same family, has no 512-bit
    instructions. A value that is set in the environment is kept.

    Parameters
    ----------
    cpuinfo
        Linux' description of the processors.
    """
    if cpuinfo.is_file() and re.search(r"AuthenticAMD\ncpu family\s*: 25\n", cpuinfo.read_text()):
        os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")


def mixed_precision(tf: Any, on: bool) -> None:
    """Switch TensorFlow's automatic mixed precision on or off: float16 on GPUs where TensorFlow considers it safe.

    Its graph optimizer rewrites a network that was saved in float32 at the first call.
    """
    tf.config.optimizer.set_experimental_options({"auto_mixed_precision": on})


def nvidia_device() -> bool:
    """Whether the system has an NVIDIA device. No framework is imported."""
    return any(Path("/dev").glob("nvidia[0-9]*")) or WSL_DRIVER.exists()


def gpu_available() -> bool:
    """Whether TensorFlow finds a GPU. It is imported only if the system has an NVIDIA device."""
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
    cache: Path | None = None,
) -> Any:
    """Compile an OpenVINO network for the CPU, or read it from the cache.

    Parameters
    ----------
    ir
        The ``.xml`` file, with the ``.bin`` file beside it.
    precision
        ``float32`` or ``bfloat16``. It is always set, since OpenVINO's default depends on the CPU.
    threads
        Number of CPU threads; 0 for OpenVINO's default.
    shape
        Shape of the input, batch included; required if the network takes inputs of any shape.
    cache
        Folder for compiled networks. The file name is a digest of everything that the compiled network depends
        on: the network, the CPU, the version of OpenVINO and the settings. (OpenVINO's own cache does not write
        atomically, so that another process could read an incomplete file.)
    """
    import openvino as ov

    types = {"float32": ov.Type.f32, "bfloat16": ov.Type.bf16}
    settings: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": types[precision],
        "PERFORMANCE_HINT": "LATENCY",
        # Otherwise each process pins its threads to the first CPUs of the machine, even if other processes use them.
        "ENABLE_CPU_PINNING": False,
    }
    if threads:
        settings["INFERENCE_NUM_THREADS"] = threads
    core = ov.Core()
    if cache is None:
        return _compiled(core, ir, settings, shape)
    cpu = [core.get_property("CPU", key) for key in ("FULL_DEVICE_NAME", *CPU_PROPERTIES)]
    digest = hashlib.sha256(ir.read_bytes())
    digest.update(repr([ov.__version__, cpu, precision, threads, shape]).encode())
    path = cache / f"{digest.hexdigest()[:16]}.blob"
    with suppress(OSError, RuntimeError, ValueError):  # missing or damaged
        return core.import_model(_without_digest(path.read_bytes()), "CPU", settings)
    compiled = _compiled(core, ir, settings, shape)
    with (
        suppress(OSError),
        write_atomically(path) as partial,
    ):  # the folder may belong to another user
        partial.write_bytes(_with_digest(bytes(compiled.export_model().getbuffer())))
    return compiled


def _with_digest(content: bytes) -> bytes:
    """A compiled network followed by its SHA-256, since OpenVINO does not notice a changed number in it."""
    return content + hashlib.sha256(content).digest()


def _without_digest(stored: bytes) -> bytes:
    """The compiled network; ValueError if it is not the one that was written."""
    size = hashlib.sha256().digest_size
    content, digest = stored[:-size], stored[-size:]
    if hashlib.sha256(content).digest() != digest:
        raise ValueError("damaged")
    return content


def _compiled(core: Any, ir: Path, settings: dict[str, Any], shape: tuple[int, ...] | None) -> Any:
    model = core.read_model(ir)
    if shape is not None and model.input(0).partial_shape.is_dynamic:
        model.reshape(list(shape))
    return core.compile_model(model, "CPU", settings)
