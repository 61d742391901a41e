"""Loading model cards: defaults, numbers, the shipped cards, and overrides by the config."""

import re

import pytest

from lesionflow.base.errors import CardError
from lesionflow.cards.card_schema import ModelCard
from lesionflow.cards.fold_spec import fold_spec
from lesionflow.cards.load_card import load_card, load_cards
from lesionflow.cards.sections import section_of
from support.card_files import CARDS, put, write_card
from support.paths import REPOSITORY

INPUT_DEFAULTS = {
    "reference": None,
    "fill_missing": None,
    "echo": None,
    "matlab": None,
    "orientation": "RAS",
    "quarter_turns": 0,
    "spacing_mm": [1, 1, 1],
    "spacing_tolerance_mm": 0,
    "align": "centre",
    "blur": 0,
    "interpolation": "linear",
    "outside": "zero",
    "drop_slices": [0, 0],
    "before_crop": [],
    "crop": "brain",
    "snap_start": 0,
    "padding": "before",
    "resize": None,
    "resize_order": 2,
    "pad": {"multiple_of": 1, "at_least": 1},
    "normalize": [],
    "mask": None,
    "view": "volume",
    "tiles": None,
    "layout": "channels_last",
}
OUTPUT_DEFAULTS = {
    "activation": "sigmoid",
    "logits": False,
    "flip": None,
    "blur": 0,
    "floor": 0,
    "soft_volumes": False,
    "total": None,
    "mask": None,
    "tolerance": 1e-5,
}
POSTPROCESS_DEFAULTS = {
    "threshold": 0.5,
    "connectivity": 26,
    "min_volume_mm3": 0,
    "outside_brain": 1,
    "keep_largest": False,
    "components": None,
}


def test_a_label_name_may_begin_with_a_digit(tmp_path):
    names = {1: "3rd-ventricle", 2: "4th-ventricle", 3: "2a"}
    card = load_card(write_card(tmp_path, put("output", "labels", names)), CARDS)
    assert card["output"]["labels"] == names


def test_absent_keys_get_their_defaults(tmp_path):
    card = load_card(write_card(tmp_path), CARDS)
    assert card["folder"] == str(tmp_path)
    assert card["folds"] == [{"path": "a.keras", "md5": None}, {"path": "b.keras", "md5": None}]
    assert card["source"] == dict.fromkeys(("url", "archive", "sha256", "licence", "citation"))
    assert card["input"] == {"channels": ["t1", "flair"], "shape": [8, 9, 10]} | INPUT_DEFAULTS
    assert card["output"] == {"labels": {1: "wmh", 7: "lac"}} | OUTPUT_DEFAULTS
    assert card["postprocess"] == POSTPROCESS_DEFAULTS


def test_keys_keep_the_order_of_the_card_and_defaults_follow(tmp_path):
    """Snakemake compares params as text."""
    (tmp_path / "mine.yaml").write_text(
        "output: {labels: {7: lac, '1': wmh}, blur: 1, activation: softmax}\n"
        "folds: [{md5: null, path: a}]\n"
        "input: {shape: [8, 9, 10], normalize: [{within: brain, z_score: true}], channels: [t1]}\n"
        "format: keras\nversion: '1'\nname: mine\n"
    )
    card = load_card(tmp_path / "mine.yaml", CARDS)
    assert list(card)[:6] == ["output", "folds", "input", "format", "version", "name"]
    assert list(card["output"])[:4] == ["labels", "blur", "activation", "logits"]
    assert list(card["output"]["labels"]) == [7, 1]
    assert list(card["folds"][0]) == ["md5", "path"]
    assert list(card["input"])[:4] == ["shape", "normalize", "channels", "reference"]
    assert card["input"]["normalize"] == [{"within": "brain", "z_score": True}]
    assert list(card["input"]["normalize"][0]) == ["within", "z_score"]


def test_integers_may_be_written_with_a_decimal_point(tmp_path):
    def change(card):
        card["input"] |= {"shape": [8.0, 9.0, 10.0], "pad": {"multiple_of": 16.0}, "echo": 2.0}
        card["input"] |= {"view": "tiles", "tiles": {"size": [8.0, 8.0, 8.0]}}
        card["postprocess"] = {"connectivity": 6.0}

    card = load_card(write_card(tmp_path, change), CARDS)
    numbers = [*card["input"]["shape"], *card["input"]["tiles"]["size"], card["input"]["echo"]]
    numbers += [card["input"]["pad"]["multiple_of"], card["postprocess"]["connectivity"]]
    assert numbers == [8, 9, 10, 8, 8, 8, 2, 16, 6]
    assert all(isinstance(n, int) for n in numbers)


def test_other_numbers_keep_the_type_in_which_they_are_written(tmp_path):
    card = load_card(write_card(tmp_path, put("input", "spacing_mm", [1, 0.5, 2.0])), CARDS)
    assert [repr(n) for n in card["input"]["spacing_mm"]] == ["1", "0.5", "2.0"]


def test_shiva_cards_agree_with_the_publication():
    v1, v2 = (load_card(f"shiva-cmb-{v}", CARDS) for v in ("v1", "v2"))
    assert [len(card["folds"]) for card in (v1, v2)] == [3, 3]
    assert [card["format"] for card in (v1, v2)] == ["keras-h5", "savedmodel"]
    assert v1["input"]["normalize"][2:] == [{"clip_above": 1}]
    assert v2["input"]["normalize"][2:] == [{"clip_above": 1.3}, {"divide_by": 1.3}]
    for card in (v1, v2):
        assert card["input"]["shape"] == [160, 214, 176]
        assert card["output"]["labels"] == {1: "cmb"}
        assert all(re.fullmatch("[0-9a-f]{32}", fold["md5"]) for fold in card["folds"])
        assert (
            card["folder"] is None
        )  # so that nothing is imported again after the repository has moved
    assert v2["source"]["sha256"].startswith("dc4e3a8e")


def test_every_shipped_card_is_valid():
    for path in sorted(CARDS.glob("*.yaml")):
        assert load_card(path.stem, CARDS)["name"] == path.stem


def test_every_key_has_a_description():
    def check(section):
        for key, field in section.model_fields.items():
            assert field.description, f"{section.__name__}.{key}"
            if subsection := section_of(field.annotation):
                check(subsection)

    check(ModelCard)


def test_config_overrides_cards_and_names_are_unique(tmp_path):
    settings = {
        "models": [str(write_card(tmp_path))],
        "threshold": 0.2,
        "min_volume_mm3": None,
        "echo": 2,
    }
    card = load_cards(settings, CARDS)["mine"]
    assert (card["postprocess"]["threshold"], card["postprocess"]["min_volume_mm3"]) == (0.2, 0)
    assert card["input"]["echo"] == 2
    with pytest.raises(CardError, match="another card of this run has the name mine too"):
        load_cards({**settings, "models": settings["models"] * 2}, CARDS)


def test_the_example_card_of_the_manual_is_valid(tmp_path):
    (text,) = re.findall(
        r"```yaml\n(.*?)```", (REPOSITORY / "docs/own_network.md").read_text(), re.S
    )
    path = tmp_path / "wmh.yaml"
    path.write_text(text)
    card = load_card(path, CARDS)
    assert card["input"]["layout"] == "channels_first"
    assert fold_spec(card, 2).shape == [160, 192, 160, 2]
