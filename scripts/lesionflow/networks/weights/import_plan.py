"""Plan before a run from what each fold is imported, or that it is imported already.

No step imports this module: a change here, or of a path in ``layout``, imports no fold again.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lesionflow.base import layout
from lesionflow.base.errors import WeightsError
from lesionflow.base.file_digests import FileDigests
from lesionflow.cards.fold_spec import FoldSpec
from lesionflow.networks.imported_fold import FOLD_JSON, damaged_files
from lesionflow.networks.weights.import_digest import file_digests, import_digest, listed_content
from lesionflow.networks.weights.locate import Weights, find_weights, unpacked


@dataclass(frozen=True)
class PlannedImport:
    """How a run gets a fold.

    Attributes
    ----------
    digest
        ``import_digest``, which names the folder of the imported fold.
    weights
        The file, folder or zip file to import; empty if the fold is imported already.
    """

    digest: str
    weights: str


def fold_json(spec: FoldSpec, models_dir: Path, digest: str) -> Path:
    """Path of the ``fold.json`` of an imported fold."""
    folder = layout.path(layout.IMPORTED_FOLD, model=spec.name, fold=spec.fold, digest=digest)
    return models_dir / folder / FOLD_JSON


def plan_imports(
    specs: Sequence[FoldSpec], models_dir: Path, code: str, digests: FileDigests
) -> list[PlannedImport]:
    """How a run gets each fold.

    Weights beside the card, and weights without a hash in the card, are hashed, and so is the archive of a fold that
    is not imported yet; ``digests`` keeps the results for the next run.

    Parameters
    ----------
    specs
        The folds.
    models_dir
        Folder of downloaded weights and imported folds.
    code
        Digest of the code of the import.
    digests
        Digests of files.

    Raises
    ------
    WeightsError
        If the weights of a fold that is not imported are missing; the message says where to get them and where to
        put them. If the folder cannot be read.
    """
    if models_dir.exists() and not os.access(models_dir, os.R_OK | os.X_OK):
        raise WeightsError(
            f"models_dir: {models_dir.absolute()} cannot be read: you have no right to"
        )
    return [_plan_import(spec, models_dir, code, digests) for spec in specs]


def _plan_import(
    spec: FoldSpec, models_dir: Path, code: str, digests: FileDigests
) -> PlannedImport:
    content: Any = listed_content(spec)
    if content is None:
        try:
            weights = find_weights(spec, models_dir, digests.sha256)
            content = _content(weights, models_dir, digests)
        except WeightsError:
            if spec.source["archive"] and (digest := _only_import(spec, models_dir, code)):
                return PlannedImport(digest, "")
            raise
    digest = import_digest(spec, content, code)
    if not damaged_files(fold_json(spec, models_dir, digest).parent, digests.sha256):
        return PlannedImport(digest, "")
    weights = find_weights(spec, models_dir, digests.sha256)
    return PlannedImport(digest, str(weights.archive or weights.path))


def _content(weights: Weights, models_dir: Path, digests: FileDigests) -> list[list[str]]:
    """``file_digests`` of weights; those in an archive are unpacked unless the archive is known."""
    if weights.archive is None:
        return file_digests(weights.path, digests.sha256)

    def of_member() -> str:
        with unpacked(weights, models_dir) as path:
            return json.dumps(file_digests(path))

    return json.loads(digests.of_part(weights.archive, str(weights.path), of_member))


def _only_import(spec: FoldSpec, models_dir: Path, code: str) -> str:
    """Digest of the import of weights that are gone and have no hash in the card; empty if there is none.

    Raises
    ------
    WeightsError
        If there are several, from different weights.
    """
    matching = {}
    pattern = fold_json(spec, models_dir, "*").relative_to(models_dir)
    for path in models_dir.glob(str(pattern)):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            known = {key: record[key] for key in ("weights", "code", *spec.recorded())}
        except (OSError, ValueError, KeyError, TypeError):
            continue
        expected = {"weights": spec.weights["path"], "code": code, **spec.recorded()}
        if known == expected and not damaged_files(path.parent):
            matching[path.parent.name.rpartition("-")[2]] = path.parent
    if len(matching) > 1:
        raise WeightsError(
            f"model {spec.name}: the weights of fold {spec.fold} are gone, and several imports may be theirs: "
            f"{', '.join(map(str, matching.values()))}. Put the weights back, or delete the folders of the others"
        )
    return next(iter(matching), "")
