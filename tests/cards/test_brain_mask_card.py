"""Which card finds the brain."""

import pytest
import yaml

from lesionflow.base.errors import CardError
from lesionflow.cards.brain_mask_card import mask_card
from lesionflow.cards.model_card import load_cards
from support.cohorts import CARD
from support.paths import HOUSE

CARDS = HOUSE / "config/models"


def settings(word, models=("demo-cmb",)):
    return {"brain_mask": word, "models": list(models)}


def chosen(word, cards=None):
    return mask_card(settings(word), cards or {}, CARDS)


def written(path, **changes):
    card = {**CARD, "output": {"labels": {1: "brain"}}, **changes}
    path.write_text(yaml.safe_dump(card))
    return str(path)


@pytest.mark.parametrize("word", ["none", "provided"])
def test_nothing_is_computed_where_nothing_shall_be(word):
    assert chosen(word) is None


@pytest.mark.parametrize("word", ["auto", "compute", "brainmask"])
def test_the_shipped_card_takes_any_channel(word):
    card = chosen(word)
    assert card["name"] == "brainmask"
    assert card["input"]["channels"] == ["any"]


def test_a_card_of_ones_own_and_what_it_must_not_be(tmp_path):
    assert chosen(written(tmp_path / "own.yaml"))["name"] == "tiny"
    two = {**CARD["input"], "channels": ["t1", "flair"]}
    with pytest.raises(CardError, match="tiny takes the channels .* only one"):
        chosen(written(tmp_path / "two.yaml", input=two))
    needs = {"labels": {1: "brain"}, "mask": "brain"}
    with pytest.raises(CardError, match="which it is to find"):
        chosen(written(tmp_path / "needs.yaml", output=needs))


def test_a_word_that_is_nothing_is_told_with_what_is_allowed():
    with pytest.raises(
        CardError, match="brain_mask: 'maybe' is no card: .*auto, provided, compute, none"
    ):
        chosen("maybe")


def test_two_cards_of_one_name(tmp_path):
    own = written(tmp_path / "tiny.yaml")
    (tmp_path / "other").mkdir()
    other = written(tmp_path / "other/tiny.yaml", folds=[{"path": "elsewhere"}])
    cards = load_cards(settings("none", [own]), CARDS)
    assert chosen(own, cards)["name"] == "tiny"
    with pytest.raises(CardError, match="another card of this run is called tiny too"):
        chosen(other, cards)


def test_the_shipped_card_says_what_the_network_is_trained_on():
    from lesionflow.training import random_contrast

    card = chosen("compute")["input"]
    assert tuple(card["shape"]) == random_contrast.SHAPE
    assert card["spacing_mm"] == [random_contrast.SPACING_MM] * 3
    assert card["normalize"] == random_contrast.NORMALIZE
    assert card["interpolation"] == "linear"


def test_a_card_for_any_channel_is_no_model():
    with pytest.raises(CardError, match="give it as brain_mask"):
        load_cards(settings("auto", ["brainmask"]) | {"threshold": None}, CARDS)
