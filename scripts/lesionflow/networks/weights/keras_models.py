"""Load Keras models in float32 from legacy H5 (tf-keras or Keras 3) and ``.keras`` files.

The architecture in a file is JSON, and is read before anything is built from it. Half precision is replaced by
float32: weights are always stored in float32, so nothing is lost, and some layers (3-D max pooling) have no
half-precision kernel on the CPU. Code in a file (Lambda layers hold Python byte code) is run only if the card
has the published hash of the file, and it matches.
"""

import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lesionflow.base.errors import WeightsError
from lesionflow.base.leftovers import process_folder, temporary_folder

HALF = {"float16", "bfloat16", "mixed_float16", "mixed_bfloat16"}
KERAS_MODULES = ("builtins", "keras", "tf_keras", "tensorflow")


def load_keras(path: Path, trusted: bool) -> Any:
    """A Keras model in float32, for inference, from a full-model H5 or ``.keras`` file.

    Parameters
    ----------
    path
        The file.
    trusted
        Whether its hash was published and matches, so that its code may be run.

    Returns
    -------
    keras.Model or tf_keras.Model

    Raises
    ------
    WeightsError
        If the file is damaged, holds no architecture, holds code and is not trusted, or cannot be
        built.
    """
    is_h5 = path.suffix != ".keras"
    config, version = read_h5_config(path) if is_h5 else read_keras_config(path)
    code = sorted(set(foreign_code(config)))
    if code and not trusted:
        raise WeightsError(
            f"{path}: holds code that loading it would run ({', '.join(code)}): give the file's md5 in the "
            "card, as its authors published it"
        )
    plain = in_float32(config)
    with temporary_folder(process_folder(), "weights") as folder:
        file = path
        if plain != config:
            file = Path(folder, path.name)
            (_rewrite_h5 if is_h5 else _rewrite_keras)(path, file, plain)
        try:
            if is_h5 and not version.startswith("3"):
                return _load_legacy(file)
            import keras

            return keras.models.load_model(file, compile=False, safe_mode=not code)
        except Exception as error:  # Keras raises exceptions of many types
            hint = (
                "; its Lambda layers hold byte code of the Python that wrote it, which another version "
                "may not read"
                if code
                else ""
            )
            reason = " ".join(str(error).split()) or type(error).__name__
            if len(reason) > 400:  # Keras quotes the configuration of layers before the reason
                reason = f"{reason[:100]} ... {reason[-300:]}"
            raise WeightsError(f"{path}: Keras cannot build the model: {reason}{hint}") from error


def _load_legacy(file: Path) -> Any:
    import tensorflow as tf
    import tf_keras

    return tf_keras.models.load_model(file, compile=False, custom_objects={"tf": tf})


def read_h5_config(path: Path) -> tuple[Any, str]:
    """Architecture of an H5 model and the version of Keras that wrote it. Nothing is built or run.

    Raises
    ------
    WeightsError
        If the file is damaged or holds weights only.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            config, version = (file.attrs.get(k) for k in ("model_config", "keras_version"))
    except OSError as error:
        raise WeightsError(
            f"{path}: is not a complete H5 file ({' '.join(str(error).split())})"
        ) from error
    if config is None:
        raise WeightsError(f"{path}: holds weights only; a full model is needed (model.save)")
    return _json(path, config), _text(version or b"2")


def read_keras_config(path: Path) -> tuple[Any, str]:
    """Architecture of a ``.keras`` file and the version of Keras that wrote it. Nothing is built or run."""
    try:
        with zipfile.ZipFile(path) as file:
            config = file.read("config.json")
            version = json.loads(file.read("metadata.json")).get("keras_version", "3")
    except (zipfile.BadZipFile, KeyError, OSError, ValueError) as error:
        raise WeightsError(f"{path}: is not a complete .keras file ({error})") from error
    return _json(path, config), str(version)


def _json(path: Path, text: bytes | str) -> Any:
    try:
        return json.loads(_text(text))
    except ValueError as error:
        raise WeightsError(f"{path}: the architecture in it is not JSON ({error})") from error


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def foreign_code(config: Any) -> Iterator[str]:
    """Describe everything in an architecture that is code, or from a module that is not part of Keras."""
    if isinstance(config, list):
        for value in config:
            yield from foreign_code(value)
    elif isinstance(config, dict):
        kind, module = config.get("class_name"), config.get("module")
        if kind in ("Lambda", "__lambda__") or config.get("function_type") == "lambda":
            yield "a Lambda layer"
        if kind and isinstance(module, str) and module.split(".")[0] not in KERAS_MODULES:
            yield f"{kind} of the module {module}"
        for value in config.values():
            yield from foreign_code(value)


def in_float32(config: Any) -> Any:
    """Replace every half-precision policy or type of an architecture by float32.

    A policy is a name (``"mixed_float16"``) or an object (``{"class_name": "Policy",
    "config": {"name": "mixed_float16", ...}}``, with or without a module; ``PolicyV1``; in Keras 3
    ``DTypePolicy``), all of them under the key ``dtype``.
    """
    if isinstance(config, list):
        return [in_float32(value) for value in config]
    if not isinstance(config, dict):
        return config
    return {
        key: "float32" if key == "dtype" and _policy(value) in HALF else in_float32(value)
        for key, value in config.items()
    }


def _policy(value: Any) -> Any:
    if isinstance(value, dict) and isinstance(value.get("config"), dict):
        return value["config"].get("name")
    return value if isinstance(value, str) else None


def _rewrite_h5(path: Path, target: Path, config: Any) -> None:
    import h5py

    shutil.copyfile(path, target)
    with h5py.File(target, "r+") as file:
        file.attrs["model_config"] = json.dumps(config).encode()


def _rewrite_keras(path: Path, target: Path, config: Any) -> None:
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.infolist():
            text = (
                json.dumps(config).encode() if entry.filename == "config.json" else old.read(entry)
            )
            new.writestr(entry.filename, text)
