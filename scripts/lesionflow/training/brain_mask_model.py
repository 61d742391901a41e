"""The brain-mask model for the tools that train and evaluate the demo ensemble."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lesionflow.cards.load_card import load_card
from lesionflow.cards.model_card import Card
from lesionflow.networks.importing.import_fold import import_card

CARDS_DIR = Path("config/models")


@contextmanager
def brain_mask_model(load: bool) -> Iterator[tuple[Card, list[Path]] | None]:
    """Card and imported folds of the brain-mask model while the context lasts; None if ``load`` is False."""
    if not load:
        yield None
        return
    card = load_card("brainmask", CARDS_DIR)
    with tempfile.TemporaryDirectory() as folder:
        yield card, import_card(card, Path(folder))
