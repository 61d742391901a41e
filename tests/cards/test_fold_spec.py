"""Parts of a card on which the import of a fold depends."""

import pytest

from lesionflow.base.errors import CardError
from lesionflow.cards.fold_spec import import_part
from lesionflow.cards.load_card import load_card
from support.card_files import CARDS, put, write_card


def test_an_import_depends_on_its_fold_and_not_on_pre_and_postprocessing(tmp_path):
    card = load_card(write_card(tmp_path), CARDS)
    part = import_part(card, 2)
    assert (part["weights"]["path"], part["fold"], part["shape"]) == ("b.keras", 2, [8, 9, 10, 2])
    assert part["channels"] == 2
    assert import_part(part, 2) == part

    def change(card):
        card["folds"][0]["md5"] = "a" * 32
        card["postprocess"] = {"threshold": 0.1}
        card["input"]["normalize"] = [{"clip_below": 0}]
        card["output"]["labels"] = {3: "x", 4: "y"}

    assert import_part(load_card(write_card(tmp_path, change), CARDS), 2) == part
    softmax = write_card(tmp_path, put("output", "activation", "softmax"))
    assert import_part(load_card(softmax, CARDS), 2)["channels"] == 3
    with pytest.raises(CardError, match="fold 3 of 2"):
        import_part(card, 3)
