"""Check before a run whether each fold is imported, or its weights are there.

No step imports this module: a change here, or of a path in ``layout``, imports no fold again.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from lesionflow.base import layout
from lesionflow.base.errors import WeightsError
from lesionflow.cards.fold_spec import FoldSpec
from lesionflow.networks.imported_fold import FOLD_JSON
from lesionflow.networks.weights.locate import content_digest, find_weights, unpacked


def fold_json(spec: FoldSpec, models_dir: Path) -> Path:
    """Path of the ``fold.json`` of an imported fold."""
    folder = layout.path(layout.IMPORTED_FOLD, model=spec.name, fold=spec.fold)
    return models_dir / folder / FOLD_JSON


def check_available(specs: Sequence[FoldSpec], models_dir: Path, code: str = "") -> None:
    """Check, before any job starts, that every fold is imported or its weights are there.

    This is fast: it reads names and the listings of zip files, and leaves hashing to the import. ``code`` is
    the digest of the import's code: a fold that other code imported will be imported again, from its weights.

    Raises
    ------
    WeightsError
        If a fold is missing; the message says where to get it and where to put it.
    """
    for spec in specs:
        if not (spec.source["archive"] and is_imported(spec, models_dir, code)):
            find_weights(spec, models_dir, hashing=False)


def is_imported(spec: FoldSpec, models_dir: Path, code: str = "") -> bool:
    """Whether the fold was imported from exactly these weights, by its ``fold.json``."""
    try:
        record = json.loads(fold_json(spec, models_dir).read_text(encoding="utf-8"))
        md5 = spec.weights["md5"] or unlisted_md5(spec, models_dir)
        return (
            record["weights"] == spec.weights["path"]
            and md5 in (None, record["md5"])
            and all(record[key] == value for key, value in spec.recorded().items())
            and code in ("", record["code"])
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def unlisted_md5(spec: FoldSpec, models_dir: Path) -> str | None:
    """MD5 of weights in ``models_dir`` for which the card lists no hash, so that changed weights are imported again.

    If the weights are gone, the MD5 that the import recorded. None if it is not needed: the card has a hash, or
    the weights lie beside the card, where Snakemake notices changes.
    """
    if spec.weights["md5"] or spec.source["sha256"] or not spec.source["archive"]:
        return None
    try:
        weights = find_weights(spec, models_dir, hashing=False)
        if weights.archive is None:
            return content_digest(weights.path, "md5")
        with unpacked(weights, models_dir) as path:
            return content_digest(path, "md5")
    except WeightsError:  # missing or damaged: the import, if there is one, reports it
        try:
            return json.loads(fold_json(spec, models_dir).read_text(encoding="utf-8"))["md5"]
        except (OSError, ValueError, KeyError):
            return None
