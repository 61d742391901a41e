"""Model cards: what a network needs and returns, read, checked, and completed with defaults."""

import math
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from lesionflow.base.errors import CardError
from lesionflow.cards.card_files import at, from_model_info, parsed
from lesionflow.cards.config import numbers, one_line
from lesionflow.cards.consistency import contradictions

Card = dict[str, Any]

ANY = "any"  # as the channel of a brain mask's card: whatever the model it serves goes by


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
    found = parsed(path)
    if path.suffix == ".json":
        found = from_model_info(found, path, cards_dir)
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
    if isinstance(labels := at(card, "output", "labels"), dict):
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
    card = _whole(card, schema, schema["$defs"])
    for problem in contradictions(card):
        raise CardError(f"card {path}: {problem}")
    card["output"]["labels"] = {int(v): name for v, name in card["output"]["labels"].items()}
    for owner, key in [
        (card["source"], "sha256"),
        *((fold, "md5") for fold in card["folds"]),
    ]:
        owner[key] = owner[key] and owner[key].lower()
    packed = card["source"]["archive"] is not None and path.suffix != ".json"
    card["folder"] = None if packed else str(path.parent.resolve())
    return card


def reference(wanted: Mapping[str, Any]) -> str:
    """The channel whose grid the others are brought to, and to which results go back."""
    return wanted["reference"] or wanted["channels"][0]


def _told(error: ValidationError) -> str:
    if error.validator != "pattern":
        return one_line(error)
    key = ".".join(str(part) for part in error.absolute_path)
    meaning = error.schema.get("description", "")  # type: ignore[union-attr]
    return f"{key}: {error.instance!r} is not allowed ({meaning})"


def _whole(value: Any, schema: Mapping[str, Any], shared: Mapping[str, Any]) -> Any:
    """The value with whole numbers as int where the schema says so: 2.0 is an integer to JSON Schema."""
    if "$ref" in schema:
        schema = {**shared[schema["$ref"].split("/")[-1]], **schema}
    kinds = schema.get("type", ())
    whole = "integer" in ([kinds] if isinstance(kinds, str) else kinds)
    if isinstance(value, float) and (whole or isinstance(schema.get("enum", [""])[0], int)):
        return int(value)
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        return [_whole(item, schema["items"], shared) for item in value]
    if isinstance(value, dict):
        parts = schema.get("properties", {})
        return {key: _whole(item, parts.get(key, {}), shared) for key, item in value.items()}
    return value


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
