"""What of a card the import of a fold and a prediction depend on."""

from collections.abc import Mapping
from typing import Any

from lesionflow.base.errors import CardError
from lesionflow.cards.model_card import Card
from lesionflow.cards.network_shape import network_shape

SAID = (  # of ``import_part``, in fold.json: an import is another one where one of these is
    "version",
    "fold",
    "format",
    "network",
    "shape",
    "view",
    "layout",
    "channels",
    "activation",
    "logits",
    "tolerance",
)


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
        ``name, version, format, network, folder, fold, weights`` (``path``, ``md5``), ``source`` (``url``,
        ``archive``, ``sha256``), ``shape`` (see ``network_shape``), ``multiple_of``, ``view`` and ``layout``
        of the input, ``channels`` (int), ``activation``, ``logits`` and ``tolerance`` of the output.

    Raises
    ------
    CardError
        If the card has no such fold.
    """
    if "weights" in card:
        return dict(card)
    if not 1 <= fold <= len(card["folds"]):
        raise CardError(f"card {card['name']}: fold {fold} of {len(card['folds'])} was asked for")
    output = card["output"]
    return {
        **{key: card[key] for key in ("name", "version", "format", "network", "folder")},
        "fold": fold,
        "weights": dict(card["folds"][fold - 1]),
        "source": {key: card["source"][key] for key in ("url", "archive", "sha256")},
        "shape": network_shape(card["input"]),
        "multiple_of": card["input"]["pad"]["multiple_of"],
        **{key: card["input"][key] for key in ("view", "layout")},
        "channels": len(output["labels"]) + (output["activation"] == "softmax"),
        **{key: output[key] for key in ("activation", "logits", "tolerance")},
    }


def prediction_part(card: Mapping[str, Any]) -> Card:
    """What of a card says how its network sees an image, and what becomes of its probabilities.

    ``view`` and ``tiles`` of its ``input``; of its ``output`` the values of the ``labels``, ``activation``,
    ``flip``, ``blur``, ``floor`` and ``mask``.
    """
    wanted, output = card["input"], card["output"]
    keys = ("activation", "flip", "blur", "floor", "mask")
    return {
        "input": {key: wanted[key] for key in ("view", "tiles")},
        "output": {"labels": list(output["labels"]), **{key: output[key] for key in keys}},
    }
