"""Imported folds in a folder that runs share: each network gets its own, and a damaged one is imported again."""

import json
import os
import shutil

import pytest

from support.changed_files import cohort_of, flip_a_bit, lesions, planned, start, tables
from support.cohorts import save_network, write_card
from support.runs import snakemake

pytestmark = pytest.mark.slow


@pytest.fixture
def networks(tmp_path):
    """Two networks under one card name and version; the second file is the older one."""
    cards = []
    for name, factor in (("one", 1.0), ("two", 0.4)):
        save_network(tmp_path / name / "weights/fold-1", factor)
        cards.append(write_card(tmp_path / name, folds=[{"path": "weights/fold-1"}]))
    for path in cards[1].parent.rglob("*"):
        os.utime(path, (1e9, 1e9))
    return cards


def test_two_networks_of_one_name_get_their_own_results(tmp_path, networks):
    found, hashes = [], []
    for name, card in zip("ab", networks, strict=True):
        directory = cohort_of(tmp_path / name)
        status, text = snakemake(directory, models=card, models_dir=tmp_path / "models")
        assert status == 0, text
        found.append(lesions(directory))
        status, text = snakemake(
            directory, "check_model", models=card, models_dir=tmp_path / "models"
        )
        assert status == 0, text
        hashes.append([line for line in text.splitlines() if "sha256" in line])
    assert found == [2, 0]
    assert hashes[0] != hashes[1]
    assert len(hashes[0]) == len(hashes[1]) == 1


@pytest.mark.parametrize("same", [True, False])
def test_two_runs_import_into_one_folder_at_the_same_time(tmp_path, networks, same):
    cards = [networks[0], networks[0] if same else networks[1]]
    directories = [cohort_of(tmp_path / name) for name in "ab"]
    config = [{"models": card, "models_dir": tmp_path / "models"} for card in cards]
    runs = [start(d, **c) for d, c in zip(directories, config, strict=True)]
    texts = [run.communicate()[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], texts
    assert [lesions(d) for d in directories] == [2, 2 if same else 0]
    folders = list((tmp_path / "models/tiny").iterdir())
    assert len(folders) == (1 if same else 2)
    for directory, settings in zip(directories, config, strict=True):
        status, text = snakemake(directory, **settings)
        assert status == 0, text
        assert "Nothing to be done" in text


def fold_files(models):
    """The files of imported folds, by name."""
    files = [path for path in sorted(models.rglob("*")) if path.is_file()]
    return {path.relative_to(models).as_posix(): path for path in files}


def test_a_flipped_bit_in_an_imported_fold_changes_no_number(tmp_path, networks):
    models, directory = tmp_path / "models", cohort_of(tmp_path / "a")
    config = {"models": networks[0], "models_dir": models}
    status, text = snakemake(directory, **config)
    assert status == 0, text
    expected = tables(directory)
    originals = {name: path.read_bytes() for name, path in fold_files(models).items()}
    assert any(name.endswith(".blob") for name in originals)
    assert any(name.endswith("openvino.bin") for name in originals)
    for path in fold_files(models).values():
        flip_a_bit(path)
    for path in (directory / "results").rglob("*_probseg.*"):
        path.unlink()
    status, text = snakemake(directory, **config)
    assert status == 0, text
    assert tables(directory) == expected


def test_damage_that_planning_cannot_see_is_noticed_when_the_fold_is_loaded(tmp_path, networks):
    """A bit that the disk has lost: neither size nor times of the file change."""
    models, directory = tmp_path / "models", cohort_of(tmp_path / "a")
    config = {"models": networks[0], "models_dir": models}
    status, text = snakemake(directory, **config)
    assert status == 0, text
    expected = tables(directory)
    assert snakemake(directory, "--dry-run", **config)[0] == 0  # stores the digests of the folds
    for name, path in fold_files(models).items():
        if name.endswith(("openvino.bin", "openvino.xml")):
            flip_a_bit(path)
            restate(directory / "work/digests.jsonl", path)
    for path in (directory / "results").rglob("*_probseg.*"):
        path.unlink()
    status, text = snakemake(directory, **config)
    assert status == 1
    assert "is damaged (openvino" in text and "run the same command again" in text
    status, text = snakemake(directory, **config)
    assert status == 0, text
    assert tables(directory) == expected


def test_a_fold_that_is_imported_again_hides_no_other_change(again, tmp_path, models_dir):
    _, run = again
    shutil.copytree(models_dir, tmp_path / "models")
    for path in (tmp_path / "models").rglob("openvino.xml"):
        path.write_bytes(b"damaged")
    found = planned(run, models_dir=tmp_path / "models", threshold=0.9)
    assert found["import_fold"] == found["threshold"] == 3
    assert "predict_fold" not in found


def restate(store, path):
    """Let the stored digest of a file stand for its present state."""
    stat = path.stat()
    state = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
    entries = [json.loads(line) for line in store.read_text().splitlines()]
    for entry in entries:
        if entry["path"] == str(path):
            entry["state"] = state
    store.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
