"""Export of trained weights."""

import pytest
import yaml

from lesionflow.training.export_weights import with_digests
from support.paths import REPOSITORY


def test_md5_of_exported_weights_is_written_to_the_card():
    text = (REPOSITORY / "config/models/demo-cmb.yaml").read_text()
    card = yaml.safe_load(with_digests(text, {"fold-2.keras": "ab" * 16}))
    assert card["folds"][1]["md5"] == "ab" * 16 != card["folds"][0]["md5"]
    assert card["input"]["normalize"] == yaml.safe_load(text)["input"]["normalize"]
    with pytest.raises(ValueError, match="fold-9.keras"):
        with_digests(text, {"fold-9.keras": "ab" * 16})
