"""The brain-mask model for tools outside the workflow, which train and evaluate the demo ensemble."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lesionflow.cards.load_card import load_card
from lesionflow.cards.model_card import Card
from lesionflow.networks.importing.import_fold import import_card

CARDS = Path("config/models")


@contextmanager
def brain_mask_model(needed: bool) -> Iterator[tuple[Card, list[Path]] | None]:
    """Import the card ``brainmask`` to a temporary folder for the duration of the block.

    The value is the card and its imported folds, or None if it is not ``needed``.
    """
    if not needed:
        yield None
        return
    card = load_card("brainmask", CARDS)
    with tempfile.TemporaryDirectory() as folder:
        yield card, import_card(card, Path(folder))
