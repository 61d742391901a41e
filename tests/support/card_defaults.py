"""Sections of a model card with defaults."""

from lesionflow.cards.card_schema import ModelCard

REQUIRED = {"input": {"channels": ["swi"]}, "output": {"labels": {1: "lesion"}}}


def default(section, **values):
    """``input``, ``output`` or ``postprocess`` of a card with these values, and defaults for the other keys."""
    model = ModelCard.model_fields[section].annotation
    return model.model_validate({**REQUIRED.get(section, {}), **values}).model_dump()
