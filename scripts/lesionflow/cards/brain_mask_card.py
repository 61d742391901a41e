"""Which card finds the brain in scans that bring no mask."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lesionflow.base.errors import CardError
from lesionflow.cards.fold_spec import fold_spec
from lesionflow.cards.model_card import load_card

SHIPPED = "brainmask"  # the card behind ``compute``
GIVEN = ("provided", "none")  # values of ``brain_mask`` for which nothing is computed


def mask_card(
    settings: Mapping[str, Any], cards: Mapping[str, Any], cards_dir: Path
) -> dict[str, Any] | None:
    """The card that finds the brain in scans without a mask, or None where nothing shall be computed.

    Parameters
    ----------
    settings
        The checked config; ``brain_mask`` is a word or, like ``models``, names a card.
    cards
        The cards of the run, by name.
    cards_dir
        See ``model_card.load_card``.

    Raises
    ------
    cards.CardError
        If there is no such card, if it needs several channels or a mask, or if another card of the run
        bears its name.
    """
    wanted = settings["brain_mask"]
    if wanted in GIVEN:
        return None
    try:
        card = load_card(SHIPPED if wanted in ("auto", "compute") else wanted, cards_dir)
    except CardError as error:
        text = str(error).replace("models:", "brain_mask:", 1)
        if " is no card" in text:
            text += ", or auto, provided, compute, none"
        raise CardError(text) from error
    name, channels = card["name"], card["input"]["channels"]
    if len(channels) != 1:
        raise CardError(f"brain_mask: {name} takes the channels {channels}: only one can be given")
    if card["output"]["mask"] or card["input"]["mask"]:
        raise CardError(f"brain_mask: {name} multiplies by a brain mask, which it is to find")
    if name in cards and fold_spec(cards[name], 1) != fold_spec(card, 1):
        raise CardError(f"brain_mask: another card of this run is called {name} too")
    return card
