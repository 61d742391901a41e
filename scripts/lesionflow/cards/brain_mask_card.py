"""The card of the network that computes brain masks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lesionflow.base.errors import CardError
from lesionflow.cards.fold_spec import fold_spec
from lesionflow.cards.load_card import load_card
from lesionflow.cards.model_card import Card

DEFAULT_CARD = "brainmask"
NOT_COMPUTED = ("provided", "none")  # values of ``brain_mask`` for which nothing is computed


def load_brain_mask_card(
    settings: Mapping[str, Any], cards: Mapping[str, Card], cards_dir: Path
) -> Card | None:
    """The card that computes the brain mask of scans, or None if none is to be computed.

    Parameters
    ----------
    settings
        The checked config; ``brain_mask`` is a keyword or, like ``models``, names a card.
    cards
        The cards of the run, by name.
    cards_dir
        See ``load_card.load_card``.

    Raises
    ------
    CardError
        If there is no such card, if it needs several channels or a mask, or if another card of the run
        has its name.
    """
    name_or_path = settings["brain_mask"]
    if name_or_path in NOT_COMPUTED:
        return None
    if name_or_path in ("auto", "compute"):
        name_or_path = DEFAULT_CARD
    try:
        card = load_card(name_or_path, cards_dir)
    except CardError as error:
        text = str(error).replace("models:", "brain_mask:", 1)
        if " is not a card" in text:
            text += ", or auto, provided, compute, none"
        raise CardError(text) from error
    name, channels = card["name"], card["input"]["channels"]
    if len(channels) != 1:
        raise CardError(f"brain_mask: {name} has the channels {channels}: only one is possible")
    if card["output"]["mask"] or card["input"]["mask"]:
        raise CardError(f"brain_mask: {name} needs a brain mask itself (input.mask or output.mask)")
    if name in cards and fold_spec(cards[name], 1) != fold_spec(card, 1):
        raise CardError(f"brain_mask: another card of this run has the name {name} too")
    return card
