"""From a trained network to what ships: its file, and the file's MD5 in its card."""

import hashlib
import re
from pathlib import Path
from typing import Any

from lesionflow.base.atomic_write import whole


def ship(model: Any, path: Path, card: Path) -> None:
    """Save a network as a Keras file under a new or old name, and write its MD5 into its card.

    Raises
    ------
    ValueError
        If the card does not name the file once.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as partial:
        model.save(partial)
    digest = hashlib.md5(path.read_bytes()).hexdigest()
    text = with_digests(card.read_text(encoding="utf-8"), {path.name: digest})
    with whole(card) as partial:
        partial.write_text(text, encoding="utf-8")


def with_digests(card: str, digests: dict[str, str]) -> str:
    """A card's text with the MD5 of each fold's file (by its name) on the line after its path.

    Raises
    ------
    ValueError
        If a name does not stand there once.
    """
    for name, digest in digests.items():
        card, found = re.subn(rf"({re.escape(name)}\n\s+md5:) .*", rf"\1 {digest}", card)
        if found != 1:
            raise ValueError(
                f"{name} stands {found} times in the card, not once with an md5 below it"
            )
    return card
