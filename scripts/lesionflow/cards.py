"""Model cards: what a network needs and returns, read, checked, and completed with defaults."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from lesionflow.archives import is_inside
from lesionflow.settings import numbers, one_line

Card = dict[str, Any]

AUTHORS_PIPELINE = "shiva-cmb-v2"  # has the preprocessing of SHiVAi, for which model_info.json is
FORMATS = {"savedmodel": "savedmodel", "h5": "keras-h5", "keras": "keras"}  # of model_info.json
EXTRAS = {"mask", "regions", "truth"}  # files beside a scan
ANY = "any"  # as the channel of a brain mask's card: whatever the model it serves goes by
MODES = ("within", "per_channel")  # keys of a normalize step that are no operation


class CardError(ValueError):
    """A card that cannot be used, in one line: the card, the key, the value and what is allowed."""


def load_cards(settings: Mapping[str, Any], cards_dir: Path) -> dict[str, Card]:
    """The cards of a run by their names, with what the config overrides.

    Parameters
    ----------
    settings
        The checked config: ``models``, and ``threshold``, ``min_volume_mm3``, ``echo``, which
        override every card where they are not null.
    cards_dir
        See ``load_card``.

    Raises
    ------
    CardError
        If a card is not valid, or two have the same name.
    """
    cards: dict[str, Card] = {}
    for name in settings["models"]:
        card = load_card(name, cards_dir)
        if ANY in card["input"]["channels"]:
            raise CardError(
                f"models: {name}: a card for any channel finds brains: give it as brain_mask"
            )
        if card["name"] in cards:
            raise CardError(
                f"models: {name}: another card of this run is called {card['name']} too"
            )
        for part, key in (
            ("postprocess", "threshold"),
            ("postprocess", "min_volume_mm3"),
            ("input", "echo"),
        ):
            if settings.get(key) is not None:
                card[part][key] = settings[key]
        cards[card["name"]] = card
    return cards


def load_card(name_or_path: str | Path, cards_dir: Path) -> Card:
    """A card, checked against ``card.schema.yaml`` and with its defaults filled in.

    Parameters
    ----------
    name_or_path
        Name of a card in ``cards_dir``, or path to a card (``.yaml``) or to a SHiVAi
        ``model_info.json``. A ``model_info.json`` names weights only: the preprocessing is that of
        the card ``shiva-cmb-VERSION`` where there is one, else of ``shiva-cmb-v2``, which is that
        of the pipeline which such files are written for.
    cards_dir
        Folder of the cards; its sibling ``schemas`` holds the schema.

    Returns
    -------
    dict
        As the schema says, label values as int, hashes in small letters; and ``folder``: that
        of the card (str), where weights without an archive lie, or None where it does not matter.

    Raises
    ------
    CardError
        If there is no such card or it is not valid.
    """
    text = str(name_or_path)
    path = Path(text) if text.endswith((".yaml", ".yml", ".json")) else cards_dir / f"{text}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in cards_dir.glob("*.yaml")))
        raise CardError(
            f"models: {text!r} is no card: give one of {known}, or a path to a card (.yaml) or to a "
            "model_info.json"
        )
    found = _parsed(path)
    if path.suffix == ".json":
        found = _from_model_info(found, path, cards_dir)
    return checked_card(found, path, cards_dir.parent / "schemas" / "card.schema.yaml")


def checked_card(written: Any, path: Path, schema_file: Path) -> Card:
    """What is written in a card file as a card (see ``load_card``).

    Raises
    ------
    CardError
        If it is not valid.
    """
    schema = yaml.safe_load(schema_file.read_text(encoding="utf-8"))
    card = deepcopy(written)
    if not isinstance(card, dict):
        raise CardError(f"card {path}: keys and values are needed, not {type(card).__name__}")
    if isinstance(labels := _get(card, "output", "labels"), dict):
        texts = {str(value): name for value, name in labels.items()}
        if len(texts) < len(labels):
            raise CardError(f"card {path}: output.labels: a value is there twice: {list(labels)}")
        card["output"]["labels"] = texts
    for key, value in numbers(card):
        if not math.isfinite(value):
            raise CardError(f"card {path}: {key}: {value} is no number")
    error = best_match(Draft202012Validator(schema).iter_errors(card))
    if error is not None:
        raise CardError(f"card {path}: {_told(error)}")
    _fill(card, schema)
    for problem in _contradictions(card):
        raise CardError(f"card {path}: {problem}")
    card["output"]["labels"] = {int(v): name for v, name in card["output"]["labels"].items()}
    card["input"]["shape"] = [int(n) for n in card["input"]["shape"]]
    card["postprocess"]["connectivity"] = int(card["postprocess"]["connectivity"])
    if card["input"]["echo"] is not None:
        card["input"]["echo"] = int(card["input"]["echo"])
    for owner, key in [
        (card["source"], "sha256"),
        *((fold, "md5") for fold in card["folds"]),
    ]:
        owner[key] = owner[key] and owner[key].lower()
    packed = card["source"]["archive"] is not None and path.suffix != ".json"
    card["folder"] = None if packed else str(path.parent.resolve())
    return card


def import_part(card: Mapping[str, Any], fold: int) -> Card:
    """What the import of one fold depends on: a change of anything else in the card spares it.

    Parameters
    ----------
    card
        A card, or already such a part.
    fold
        From 1.

    Returns
    -------
    dict
        ``name, version, format, folder, fold, weights`` (``path``, ``md5``), ``source`` (``url``,
        ``archive``, ``sha256``), ``shape`` (x, y, z, channel) of the input, ``channels`` (int),
        ``activation`` and ``tolerance`` of the output.

    Raises
    ------
    CardError
        If the card has no such fold.
    """
    if "weights" in card:
        return dict(card)
    if not 1 <= fold <= len(card["folds"]):
        raise CardError(f"card {card['name']}: fold {fold} of {len(card['folds'])} was asked for")
    activation = card["output"]["activation"]
    return {
        **{key: card[key] for key in ("name", "version", "format", "folder")},
        "fold": fold,
        "weights": dict(card["folds"][fold - 1]),
        "source": {key: card["source"][key] for key in ("url", "archive", "sha256")},
        "shape": [*card["input"]["shape"], len(card["input"]["channels"])],
        "channels": len(card["output"]["labels"]) + (activation == "softmax"),
        "activation": activation,
        "tolerance": card["output"]["tolerance"],
    }


def _parsed(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
        return json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise CardError(f"card {path}: cannot be read: {' '.join(str(error).split())}") from error


def _from_model_info(info: Any, path: Path, cards_dir: Path) -> Card:
    """A card from SHiVAi's description of a model's files."""
    wanted = {"version": str, "target": str, "modalities": list, "files": list}
    for key, kind in wanted.items():
        if not isinstance(_get(info, key), kind):
            raise CardError(f"card {path}: {key}: a model_info.json needs it as a {kind.__name__}")
    files = info["files"]
    for number, file in enumerate(files):
        for key in ("name", "md5"):
            if not isinstance(_get(file, key), str):
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
    card = _parsed(like if like.is_file() else cards_dir / f"{AUTHORS_PIPELINE}.yaml")
    card.update(name=name, version=version, format=FORMATS[declared.lower()])
    card["folds"] = [{"path": file["name"], "md5": file["md5"]} for file in files]
    card["source"] = {
        **card["source"],
        "url": info.get("url") or card["source"]["url"],
        "archive": card["source"]["archive"] if like.is_file() else f"{name}.zip",
        "sha256": info.get("sha256_zip"),
    }
    return card


def _get(found: Any, *keys: str) -> Any:
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def _told(error: ValidationError) -> str:
    if error.validator != "pattern":
        return one_line(error)
    key = ".".join(str(part) for part in error.absolute_path)
    meaning = error.schema.get("description", "")  # type: ignore[union-attr]
    return f"{key}: {error.instance!r} is not allowed ({meaning})"


def _fill(value: Any, schema: Mapping[str, Any]) -> None:
    """Put the schema's defaults where a key is absent, in place."""
    for key, part in schema.get("properties", {}).items():
        if key not in value and "default" in part:
            value[key] = deepcopy(part["default"])
        if isinstance(value.get(key), dict):
            _fill(value[key], part)
        elif isinstance(value.get(key), list) and isinstance(part.get("items"), dict):
            for item in value[key]:
                if isinstance(item, dict):
                    _fill(item, part["items"])


def _contradictions(card: Card) -> Iterator[str]:
    """What a schema cannot say."""
    for number, step in enumerate(card["input"]["normalize"]):
        names = [key for key in step if key not in MODES]
        if len(names) != 1:
            yield f"input.normalize.{number}: {step} has {len(names)} operations, one is needed"
        low, high = step.get("clip_percentiles", (0, 1))
        if low >= high:
            yield f"input.normalize.{number}.clip_percentiles: {[low, high]}: the lower one goes first"
    if taken := EXTRAS & set(card["input"]["channels"]):
        yield f"input.channels: {min(taken)!r} is no channel: the cohort has files of that name already"
    names = list(card["output"]["labels"].values())
    if len(set(names)) < len(names):
        yield f"output.labels: {names}: two labels have one name"
    for key in ("path", "md5"):
        given = [fold[key] for fold in card["folds"] if fold[key]]
        twice = [text for text in given if given.count(text) > 1]
        if twice:
            yield f"folds: {key} {twice[0]!r} is there twice: an ensemble's folds are different networks"
    if card["source"]["archive"]:
        for number, fold in enumerate(card["folds"]):
            if not is_inside(fold["path"]):
                yield f"folds.{number}.path: {fold['path']!r} leaves the archive"
    elif card["source"]["sha256"]:
        yield "source.sha256: it is an archive's, and source.archive names none"
