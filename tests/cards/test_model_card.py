"""Cards: the published ones, a user's mistakes, and SHiVAi's model_info.json."""

import json
import re
from copy import deepcopy
from dataclasses import asdict

import pytest
import yaml

from lesionflow.base.errors import CardError
from lesionflow.cards.fold_spec import FoldSpec, fold_spec
from lesionflow.cards.model_card import load_card, load_cards
from support.card_defaults import SCHEMA
from support.paths import HOUSE

CARDS = HOUSE / "config/models"
OWN = {
    "name": "mine",
    "version": "1",
    "format": "keras",
    "folds": [{"path": "a.keras"}, {"path": "b.keras"}],
    "input": {"channels": ["t1", "flair"], "shape": [8, 9, 10]},
    "output": {"labels": {1: "wmh", 7: "lac"}},
}
V1 = {
    "version": "v1",
    "release date": "30/03/2023",
    "author": "Philippe Boutinaud",
    "target": "CMB",
    "modalities": ["swi"],
    "files": [
        {"name": "v1/a_fold_0_model.h5", "md5": "a" * 32},
        {"name": "v1/b.h5", "md5": "b" * 32},
    ],
}
V2 = {
    **V1,
    "version": "v2",
    "url": "https://example.org/page",
    "architecture": "ResUnet3D-8.9.2-1.5",
    "model_format": "SavedModel",
    "tensorflow_min_version": "2.17",
    "sha256_zip": "DC4E" * 16,
    "files": [{"name": "SWI-CMB/a.tf_inference", "md5": "A" * 32}],
}


@pytest.fixture
def written(tmp_path):
    """A function that writes a changed copy of a card and returns its path."""

    def write(change=None, card=OWN, name="mine.yaml"):
        card = deepcopy(card)
        if change:
            change(card)
        path = tmp_path / name
        path.write_text(json.dumps(card) if name.endswith(".json") else yaml.safe_dump(card))
        return path

    return write


def test_a_card_of_ones_own_gets_the_defaults(written, tmp_path):
    card = load_card(written(), CARDS)
    assert card["folder"] == str(tmp_path)
    assert card["folds"] == [{"path": "a.keras", "md5": None}, {"path": "b.keras", "md5": None}]
    assert card["source"] == dict.fromkeys(("url", "archive", "sha256", "licence", "citation"))
    given = {
        "input": {"channels": ["t1", "flair"], "shape": [8, 9, 10]},
        "output": {"labels": {1: "wmh", 7: "lac"}},
        "postprocess": {},
    }
    for part, said in given.items():
        keys = SCHEMA["properties"][part]["properties"]
        plain = {key: rule["default"] for key, rule in keys.items() if "default" in rule}
        plain |= {"pad": {"multiple_of": 1, "at_least": 1}} if part == "input" else {}
        assert card[part] == plain | said
    assert card["input"]["crop"] == "brain"
    assert card["input"]["view"] == "volume"
    assert card["postprocess"]["outside_brain"] == 1


def test_whole_numbers_are_whole_however_they_are_written(written):
    def change(card):
        card["input"] |= {"shape": [8.0, 9.0, 10.0], "pad": {"multiple_of": 16.0}, "echo": 2.0}
        card["input"] |= {"view": "tiles", "tiles": {"size": [8.0, 8.0, 8.0]}}
        card["postprocess"] = {"connectivity": 6.0}

    card = load_card(written(change), CARDS)
    found = [*card["input"]["shape"], *card["input"]["tiles"]["size"], card["input"]["echo"]]
    found += [card["input"]["pad"]["multiple_of"], card["postprocess"]["connectivity"]]
    assert found == [8, 9, 10, 8, 8, 8, 2, 16, 6]
    assert all(isinstance(n, int) for n in found)


def test_published_cards_say_what_the_authors_published():
    v1, v2 = (load_card(f"shiva-cmb-{v}", CARDS) for v in ("v1", "v2"))
    assert [len(card["folds"]) for card in (v1, v2)] == [3, 3]
    assert [card["format"] for card in (v1, v2)] == ["keras-h5", "savedmodel"]
    assert v1["input"]["normalize"][2:] == [{"clip_above": 1}]
    assert v2["input"]["normalize"][2:] == [{"clip_above": 1.3}, {"divide_by": 1.3}]
    for card in (v1, v2):
        assert card["input"]["shape"] == [160, 214, 176]
        assert card["output"]["labels"] == {1: "cmb"}
        assert all(re.fullmatch("[0-9a-f]{32}", fold["md5"]) for fold in card["folds"])
        assert card["folder"] is None  # so that a moved clone imports nothing anew
    assert v2["source"]["sha256"].startswith("dc4e3a8e")


def test_every_card_of_the_house_is_valid():
    for path in sorted(CARDS.glob("*.yaml")):
        assert load_card(path.stem, CARDS)["name"] == path.stem


def test_every_key_of_the_schema_is_described_and_no_other_is_allowed():
    def walk(schema, where):
        for key, part in schema.get("properties", {}).items():
            assert part.get("description"), f"{where}.{key}"
            walk(part, f"{where}.{key}")
            walk(part.get("items", {}), f"{where}.{key}[]")
        if "properties" in schema:
            assert schema["additionalProperties"] is False, where

    walk(SCHEMA, "card")


def put(*path):
    """Change of a card: the last of ``path`` under the keys before it."""
    *keys, last, value = path

    def change(card):
        for key in keys:
            card = card.setdefault(key, {}) if isinstance(card, dict) else card[key]
        card[last] = value

    return change


def also(**said):
    """Change of a card: its input says this as well."""
    return lambda card: card["input"].update(said)


def rebuilt(part, **said):
    """Change of a card to a format whose network is rebuilt."""

    def change(card):
        card["format"] = "torch-unet2d"
        card["input"] |= {"shape": [16, 16, 10], "view": "slices"}
        card[part] |= said

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("spacing", 1), "unknown key 'spacing' (allowed: name, version"),
        (put("input", "spacing", 1), "input: unknown key 'spacing'"),
        (put("folds", 0, "sha", "x"), "folds.0: unknown key 'sha' (allowed: path, md5)"),
        (put("version", 1), "version: 1 is not of type 'string'"),
        (
            put("name", "My Model"),
            "name: 'My Model' is not allowed (Name of the model: small letters",
        ),
        (
            put("format", "torch"),
            "format: 'torch' is not one of ['savedmodel', 'keras-h5', 'keras', 'onnx', ",
        ),
        (put("folds", []), "folds: "),
        (put("folds", 0, "md5", "123"), "folds.0.md5: '123' is not allowed (MD5"),
        (put("folds", 1, "path", "a.keras"), "folds: path 'a.keras' is there twice"),
        (put("source", "sha256", "a" * 64), "source.sha256: it is an archive's"),
        (put("source", {"archive": "../a.zip"}), "source.archive: '../a.zip' is not allowed"),
        (put("input", "shape", [8, 9]), "input.shape: [8, 9] is too short"),
        (put("input", "shape", [8, 9, 0]), "input.shape.2: 0 is less than the minimum of 1"),
        (put("input", "shape", [8, 9, 1.5]), "input.shape.2: 1.5 is not of type 'integer'"),
        (put("input", "spacing_mm", [1, 1, 0]), "input.spacing_mm.2: 0"),
        (put("input", "orientation", "RAX"), "input.orientation: 'RAX' is not allowed (Where the"),
        (put("input", "orientation", "RLA"), "input.orientation: 'RLA' is not allowed"),
        (put("input", "interpolation", "cubic"), "'cubic' is not one of ['nearest', 'linear',"),
        (put("input", "echo", 0), "input.echo: 0 is less than the minimum of 1"),
        (put("input", "channels", ["swi", "swi"]), "input.channels: "),
        (
            put("input", "normalize", [{"clip": 1}]),
            "input.normalize.0: unknown key 'clip' (allowed: clip_",
        ),
        (
            put("input", "normalize", [{"within": "brain"}]),
            "input.normalize.0: {'within': 'brain'} has 0",
        ),
        (
            put("input", "normalize", [{"clip_below": 0, "divide_by": 2}]),
            "has 2 operations, one is",
        ),
        (put("input", "snap_start", 5), "input.snap_start: it goes with crop centre, not brain"),
        (put("input", "shape", None), "input.shape: crop brain needs the box's three sides"),
        (put("input", "crop", None), "input.shape: crop null has no box of a given shape"),
        (put("input", "reference", "swi"), "input.reference: 'swi' is none of the channels"),
        (put("input", "view", "tiles"), "input.tiles: they go with view tiles"),
        (
            also(view="tiles", tiles={"size": [4, 4, 4], "stride": [4, 5, 4]}),
            "input.tiles.stride: [4, 5, 4]: steps longer than a tile's sides",
        ),
        (also(resize=[8, 8], padding="after"), "input.padding: after cannot be"),
        (also(outside="edge", interpolation="welch"), "input.outside: edge goes"),
        (put("input", "before_crop", [{}]), "input.before_crop.0: {} has 0 operations"),
        (put("output", "flip", {"swap": [[1, 2]]}), "output.flip.swap: 2 is none of the labels"),
        (put("output", "flip", {"swap": [[1, 7], [7, 1]]}), "output.flip.swap: 1 is there twice"),
        (put("output", "total", "all"), "output.total: it is a soft volume, and soft_volumes is"),
        (
            put("output", {"labels": {1: "a", 2: "a_soft"}, "soft_volumes": True}),
            "output.labels: two columns of the table would be called a_soft_volume_mm3",
        ),
        (put("postprocess", {"components": {}}), "postprocess.components: it is for softmax"),
        (put("network", {"features": [8]}), "network.features: the network of a keras is in its"),
        (rebuilt("output", logits=True), "output.logits: the network of a torch-unet2d is rebuilt"),
        (rebuilt("input", layout="channels_first"), "input.layout: the network of a torch-unet2d"),
        (put("format", "torch-unet2d"), "input.pad.multiple_of: a torch-unet2d of so many levels"),
        (put("input", "normalize", [{"divide_by": 0}]), "input.normalize.0.divide_by: 0"),
        (
            put("input", "normalize", [{"divide_by": float("nan")}]),
            "normalize.0.divide_by: nan is no",
        ),
        (
            put("input", "normalize", [{"clip_percentiles": [9, 1]}]),
            "[9, 1]: the lower one goes first",
        ),
        (
            put("input", "normalize", [{"divide_by_percentile": 101}]),
            "divide_by_percentile: 101 is gr",
        ),
        (
            put("output", "labels", {0: "back"}),
            "output.labels: '0' is not allowed (A label's value",
        ),
        (
            put("output", "labels", {1: "a", 2: "a"}),
            "output.labels: ['a', 'a']: two labels have one",
        ),
        (put("output", "labels", {}), "output.labels: "),
        (put("output", "mask", "skull"), "output.mask: 'skull' is not one of ['brain', None]"),
        (put("postprocess", "threshold", 1), "postprocess.threshold: 1"),
        (
            put("postprocess", "connectivity", 8),
            "postprocess.connectivity: 8 is not one of [6, 18, 26]",
        ),
        (lambda card: card.pop("folds"), "'folds' is a required property"),
    ],
)
def test_a_mistake_is_one_line_with_card_key_and_value(written, change, message):
    path = written(change)
    with pytest.raises(CardError) as error:
        load_card(path, CARDS)
    text = str(error.value)
    assert text.startswith(f"card {path}: ")
    assert message in text
    assert "\n" not in text


@pytest.mark.parametrize("path", ["../a.h5", "/a.h5", "C:/a.h5", "a/../../b.h5", "a\\b.h5"])
def test_a_path_that_leaves_the_archive_is_refused(written, path):
    def change(card):
        card["source"] = {"archive": "a.zip"}
        card["folds"][1]["path"] = path

    with pytest.raises(CardError, match="folds.1.path: .* leaves the archive"):
        load_card(written(change), CARDS)


def test_all_48_orientations_are_allowed(written):
    from itertools import permutations, product

    codes = ["".join(p) for s in product("RL", "AP", "SI") for p in permutations(s)]
    assert len(set(codes)) == 48
    for code in codes:
        path = written(put("input", "orientation", code))
        assert load_card(path, CARDS)["input"]["orientation"] == code


def test_no_such_card_names_those_there_are(tmp_path):
    with pytest.raises(CardError, match="'shiva-cmb-v9' is no card: .*shiva-cmb-v1, shiva-cmb-v2"):
        load_card("shiva-cmb-v9", CARDS)
    with pytest.raises(CardError, match="is no card"):
        load_card(tmp_path / "none.yaml", CARDS)


@pytest.mark.parametrize("text", ["name: [", "- a\n- b", "", "\x00"])
def test_what_is_no_card_is_told_in_one_line(tmp_path, text):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(CardError) as error:
        load_card(path, CARDS)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_config_overrides_every_card_and_names_are_unique(written):
    settings = {"models": [str(written())], "threshold": 0.2, "min_volume_mm3": None, "echo": 2}
    card = load_cards(settings, CARDS)["mine"]
    assert (card["postprocess"]["threshold"], card["postprocess"]["min_volume_mm3"]) == (0.2, 0)
    assert card["input"]["echo"] == 2
    with pytest.raises(CardError, match="another card of this run is called mine too"):
        load_cards({**settings, "models": settings["models"] * 2}, CARDS)


def test_model_info_of_v1_and_v2(written, tmp_path):
    v1 = load_card(written(card=V1, name="model_info_swi-cmb-v1.json"), CARDS)
    assert (v1["name"], v1["format"]) == ("shiva-cmb-v1", "keras-h5")
    assert v1["folds"][1] == {"path": "v1/b.h5", "md5": "b" * 32}
    assert (v1["source"]["sha256"], v1["source"]["archive"]) == (None, "SWI-CMB-v1.zip")
    assert v1["input"] == load_card("shiva-cmb-v1", CARDS)["input"]
    assert v1["folder"] == str(tmp_path)
    v2 = load_card(written(card=V2, name="model_info.json"), CARDS)
    assert (v2["name"], v2["format"], v2["version"]) == ("shiva-cmb-v2", "savedmodel", "v2")
    assert (v2["source"]["sha256"], v2["source"]["url"]) == (
        "dc4e" * 16,
        "https://example.org/page",
    )
    assert v2["folds"] == [{"path": "SWI-CMB/a.tf_inference", "md5": "a" * 32}]


def test_model_info_of_another_version_is_preprocessed_as_the_authors_pipeline_does(written):
    card = load_card(written(card={**V2, "version": "V3 beta"}, name="m.json"), CARDS)
    assert (card["name"], card["source"]["archive"]) == (
        "shiva-cmb-v3-beta",
        "shiva-cmb-v3-beta.zip",
    )
    assert card["input"] == load_card("shiva-cmb-v2", CARDS)["input"]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("target", "PVS", "target 'PVS' with modalities .* only CMB"),
        ("modalities", ["t1", "flair"], "only CMB with"),
        ("files", None, "files: a model_info.json needs it as a list"),
        ("files", [{"name": "a"}], "files.0.md5: a text is needed"),
        ("files", [{"name": "../a", "md5": "a" * 32}], "leaves the archive"),
        ("files", [], "folds: "),
        ("model_format", "torch", "model_format: 'torch' is not known"),
        ("sha256_zip", "12", "source.sha256: '12' is not allowed"),
    ],
)
def test_bad_model_info(written, key, value, message):
    with pytest.raises(CardError, match=message):
        load_card(written(card={**V2, key: value}, name="model_info.json"), CARDS)


def test_import_depends_on_one_fold_and_not_on_what_follows_it(written):
    card = load_card(written(), CARDS)
    spec = fold_spec(card, 2)
    assert (spec.weights["path"], spec.fold, spec.shape) == ("b.keras", 2, [8, 9, 10, 2])
    assert spec.channels == 2
    assert FoldSpec(**json.loads(json.dumps(asdict(spec)))) == spec

    def change(card):
        card["folds"][0]["md5"] = "a" * 32
        card["postprocess"] = {"threshold": 0.1}
        card["input"]["normalize"] = [{"clip_below": 0}]
        card["output"]["labels"] = {3: "x", 4: "y"}

    assert fold_spec(load_card(written(change), CARDS), 2) == spec
    softmax = written(put("output", "activation", "softmax"))
    assert fold_spec(load_card(softmax, CARDS), 2).channels == 3
    with pytest.raises(CardError, match="fold 3 of 2"):
        fold_spec(card, 3)


def test_the_manuals_card_of_ones_own_is_valid(tmp_path):
    (text,) = re.findall(r"```yaml\n(.*?)```", (HOUSE / "docs/own_network.md").read_text(), re.S)
    path = tmp_path / "wmh.yaml"
    path.write_text(text)
    card = load_card(path, CARDS)
    assert card["input"]["layout"] == "channels_first"
    assert fold_spec(card, 2).shape == [160, 192, 160, 2]
