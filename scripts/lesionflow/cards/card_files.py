"""Files of model cards: YAML, or a SHiVAi ``model_info.json``."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

from lesionflow.base.errors import CardError

AUTHORS_PIPELINE = "shiva-cmb-v2"  # has the preprocessing of SHiVAi, for which model_info.json is
FORMATS = {"savedmodel": "savedmodel", "h5": "keras-h5", "keras": "keras"}  # of model_info.json
REQUIRED = {"version": str, "target": str, "modalities": list, "files": list}


def read_file(path: Path) -> Any:
    """The content of a YAML or JSON file.

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


def from_model_info(info: Any, path: Path, cards_dir: Path) -> dict[str, Any]:
    """A card from SHiVAi's description of a model's files (see ``load_card.load_card``).

    Raises
    ------
    CardError
        If something is missing in it, or its target is not microbleeds on SWI.
    """
    for key, kind in REQUIRED.items():
        if not isinstance(info, dict) or not isinstance(info.get(key), kind):
            raise CardError(
                f"card {path}: {key}: a model_info.json needs this key with a {kind.__name__}"
            )
    files = info["files"]
    for number, file in enumerate(files):
        for key in ("name", "md5"):
            if not isinstance(file, dict) or not isinstance(file.get(key), str):
                raise CardError(f"card {path}: files.{number}.{key}: a string is needed")
    if info["target"].upper() != "CMB" or [str(m).lower() for m in info["modalities"]] != ["swi"]:
        raise CardError(
            f"card {path}: target {info['target']!r} with modalities {info['modalities']}: only CMB with "
            "['swi'] can be read from a model_info.json; write a card for other models"
        )
    h5 = all(file["name"].endswith((".h5", ".hdf5")) for file in files)
    model_format = str(info.get("model_format") or ("h5" if h5 else "SavedModel"))
    if model_format.lower() not in FORMATS:
        raise CardError(
            f"card {path}: model_format: {model_format!r} is not supported (SavedModel, h5, keras)"
        )
    version = info["version"]
    name = "shiva-cmb-" + re.sub(r"[^a-z0-9]+", "-", version.lower()).strip("-")
    same_version = cards_dir / f"{name}.yaml"
    is_published = same_version.is_file()
    card = read_file(same_version if is_published else cards_dir / f"{AUTHORS_PIPELINE}.yaml")
    card.update(name=name, version=version, format=FORMATS[model_format.lower()])
    card["folds"] = [{"path": file["name"], "md5": file["md5"]} for file in files]
    card["source"] = {
        **card["source"],
        "url": info.get("url") or card["source"]["url"],
        "archive": card["source"]["archive"] if is_published else f"{name}.zip",
        "sha256": info.get("sha256_zip"),
    }
    return card
