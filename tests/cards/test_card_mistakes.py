"""Mistakes in model cards: each error is one line with the card, the key, the value and what is allowed."""

from itertools import permutations, product

import pytest

from lesionflow.base.errors import CardError
from lesionflow.cards.load_card import load_card
from support.card_files import CARDS, put, write_card


def also(**values):
    """Change of a card: these values in its input."""
    return lambda card: card["input"].update(values)


def rebuilt(part, **values):
    """Change of a card to a format whose network is rebuilt."""

    def change(card):
        card["format"] = "torch-unet2d"
        card["input"] |= {"shape": [16, 16, 10], "view": "slices"}
        card[part] |= values

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("spacing", 1), "unknown key 'spacing' (allowed: name, version"),
        (put("input", "spacing", 1), "input: unknown key 'spacing'"),
        (put("folds", 0, "sha", "x"), "folds.0: unknown key 'sha' (allowed: path, md5)"),
        (
            put("version", 1),
            "version: 1 is read as a number; text is written 'version=\"1\"' (Version of the weights",
        ),
        (
            put("name", "My Model"),
            "name: 'My Model' is not allowed (Name of the model: small letters",
        ),
        (
            put("format", "torch"),
            "format: 'torch' should be 'savedmodel', 'keras-h5', 'keras', 'onnx', ",
        ),
        (put("folds", []), "folds: "),
        (put("folds", 0, "md5", "123"), "folds.0.md5: '123' is not allowed (MD5"),
        (put("folds", 1, "path", "a.keras"), "folds: path 'a.keras' is repeated"),
        (put("source", "sha256", "a" * 64), "source.sha256: it belongs to an archive"),
        (put("source", {"archive": "../a.zip"}), "source.archive: '../a.zip' is not allowed"),
        (
            put("input", "shape", [8, 9]),
            "input.shape: [8, 9] should have at least 3 items, not 2 (Voxels of the box",
        ),
        (put("input", "shape", [8, 9, 0]), "input.shape.2: 0 should be greater than or equal to 1"),
        (put("input", "shape", [8, 9, 1.5]), "input.shape.2: 1.5 should be a valid integer"),
        (put("input", "spacing_mm", [1, 1, 0]), "input.spacing_mm.2: 0"),
        (put("input", "orientation", "RAX"), "input.orientation: 'RAX' is not allowed (Where the"),
        (put("input", "orientation", "RLA"), "input.orientation: 'RLA' is not allowed"),
        (put("input", "interpolation", "cubic"), "'cubic' should be 'nearest', 'linear',"),
        (put("input", "echo", 0), "input.echo: 0 should be greater than or equal to 1"),
        (
            put("input", "channels", ["swi", "swi"]),
            "input.channels: ['swi', 'swi'] should have each",
        ),
        (
            put("input", "normalize", [{"clip": 1}]),
            "input.normalize.0: unknown key 'clip' (allowed: clip_",
        ),
        (
            put("input", "normalize", [{"within": "brain"}]),
            "input.normalize.0: {'within': 'brain'} should have one operation, not 0",
        ),
        (
            put("input", "normalize", [{"clip_below": 0, "divide_by": 2}]),
            "should have one operation, not 2",
        ),
        (put("input", "snap_start", 5), "input.snap_start: it needs crop centre, not brain"),
        (put("input", "shape", None), "input.shape: crop brain needs the three sides of the box"),
        (put("input", "crop", None), "input.shape: crop null has no box of a fixed shape"),
        (put("input", "reference", "swi"), "input.reference: 'swi' is not one of the channels"),
        (put("input", "view", "tiles"), "input.tiles: they are needed with view tiles"),
        (
            also(view="tiles", tiles={"size": [4, 4, 4], "stride": [4, 5, 4]}),
            "input.tiles.stride: [4, 5, 4]: longer than the sides of a tile",
        ),
        (also(resize=[8, 8], padding="after"), "input.padding: after is not possible"),
        (also(outside="edge", interpolation="welch"), "input.outside: edge needs"),
        (put("input", "before_crop", [{}]), "input.before_crop.0: {} should have one operation"),
        (put("output", "flip", {"swap": [[1, 2]]}), "output.flip.swap: 2 is not one of the labels"),
        (put("output", "flip", {"swap": [[1, 7], [7, 1]]}), "output.flip.swap: 1 is repeated"),
        (put("output", "total", "all"), "output.total: it is a soft volume, and soft_volumes is"),
        (put("output", "labels", {1: "a", "1": "b"}), "output.labels: {"),
        (put("output", "labels", {"x": "a"}), "output.labels.x: 'x' should be a valid integer"),
        (
            put("input", {"channel": ["t1"]}),
            "input: unknown key 'channel': did you mean channels? (allowed: channels, ",
        ),
        (put(3, "x"), "unknown key 3 (allowed: name, version"),
        (
            put("postprocess", {"components": {}}),
            "postprocess.components: only possible with softmax",
        ),
        (
            put("network", {"features": [8]}),
            "network.features: with the format keras the network is in",
        ),
        (rebuilt("output", logits=True), "output.logits: with the format torch-unet2d the network"),
        (
            rebuilt("input", layout="channels_first"),
            "input.layout: with the format torch-unet2d the network",
        ),
        (put("format", "torch-unet2d"), "input.pad.multiple_of: a torch-unet2d of this depth"),
        (put("input", "normalize", [{"divide_by": 0}]), "input.normalize.0.divide_by: 0"),
        (
            put("input", "normalize", [{"divide_by": float("nan")}]),
            "normalize.0.divide_by: nan should be a finite number",
        ),
        (
            put("input", "normalize", [{"clip_percentiles": [9, 1]}]),
            "[9, 1] should have the lower number first",
        ),
        (
            put("input", "normalize", [{"divide_by_percentile": 101}]),
            "divide_by_percentile: 101 should be less than or equal to 100",
        ),
        (
            put("output", "labels", {0: "back"}),
            "output.labels.0: 0 should be greater than or equal to 1 (Value",
        ),
        (
            put("output", "labels", {1: "a", 2: "a"}),
            "output.labels: {1: 'a', 2: 'a'} should differ in value and in name",
        ),
        (put("output", "labels", {}), "output.labels: "),
        (put("output", "mask", "skull"), "output.mask: 'skull' should be 'brain' or None"),
        (put("postprocess", "threshold", 1), "postprocess.threshold: 1"),
        (
            put("postprocess", "connectivity", 8),
            "postprocess.connectivity: 8 should be 6, 18 or 26",
        ),
        (lambda card: card.pop("folds"), "folds: this key is required (The networks of"),
    ],
)
def test_a_mistake_is_one_line_with_card_key_and_value(tmp_path, change, message):
    path = write_card(tmp_path, change)
    with pytest.raises(CardError) as error:
        load_card(path, CARDS)
    text = str(error.value)
    assert text.startswith(f"card {path}: ")
    assert message in text
    assert "\n" not in text


@pytest.mark.parametrize("path", ["../a.h5", "/a.h5", "C:/a.h5", "a/../../b.h5", "a\\b.h5"])
def test_paths_outside_the_archive_are_refused(tmp_path, path):
    def change(card):
        card["source"] = {"archive": "a.zip"}
        card["folds"][1]["path"] = path

    with pytest.raises(CardError, match="folds.1.path: .* is outside the archive"):
        load_card(write_card(tmp_path, change), CARDS)


def test_all_48_orientations_are_allowed(tmp_path):
    codes = ["".join(p) for s in product("RL", "AP", "SI") for p in permutations(s)]
    assert len(set(codes)) == 48
    for code in codes:
        path = write_card(tmp_path, put("input", "orientation", code))
        assert load_card(path, CARDS)["input"]["orientation"] == code


def test_an_unknown_card_lists_the_shipped_ones(tmp_path):
    with pytest.raises(
        CardError, match="'shiva-cmb-v9' is not a card: .*shiva-cmb-v1, shiva-cmb-v2"
    ):
        load_card("shiva-cmb-v9", CARDS)
    with pytest.raises(CardError, match="is not a card"):
        load_card(tmp_path / "none.yaml", CARDS)


@pytest.mark.parametrize("text", ["name: [", "- a\n- b", "", "\x00"])
def test_files_that_are_not_cards(tmp_path, text):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(CardError) as error:
        load_card(path, CARDS)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
