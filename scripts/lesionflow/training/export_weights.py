"""Save a trained network, and write the MD5 of its file into its card."""

import hashlib
import re
from pathlib import Path
from typing import Any

from lesionflow.base.atomic_write import write_atomically


def export_weights(model: Any, path: Path, card: Path) -> None:
    """Save a network as a Keras file, replacing an existing one, and write its MD5 into its card.

    Raises
    ------
    ValueError
        If the card does not name the file exactly once, with an MD5 on the next line.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_atomically(path) as partial:
        model.save(partial)
    digest = hashlib.md5(path.read_bytes()).hexdigest()
    text = with_digests(card.read_text(encoding="utf-8"), {path.name: digest})
    with write_atomically(card) as partial:
        partial.write_text(text, encoding="utf-8")


def with_digests(card: str, digests: dict[str, str]) -> str:
    """Replace the MD5s in the text of a card.

    ``digests`` has the MD5 of each file by file name; the card states it on the line after the path.

    Raises
    ------
    ValueError
        If the card does not name a file exactly once, with an MD5 on the next line.
    """
    for name, digest in digests.items():
        card, count = re.subn(rf"({re.escape(name)}\n\s+md5:) .*", rf"\1 {digest}", card)
        if count != 1:
            raise ValueError(
                f"the card has {count} entries for {name} with an md5 on the next line; "
                "it needs exactly one: correct the card"
            )
    return card
