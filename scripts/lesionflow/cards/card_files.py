"""Card files as they are written: YAML, or a SHiVAi ``model_info.json``."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

from lesionflow.base.errors import CardError

AUTHORS_PIPELINE = "shiva-cmb-v2"  # has the preprocessing of SHiVAi, for which model_info.json is
FORMATS = {"savedmodel": "savedmodel", "h5": "keras-h5", "keras": "keras"}  # of model_info.json


def parsed(path: Path) -> Any:
    """What is written in a YAML or JSON file.

    Raises
    ------
    CardError
        If it cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
        return json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise CardError(f"card {path}: cannot be read: {' '.join(str(error).split())}") from error


def at(found: Any, *keys: str) -> Any:
    """What lies under ``keys`` in nested dicts; None where there is none."""
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def from_model_info(info: Any, path: Path, cards_dir: Path) -> dict[str, Any]:
    """A card from SHiVAi's description of a model's files (see ``model_card.load_card``).

    Raises
    ------
    CardError
        If something is missing in it, or it is of another target than microbleeds on SWI.
    """
    wanted = {"version": str, "target": str, "modalities": list, "files": list}
    for key, kind in wanted.items():
        if not isinstance(at(info, key), kind):
            raise CardError(f"card {path}: {key}: a model_info.json needs it as a {kind.__name__}")
    files = info["files"]
    for number, file in enumerate(files):
        for key in ("name", "md5"):
            if not isinstance(at(file, key), str):
                raise CardError(f"card {path}: files.{number}.{key}: a text is needed")
    if info["target"].upper() != "CMB" or [str(m).lower() for m in info["modalities"]] != ["swi"]:
        raise CardError(
            f"card {path}: target {info['target']!r} with modalities {info['modalities']}: only CMB with "
            "['swi'] is known from a model_info.json; write a card for other models"
        )
    h5 = all(file["name"].endswith((".h5", ".hdf5")) for file in files)
    declared = str(info.get("model_format") or ("h5" if h5 else "SavedModel"))
    if declared.lower() not in FORMATS:
        raise CardError(
            f"card {path}: model_format: {declared!r} is not known (SavedModel, h5, keras)"
        )
    version = info["version"]
    name = "shiva-cmb-" + re.sub(r"[^a-z0-9]+", "-", version.lower()).strip("-")
    like = cards_dir / f"{name}.yaml"
    card = parsed(like if like.is_file() else cards_dir / f"{AUTHORS_PIPELINE}.yaml")
    card.update(name=name, version=version, format=FORMATS[declared.lower()])
    card["folds"] = [{"path": file["name"], "md5": file["md5"]} for file in files]
    card["source"] = {
        **card["source"],
        "url": info.get("url") or card["source"]["url"],
        "archive": card["source"]["archive"] if like.is_file() else f"{name}.zip",
        "sha256": info.get("sha256_zip"),
    }
    return card
