"""Digest of what a fold is imported from: its weights, what its card says of them, and the code of the import.

It names the folder of the imported fold, so that two networks are never taken for each other, whatever their names
and dates, and several runs may share a folder of models.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lesionflow.base.digests import sha256_file
from lesionflow.cards.fold_spec import FoldSpec

LENGTH = 16  # hexadecimal digits of the digest


def import_digest(spec: FoldSpec, content: Any, code: str) -> str:
    """Digest of an import.

    Parameters
    ----------
    spec
        The fold.
    content
        What identifies the content of its weights: ``listed_content``, else ``file_digests``.
    code
        Digest of the code of the import.
    """
    source = {**spec.recorded(), "content": content, "code": code}
    text = json.dumps(source, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:LENGTH]


def listed_content(spec: FoldSpec) -> dict[str, str] | None:
    """The hash that the card lists for weights from an archive; None if it lists none.

    Weights beside the card are identified by their content, so that a changed file is compared with the card's hash.
    """
    if not spec.source["archive"]:
        return None
    if spec.weights["md5"]:
        return {"md5": spec.weights["md5"]}
    if spec.source["sha256"]:
        return {"archive": spec.source["sha256"], "path": spec.weights["path"]}
    return None


def file_digests(path: Path, sha256: Callable[[Path], str] = sha256_file) -> list[list[str]]:
    """Name and SHA-256 of each file of a folder, sorted; of a file its SHA-256 alone, under an empty name."""
    if not path.is_dir():
        return [["", sha256(path)]]
    files = sorted(p for p in path.rglob("*") if p.is_file())
    return [[file.relative_to(path).as_posix(), sha256(file)] for file in files]
