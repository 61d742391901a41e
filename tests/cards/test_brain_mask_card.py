"""The card that computes brain masks."""

import pytest
import yaml

from lesionflow.base.errors import CardError
from lesionflow.cards.brain_mask_card import load_brain_mask_card
from lesionflow.cards.load_card import load_cards
from support.cohorts import CARD
from support.paths import REPOSITORY

CARDS = REPOSITORY / "config/models"


def settings(brain_mask, models=("demo-cmb",)):
    return {"brain_mask": brain_mask, "models": list(models)}


def brain_mask_card(name, cards=None):
    return load_brain_mask_card(settings(name), cards or {}, CARDS)


def write_card(path, **changes):
    card = {**CARD, "output": {"labels": {1: "brain"}}, **changes}
    path.write_text(yaml.safe_dump(card))
    return str(path)


@pytest.mark.parametrize("keyword", ["none", "provided"])
def test_no_card_where_no_mask_is_computed(keyword):
    assert brain_mask_card(keyword) is None


@pytest.mark.parametrize("name", ["auto", "compute", "brainmask"])
def test_the_shipped_card_takes_any_channel(name):
    card = brain_mask_card(name)
    assert card["name"] == "brainmask"
    assert card["input"]["channels"] == ["any"]


def test_another_card_must_have_one_channel_and_need_no_mask(tmp_path):
    assert brain_mask_card(write_card(tmp_path / "own.yaml"))["name"] == "tiny"
    two = {**CARD["input"], "channels": ["t1", "flair"]}
    with pytest.raises(CardError, match="tiny has the channels .* only one"):
        brain_mask_card(write_card(tmp_path / "two.yaml", input=two))
    needs = {"labels": {1: "brain"}, "mask": "brain"}
    with pytest.raises(CardError, match="needs a brain mask itself"):
        brain_mask_card(write_card(tmp_path / "needs.yaml", output=needs))


def test_an_unknown_name_lists_what_is_allowed():
    with pytest.raises(
        CardError, match="brain_mask: 'maybe' is not a card: .*auto, provided, compute, none"
    ):
        brain_mask_card("maybe")


def test_two_cards_with_one_name(tmp_path):
    path = write_card(tmp_path / "tiny.yaml")
    (tmp_path / "other").mkdir()
    other = write_card(tmp_path / "other/tiny.yaml", folds=[{"path": "elsewhere"}])
    cards = load_cards(settings("none", [path]), CARDS)
    assert brain_mask_card(path, cards)["name"] == "tiny"
    with pytest.raises(CardError, match="another card of this run has the name tiny too"):
        brain_mask_card(other, cards)


def test_the_shipped_card_has_the_preprocessing_of_the_training():
    from lesionflow.training import random_contrast

    input_spec = brain_mask_card("compute")["input"]
    assert tuple(input_spec["shape"]) == random_contrast.SHAPE
    assert input_spec["spacing_mm"] == [random_contrast.SPACING_MM] * 3
    assert input_spec["normalize"] == random_contrast.NORMALIZE
    assert input_spec["interpolation"] == "linear"


def test_a_card_for_any_channel_cannot_be_a_model():
    with pytest.raises(CardError, match="use it as brain_mask"):
        load_cards(settings("auto", ["brainmask"]) | {"threshold": None}, CARDS)
