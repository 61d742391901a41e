"""The shipped brain mask for programs that are no jobs: those that train and measure the demo ensemble."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lesionflow.cards.load_card import load_card
from lesionflow.cards.model_card import Card
from lesionflow.networks.importing.import_fold import import_card

CARDS = Path("config/models")


@contextmanager
def brain_finder(wanted: object) -> Iterator[tuple[Card, list[Path]] | None]:
    """The card ``brainmask`` and its imported folds while the block lasts, or None if not ``wanted``."""
    if not wanted:
        yield None
        return
    card = load_card("brainmask", CARDS)
    with tempfile.TemporaryDirectory() as folder:
        yield card, import_card(card, Path(folder))
