"""Shape of the array that a card's network takes."""

from collections.abc import Mapping
from typing import Any


def network_shape(input_spec: Mapping[str, Any]) -> list[int | None]:
    """Shape of the network's input: (x, y, z, channel), of 2-D networks (x, y, channel); None: any size.

    Parameters
    ----------
    input_spec
        The ``input`` of a card.
    """
    channels = len(input_spec["channels"])
    if input_spec["view"] == "tiles":
        return [*input_spec["tiles"]["size"], channels]
    sides: list[int | None] = list(input_spec["shape"] or [None, None, None])
    if input_spec["resize"]:
        sides[:2] = input_spec["resize"]
    multiple, minimum = input_spec["pad"]["multiple_of"], input_spec["pad"]["at_least"]
    sides = [n and -(-max(n, minimum) // multiple) * multiple for n in sides]
    return [*(sides[:2] if input_spec["view"] == "slices" else sides), channels]
