"""Files in the folder of an imported fold, and the check that they are those that were written.

The folder has ``fold.json``, which describes the fold, ``files.json`` with the SHA-256 of each file, and the network: a
TensorFlow SavedModel, an OpenVINO network, or both. OpenVINO's compiled networks are cached beside them.

The SavedModel's signature ``serving_default`` maps ``image``, float32 (batch, x, y, z, channel), or (batch, x,
y, channel) for a 2-D network, to ``probability``, float32, with one label per channel. OpenVINO's network
is the same one, if OpenVINO can convert it and agrees. A fold from an ONNX file has OpenVINO's network only.
"""

import json
from collections.abc import Callable
from pathlib import Path

from lesionflow.base.digests import sha256_file

FOLD_JSON = "fold.json"
FILES_JSON = "files.json"  # SHA-256 by path
SAVED_MODEL = "saved_model.pb"
OPENVINO = "openvino.xml"  # with ``openvino.bin`` beside it
COMPILED = "compiled"


def damaged_files(
    folder: Path,
    sha256: Callable[[Path], str] = sha256_file,
    used: Callable[[str], bool] = lambda name: True,
) -> list[str]:
    """Names of the files of an imported fold that are missing, or are not those that were written.

    Parameters
    ----------
    folder
        Folder of the imported fold. If it has no ``files.json``, this is the only name.
    sha256
        Returns the SHA-256 of a file.
    used
        Whether a file of this name is looked at.
    """
    try:
        digests = json.loads((folder / FILES_JSON).read_text(encoding="utf-8"))
        items = list(digests.items())
    except (OSError, ValueError, AttributeError):
        return [FILES_JSON]
    damaged = [] if FOLD_JSON in digests else [FILES_JSON]
    for name, digest in items:
        if not used(name):
            continue
        try:
            if sha256(folder / name) != digest:
                damaged.append(name)
        except OSError:
            damaged.append(name)
    return damaged
