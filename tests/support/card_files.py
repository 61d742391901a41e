"""Card files of a small model, as a user may write them."""

import json
from copy import deepcopy

import yaml

from support.paths import REPOSITORY

CARDS = REPOSITORY / "config/models"
WMH_CARD = {
    "name": "mine",
    "version": "1",
    "format": "keras",
    "folds": [{"path": "a.keras"}, {"path": "b.keras"}],
    "input": {"channels": ["t1", "flair"], "shape": [8, 9, 10]},
    "output": {"labels": {1: "wmh", 7: "lac"}},
}


def write_card(folder, change=None, card=WMH_CARD, name="mine.yaml"):
    """Path of a new card file; ``change`` edits a copy of the card before."""
    card = deepcopy(card)
    if change:
        change(card)
    path = folder / name
    path.write_text(json.dumps(card) if name.endswith(".json") else yaml.safe_dump(card))
    return path


def put(*path):
    """Change of a card: the last of ``path`` becomes the value of the keys before it."""
    *sections, key, value = path

    def change(card):
        for section in sections:
            card = card.setdefault(section, {}) if isinstance(card, dict) else card[section]
        card[key] = value

    return change
