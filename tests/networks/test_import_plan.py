"""Before a run: from what each fold is imported, or that it is imported already."""

import json
import os

import pytest

from lesionflow.base.digests import sha256_file
from lesionflow.base.errors import WeightsError
from lesionflow.base.file_digests import FileDigests
from lesionflow.cards.fold_spec import fold_spec, fold_specs
from lesionflow.networks.imported_fold import damaged_files
from lesionflow.networks.weights.import_plan import fold_json, plan_imports
from support.weight_files import FOLDER_MD5, folded, make_card, make_zip


@pytest.fixture
def plan(tmp_path):
    """Plan the only fold of a card; digests are stored as between runs."""

    def planned(card, code="now", models_dir=tmp_path / "models"):
        digests = FileDigests(tmp_path / "digests.jsonl")
        (fold,) = plan_imports(fold_specs(card), models_dir, code, digests)
        return fold

    (tmp_path / "models").mkdir()
    return planned


def write_import(card, models_dir, digest, code="now"):
    """The folder of the card's first fold, as its import writes it."""
    spec = fold_spec(card, 1)
    path = fold_json(spec, models_dir, digest)
    path.parent.mkdir(parents=True)
    record = {"weights": spec.weights["path"], "code": code, **spec.recorded()}
    path.write_text(json.dumps(record))
    files = {"fold.json": sha256_file(path)}
    (path.parent / "files.json").write_text(json.dumps(files))
    return path.parent


def test_an_imported_fold_does_not_need_its_archive(tmp_path, plan):
    models = tmp_path / "models"
    digest = make_zip(models / "M.zip", folded())
    card = make_card(sha256=digest)
    first = plan(card)
    assert first.weights == str(models / "M.zip")
    folder = write_import(card, models, first.digest)
    (models / "M.zip").unlink()
    assert (plan(card).digest, plan(card).weights) == (first.digest, "")
    with pytest.raises(WeightsError, match="missing"):  # other code imports otherwise
        plan(card, "later")
    card["folds"][0]["md5"] = "1" * 32  # other weights
    with pytest.raises(WeightsError, match="missing"):
        plan(card)
    card["folds"][0]["md5"] = FOLDER_MD5
    (folder / "fold.json").write_text("{")
    with pytest.raises(WeightsError, match="missing"):
        plan(card)


@pytest.mark.parametrize("zipped", [False, True])
def test_weights_without_a_hash_are_identified_by_their_content(tmp_path, plan, zipped):
    card, models = make_card("net.h5", md5=None, fmt="synthseg-h5"), tmp_path / "models"

    def publish(content):
        if zipped:
            make_zip(models / "M.zip", {"net.h5": content})
        else:
            (models / "net.h5").write_bytes(content)

    publish(b"one")
    first = plan(card)
    write_import(card, models, first.digest)
    assert not plan(card).weights
    publish(b"two")
    second = plan(card)
    assert second.weights and second.digest != first.digest
    publish(b"one")
    assert (plan(card).digest, plan(card).weights) == (first.digest, "")
    for file in (models / "net.h5", models / "M.zip"):
        file.unlink(missing_ok=True)
    assert plan(card).digest == first.digest  # the weights may be deleted after the import
    write_import(card, models, second.digest)
    with pytest.raises(WeightsError, match="gone, and several imports may be theirs"):
        plan(card)


def test_two_networks_of_one_name_have_two_imports_whatever_their_dates(tmp_path, plan):
    cards = []
    for name, content in (("a", b"one"), ("b", b"two")):
        (tmp_path / name / "w").mkdir(parents=True)
        path = tmp_path / name / "w/net.keras"
        path.write_bytes(content)
        card = make_card("w/net.keras", None, None, fmt="keras")
        cards.append(card | {"folder": str(tmp_path / name)})
    first = plan(cards[0])
    write_import(cards[0], tmp_path / "models", first.digest)
    os.utime(path, (1e9, 1e9))
    second = plan(cards[1])
    assert second.digest != first.digest
    assert second.weights == str(path)


def test_the_digest_depends_on_no_folder(tmp_path, plan):
    digests = set()
    for folder in ("a", "elsewhere/b"):
        path = tmp_path / folder / "net.keras"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"one")
        card = make_card("net.keras", None, None, fmt="keras") | {"folder": str(path.parent)}
        digests.add(plan(card, models_dir=tmp_path / folder / "models").digest)
    assert len(digests) == 1


def test_an_archive_with_a_wrong_hash_is_refused_before_the_run(tmp_path, plan):
    make_zip(tmp_path / "models/M.zip", folded())
    with pytest.raises(WeightsError, match="its SHA-256 is"):
        plan(make_card(sha256="0" * 64))


@pytest.mark.parametrize("damage", ["changed", "missing", "truncated list", "no list", "a list"])
def test_a_damaged_import_is_noticed(tmp_path, plan, damage):
    make_zip(tmp_path / "models/M.zip", folded())
    card = make_card()
    folder = write_import(card, tmp_path / "models", plan(card).digest)
    assert damaged_files(folder) == []
    assert not plan(card).weights
    listed = folder / "files.json"
    if damage == "changed":
        text = (folder / "fold.json").read_text()
        (folder / "fold.json").write_text(text.replace("1", "2", 1))
    elif damage == "missing":
        (folder / "fold.json").unlink()
    elif damage == "truncated list":
        listed.write_bytes(listed.read_bytes()[:-5])
    elif damage == "a list":
        listed.write_text("[]")
    else:
        listed.unlink()
    assert damaged_files(folder)
    assert plan(card).weights
