"""Parts of a model card as they are when a card says nothing else."""

import yaml

from lesionflow.cards.model_card import _fill
from support.paths import HOUSE

SCHEMA = yaml.safe_load((HOUSE / "config/schemas/card.schema.yaml").read_text())


def default(part, **said):
    """``input``, ``output`` or ``postprocess`` of a card, with what it says filled up by the defaults."""
    filled = dict(said)
    _fill(filled, SCHEMA["properties"][part])
    return filled
