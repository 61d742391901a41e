"""The specification of a fold: what of a card its import depends on."""

import json
from dataclasses import asdict

import pytest

from lesionflow.base.errors import CardError
from lesionflow.cards.fold_spec import FoldSpec, fold_spec
from lesionflow.cards.load_card import load_card
from support.card_files import CARDS, put, write_card


def test_an_import_depends_on_its_fold_and_not_on_pre_and_postprocessing(tmp_path):
    card = load_card(write_card(tmp_path), CARDS)
    spec = fold_spec(card, 2)
    assert (spec.weights["path"], spec.fold, spec.shape) == ("b.keras", 2, [8, 9, 10, 2])
    assert spec.channels == 2
    assert FoldSpec(**json.loads(json.dumps(asdict(spec)))) == spec  # params are plain data

    def change(card):
        card["folds"][0]["md5"] = "a" * 32
        card["postprocess"] = {"threshold": 0.1}
        card["input"]["normalize"] = [{"clip_below": 0}]
        card["output"]["labels"] = {3: "x", 4: "y"}

    assert fold_spec(load_card(write_card(tmp_path, change), CARDS), 2) == spec
    softmax = write_card(tmp_path, put("output", "activation", "softmax"))
    assert fold_spec(load_card(softmax, CARDS), 2).channels == 3
    with pytest.raises(CardError, match="fold 3 of 2"):
        fold_spec(card, 3)
