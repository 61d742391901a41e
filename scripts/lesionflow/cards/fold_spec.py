"""The parts of a card on which the import of a fold, and a prediction, depend."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lesionflow.base.errors import CardError
from lesionflow.base.label_channels import background_channels
from lesionflow.cards.model_card import Card
from lesionflow.cards.network_shape import network_shape

# Fields that fold.json records. A fold is imported again when one of them changes.
RECORDED = (
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


@dataclass(frozen=True)
class FoldSpec:
    """What the import of one fold depends on. Changing anything else in the card causes no new import.

    ``dataclasses.asdict`` turns it into plain data, and ``FoldSpec(**data)`` back.

    Attributes
    ----------
    name, version, format, network, folder
        Those of the card.
    fold
        From 1.
    weights
        ``path`` and ``md5``.
    source
        ``url``, ``archive`` and ``sha256``.
    shape
        See ``network_shape``.
    multiple_of, view, layout
        Those of the card's input (``multiple_of`` of its padding).
    channels
        Number of output channels, background included.
    activation, logits, tolerance
        Those of the card's output.
    """

    name: str
    version: str
    format: str
    network: Mapping[str, Any]
    folder: str | None
    fold: int
    weights: Mapping[str, Any]
    source: Mapping[str, Any]
    shape: list[int | None]
    multiple_of: int
    view: str
    layout: str
    channels: int
    activation: str
    logits: bool
    tolerance: float

    def recorded(self) -> dict[str, Any]:
        """The fields that fold.json records."""
        return {key: getattr(self, key) for key in RECORDED}


def fold_spec(card: Mapping[str, Any], fold: int) -> FoldSpec:
    """What the import of one fold of a card depends on.

    Parameters
    ----------
    card
        A checked card.
    fold
        From 1.

    Raises
    ------
    CardError
        If the card has no such fold.
    """
    if not 1 <= fold <= len(card["folds"]):
        raise CardError(f"card {card['name']}: fold {fold} of {len(card['folds'])} was asked for")
    output = card["output"]
    return FoldSpec(
        **{key: card[key] for key in ("name", "version", "format", "network", "folder")},
        fold=fold,
        weights=dict(card["folds"][fold - 1]),
        source={key: card["source"][key] for key in ("url", "archive", "sha256")},
        shape=network_shape(card["input"]),
        multiple_of=card["input"]["pad"]["multiple_of"],
        **{key: card["input"][key] for key in ("view", "layout")},
        channels=background_channels(output["activation"]) + len(output["labels"]),
        **{key: output[key] for key in ("activation", "logits", "tolerance")},
    )


def fold_specs(card: Mapping[str, Any]) -> list[FoldSpec]:
    """``fold_spec`` of every fold of a card."""
    return [fold_spec(card, fold) for fold in range(1, len(card["folds"]) + 1)]


def prediction_part(card: Mapping[str, Any]) -> Card:
    """The parts of a card that say how its network is applied to an image, and how its output is processed.

    ``view`` and ``tiles`` of its ``input``; of its ``output`` the values of the ``labels``, ``activation``,
    ``flip``, ``blur``, ``floor`` and ``mask``.
    """
    input_spec, output = card["input"], card["output"]
    keys = ("activation", "flip", "blur", "floor", "mask")
    return {
        "input": {key: input_spec[key] for key in ("view", "tiles")},
        "output": {"labels": list(output["labels"]), **{key: output[key] for key in keys}},
    }
