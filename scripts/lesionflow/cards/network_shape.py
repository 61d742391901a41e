"""What a card's network takes in one call."""

from collections.abc import Mapping
from typing import Any


def network_shape(wanted: Mapping[str, Any]) -> list[int | None]:
    """What a network takes in one call: (x, y, z, channel), of 2-D networks (x, y, channel); None: any size.

    Parameters
    ----------
    wanted
        The card's input.
    """
    channels = len(wanted["channels"])
    if wanted["view"] == "tiles":
        return [*wanted["tiles"]["size"], channels]
    sides: list[int | None] = list(wanted["shape"] or [None, None, None])
    if wanted["resize"]:
        sides[:2] = wanted["resize"]
    multiple, least = wanted["pad"]["multiple_of"], wanted["pad"]["at_least"]
    sides = [n and -(-max(n, least) // multiple) * multiple for n in sides]
    return [*(sides[:2] if wanted["view"] == "slices" else sides), channels]
