"""Weights are located and identified by their hashes. No framework is imported."""

import hashlib
import sys
import zipfile
from pathlib import Path

import pytest

from lesionflow.base.errors import WeightsError
from lesionflow.cards.fold_spec import fold_spec
from lesionflow.networks.weights.locate import (
    Weights,
    content_digest,
    find_weights,
    unpacked,
)
from support.weight_files import FILES, FOLDER_MD5, folded, make_card, make_zip, md5, unpack_first


def test_the_digest_of_a_folder_covers_its_contents_in_the_order_of_paths(tmp_path):
    for name, content in {**FILES, "a-b/x": b"2", "a/x": b"1"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    joined = b"1" + b"2" + b"f" + b"graph" + b"index"  # a/ goes before a-b/, part by part
    assert content_digest(tmp_path, "md5") == md5(joined)
    assert content_digest(tmp_path, "sha256") == hashlib.sha256(joined).hexdigest()
    assert content_digest(tmp_path / "a/x", "md5") == md5(b"1")


def test_the_zip_of_the_card_is_located_checked_and_unpacked(tmp_path):
    card = make_card(sha256=make_zip(tmp_path / "M.zip", {**folded(), "M/fold_b/x": b"other"}))
    weights = find_weights(fold_spec(card, 1), tmp_path)
    with unpacked(weights, tmp_path) as path:
        assert path.name == "fold_a"
        assert sorted(p.name for p in path.rglob("*") if p.is_file()) == sorted(
            Path(name).name for name in FILES
        )
        assert not (path.parent / "fold_b").exists()
    assert unpack_first(card, tmp_path)["md5"] == FOLDER_MD5
    assert [p.name for p in tmp_path.iterdir()] == ["M.zip"]


@pytest.mark.parametrize("root", ["M/fold_a", "download/M/fold_a", "fold_a"])
def test_a_zip_of_any_name_and_nesting_is_identified_by_its_hash(tmp_path, root):
    make_zip(tmp_path / "a.zip", folded("other"))
    entries = {**folded(root), "__MACOSX/M/fold_a/._saved_model.pb": b"junk"}
    card = make_card(sha256=make_zip(tmp_path / "download(1).zip", entries))
    assert find_weights(fold_spec(card, 1), tmp_path).archive == tmp_path / "download(1).zip"
    assert unpack_first(card, tmp_path)["md5"] == FOLDER_MD5


def test_without_a_hash_of_the_archive_any_zip_with_the_fold_is_used(tmp_path):
    make_zip(tmp_path / "a.zip", {"readme": b"none"})
    make_zip(tmp_path / "b.zip", folded())
    assert find_weights(fold_spec(make_card(), 1), tmp_path).archive == tmp_path / "b.zip"


@pytest.mark.parametrize("place", ["M/fold_a", "toy/M/fold_a", "toy/fold_a", "fold_a"])
def test_unpacked_weights_are_identified_by_their_md5(tmp_path, place):
    for name, content in FILES.items():
        path = tmp_path / place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    card = make_card(sha256="0" * 64)
    assert find_weights(fold_spec(card, 1), tmp_path) == Weights(tmp_path / place)
    assert unpack_first(card, tmp_path)["md5"] == FOLDER_MD5
    with pytest.raises(WeightsError, match="missing"):  # nothing could vouch for them
        find_weights(fold_spec(make_card(sha256="0" * 64, md5=None), 1), tmp_path)


def test_the_message_for_missing_weights_names_page_file_and_folder(tmp_path):
    with pytest.raises(WeightsError) as error:
        find_weights(fold_spec(make_card(sha256="0" * 64), 1), tmp_path / "models")
    for word in ("https://example.org/page", "M.zip", str(tmp_path / "models"), "fold 1", "toy"):
        assert word in str(error.value)
    assert "\n" not in str(error.value)


def test_an_archive_with_a_wrong_hash_is_not_opened(tmp_path, monkeypatch):
    digest = make_zip(tmp_path / "M.zip", folded())
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *a, **k: pytest.fail("opened"))
    card = make_card(sha256="0" * 64)
    with pytest.raises(WeightsError) as error:
        find_weights(fold_spec(card, 1), tmp_path)
    for word in ("M.zip", digest, "0" * 64, "https://example.org/page"):
        assert word in str(error.value)


def test_a_fold_with_a_wrong_md5_is_refused(tmp_path):
    make_zip(tmp_path / "M.zip", folded())
    with pytest.raises(WeightsError) as error:
        unpack_first(make_card(md5="1" * 32), tmp_path)
    for word in ("toy", "fold 1", "M.zip", "M/fold_a", FOLDER_MD5, "1" * 32):
        assert word in str(error.value)


def test_a_missing_md5_is_computed(tmp_path):
    make_zip(tmp_path / "M.zip", folded())
    assert unpack_first(make_card(md5=None), tmp_path) == {
        "md5": FOLDER_MD5,
        "sha256": hashlib.sha256(b"fgraphindex").hexdigest(),
    }


def test_weights_beside_the_card(tmp_path):
    card = make_card("w/a.keras", None, None, fmt="keras") | {"folder": str(tmp_path)}
    with pytest.raises(WeightsError, match="fold 1 is missing: .*w/a.keras does not exist"):
        find_weights(fold_spec(card, 1), tmp_path)
    (tmp_path / "w").mkdir()
    (tmp_path / "w/a.keras").write_bytes(b"x")
    assert find_weights(fold_spec(card, 1), tmp_path / "none") == Weights(tmp_path / "w/a.keras")


def test_locating_weights_imports_no_framework():
    import subprocess

    code = "import sys, lesionflow.networks.weights.locate; print('tensorflow' in sys.modules or 'h5py' in sys.modules)"
    scripts = Path(__file__).parents[2] / "scripts"
    done = subprocess.run([sys.executable, "-c", code], cwd=scripts, capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr


def test_the_folder_of_an_import_is_not_mistaken_for_weights(tmp_path):
    card = make_card(sha256=None)
    card["folds"][0]["path"] = "net/fold-1"
    (tmp_path / "toy/fold-1").mkdir(parents=True)
    (tmp_path / "toy/fold-1/fold.json").touch()
    with pytest.raises(WeightsError, match="missing"):
        find_weights(fold_spec(card, 1), tmp_path)
