"""Read, check and complete model cards."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lesionflow.base.errors import CardError
from lesionflow.cards.card_files import from_model_info, read_file
from lesionflow.cards.card_schema import ModelCard
from lesionflow.cards.consistency import contradictions
from lesionflow.cards.model_card import ANY, Card
from lesionflow.cards.sections import describe_error

OVERRIDES = {"threshold": "postprocess", "min_volume_mm3": "postprocess", "echo": "input"}


def load_cards(settings: Mapping[str, Any], cards_dir: Path) -> dict[str, Card]:
    """The cards of a run by name, with the overrides of the config.

    Parameters
    ----------
    settings
        The checked config: ``models``, and ``threshold``, ``min_volume_mm3`` and ``echo``, which
        override every card if they are not null.
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
                f"models: {name}: a card with the channel any finds brains: use it as brain_mask"
            )
        if card["name"] in cards:
            raise CardError(
                f"models: {name}: another card of this run has the name {card['name']} too"
            )
        for key, section in OVERRIDES.items():
            if settings.get(key) is not None:
                card[section][key] = settings[key]
        cards[card["name"]] = card
    return cards


def load_card(name_or_path: str | Path, cards_dir: Path) -> Card:
    """A card, checked and with defaults for absent keys.

    Parameters
    ----------
    name_or_path
        Name of a card in ``cards_dir``, or path to a card (``.yaml``) or to a SHiVAi
        ``model_info.json``. A ``model_info.json`` describes only weights: the preprocessing is that
        of the card ``shiva-cmb-VERSION`` if there is one, else of ``shiva-cmb-v2``, which is that of
        the pipeline for which such files are written.
    cards_dir
        Folder of the cards.

    Returns
    -------
    dict
        As in ``card_schema.ModelCard``, with label values as int and digests in lower case; and
        ``folder``: that of the card (str), where weights without an archive are, or None if the
        weights are in an archive.

    Raises
    ------
    CardError
        If there is no such card or it is not valid.
    """
    text = str(name_or_path)
    path = Path(text) if text.endswith((".yaml", ".yml", ".json")) else cards_dir / f"{text}.yaml"
    if not path.is_file():
        names = ", ".join(sorted(p.stem for p in cards_dir.glob("*.yaml")))
        raise CardError(
            f"models: {text!r} is not a card: use one of {names}, or a path to a card (.yaml) or to a "
            "model_info.json"
        )
    written = read_file(path)
    if path.suffix == ".json":
        written = from_model_info(written, path, cards_dir)
    if not isinstance(written, dict):
        raise CardError(f"card {path}: keys and values are needed, not {type(written).__name__}")
    try:
        checked = ModelCard.model_validate(written).model_dump()
    except ValidationError as error:
        raise CardError(f"card {path}: {describe_error(error, ModelCard)}") from error
    for problem in contradictions(checked):
        raise CardError(f"card {path}: {problem}")
    card: Card = _in_order_of(written, checked)
    in_archive = card["source"]["archive"] is not None and path.suffix != ".json"
    return {**card, "folder": None if in_archive else str(path.parent.resolve())}


def _in_order_of(written: Any, checked: Any) -> Any:
    """Checked values with their keys in the order of the card; defaults follow.

    Snakemake compares params as text.
    """
    if isinstance(checked, list) and isinstance(written, list):
        return [_in_order_of(*values) for values in zip(written, checked, strict=True)]
    if not isinstance(checked, dict) or not isinstance(written, dict):
        return checked
    keys = [*(key for key in written if key in checked), *checked]
    return {key: _in_order_of(written.get(key), checked[key]) for key in dict.fromkeys(keys)}
