"""A model card as the other packages get it: plain data with every key of ``card_schema.ModelCard``."""

from collections.abc import Mapping
from typing import Any

Card = dict[str, Any]

ANY = "any"  # as the channel of a brain mask's card: the reference channel of the model it is used for
NOT_CHANNELS = ("mask", "regions", "truth")  # other files of a scan


def reference_channel(input_spec: Mapping[str, Any]) -> str:
    """The channel whose grid the others are resampled to, and in which results are written.

    Parameters
    ----------
    input_spec
        The ``input`` of a card.
    """
    return input_spec["reference"] or input_spec["channels"][0]
