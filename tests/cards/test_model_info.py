"""Cards from SHiVAi's model_info.json."""

import pytest

from lesionflow.base.errors import CardError
from lesionflow.cards.load_card import load_card
from support.card_files import CARDS, write_card

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


def test_the_published_versions_have_the_preprocessing_of_their_cards(tmp_path):
    v1 = load_card(write_card(tmp_path, card=V1, name="model_info_swi-cmb-v1.json"), CARDS)
    assert (v1["name"], v1["format"]) == ("shiva-cmb-v1", "keras-h5")
    assert v1["folds"][1] == {"path": "v1/b.h5", "md5": "b" * 32}
    assert (v1["source"]["sha256"], v1["source"]["archive"]) == (None, "SWI-CMB-v1.zip")
    assert v1["input"] == load_card("shiva-cmb-v1", CARDS)["input"]
    assert v1["folder"] == str(tmp_path)
    v2 = load_card(write_card(tmp_path, card=V2, name="model_info.json"), CARDS)
    assert (v2["name"], v2["format"], v2["version"]) == ("shiva-cmb-v2", "savedmodel", "v2")
    assert (v2["source"]["sha256"], v2["source"]["url"]) == (
        "dc4e" * 16,
        "https://example.org/page",
    )
    assert v2["folds"] == [{"path": "SWI-CMB/a.tf_inference", "md5": "a" * 32}]


def test_other_versions_have_the_preprocessing_of_the_authors_pipeline(tmp_path):
    card = load_card(write_card(tmp_path, card={**V2, "version": "V3 beta"}, name="m.json"), CARDS)
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
        ("files", None, "files: a model_info.json needs this key with a list"),
        ("files", [{"name": "a"}], "files.0.md5: a string is needed"),
        ("files", [{"name": "../a", "md5": "a" * 32}], "is outside the archive"),
        ("files", [], "folds: "),
        ("model_format", "torch", "model_format: 'torch' is not supported"),
        ("sha256_zip", "12", "source.sha256: '12' is not allowed"),
    ],
)
def test_mistakes_in_a_model_info(tmp_path, key, value, message):
    with pytest.raises(CardError, match=message):
        load_card(write_card(tmp_path, card={**V2, key: value}, name="model_info.json"), CARDS)
