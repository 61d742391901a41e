"""Folds that are imported already, and weights that are missing, are noticed before a run."""

import json

import pytest

from lesionflow.base.errors import WeightsError
from lesionflow.cards.fold_spec import fold_spec, fold_specs
from lesionflow.networks.weights.availability import (
    check_available,
    fold_json,
    is_imported,
    unlisted_md5,
)
from support.weight_files import FOLDER_MD5, make_card, make_zip, md5


def write_record(card, models_dir, record):
    """Write the fold.json of the card's first fold, as its import does."""
    spec = fold_spec(card, 1)
    path = fold_json(spec, models_dir)
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(record | spec.recorded()))
    return path


def test_an_imported_fold_does_not_need_its_archive(tmp_path):
    card = make_card(sha256="0" * 64)
    record = {"weights": "M/fold_a", "md5": FOLDER_MD5, "code": "now"}
    imported = write_record(card, tmp_path, record)
    assert is_imported(fold_spec(card, 1), tmp_path)
    assert is_imported(fold_spec(card, 1), tmp_path, "now")
    with pytest.raises(WeightsError, match="missing"):  # else the import would lose the fold
        check_available(fold_specs(card), tmp_path, "later")
    check_available(fold_specs(card), tmp_path)
    card["folds"][0]["md5"] = "1" * 32  # new weights
    with pytest.raises(WeightsError, match="missing"):
        check_available(fold_specs(card), tmp_path)
    imported.write_text("{")
    assert not is_imported(fold_spec(card, 1), tmp_path)


@pytest.mark.parametrize("zipped", [False, True])
def test_changed_weights_without_a_hash_are_noticed(tmp_path, zipped):
    card = make_card("net.h5", md5=None, fmt="synthseg-h5")

    def publish(content):
        if zipped:
            make_zip(tmp_path / "M.zip", {"net.h5": content})
        else:
            (tmp_path / "net.h5").write_bytes(content)

    publish(b"one")
    assert unlisted_md5(fold_spec(card, 1), tmp_path) == md5(b"one")
    write_record(card, tmp_path, {"weights": "net.h5", "md5": md5(b"one"), "code": ""})
    assert is_imported(fold_spec(card, 1), tmp_path)
    publish(b"two")
    assert not is_imported(fold_spec(card, 1), tmp_path)
    publish(b"one")
    assert is_imported(fold_spec(card, 1), tmp_path)
    for file in (tmp_path / "net.h5", tmp_path / "M.zip"):
        file.unlink(missing_ok=True)
    assert is_imported(fold_spec(card, 1), tmp_path)  # the weights may be deleted after the import
    assert unlisted_md5(fold_spec(make_card(), 1), tmp_path) is None
