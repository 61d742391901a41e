"""Step import_fold: weights from a zip archive, or beside the card, imported as folds."""

import zipfile
from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from lesionflow.base import json_sidecar
from lesionflow.base.digests import sha256_file
from lesionflow.base.errors import WeightsError
from lesionflow.cards.fold_spec import fold_spec, fold_specs
from lesionflow.cards.load_card import load_card
from lesionflow.networks.inference.fold_runner import predict
from lesionflow.networks.weights.availability import check_available
from lesionflow.networks.weights.locate import content_digest
from support.paths import REPOSITORY
from support.stand_ins import save_function
from support.steps import step

import_fold = step("import_fold")

pytestmark = pytest.mark.slow
SHAPE = (6, 7, 9)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A zip archive of two folds and its card, as authors would publish them."""
    folder = tmp_path_factory.mktemp("published")
    folds = []
    with zipfile.ZipFile(folder / "any.zip", "w") as archive:
        for name, factor in (("M/fold_a.tf_inference", 1.0), ("M/fold_b.tf_inference", 0.5)):
            path = save_function(folder / name, lambda x, factor=factor: x * factor, SHAPE)
            for file in sorted(p for p in path.rglob("*") if p.is_file()):
                archive.write(file, file.relative_to(folder).as_posix())
            folds.append({"path": name, "md5": content_digest(path, "md5")})
    card = {
        "name": "toy",
        "version": "v1",
        "format": "savedmodel",
        "source": {
            "url": "https://example.org/page",
            "archive": "M.zip",
            "sha256": sha256_file(folder / "any.zip"),
        },
        "folds": folds,
        "input": {"channels": ["swi"], "shape": list(SHAPE)},
        "output": {"labels": {1: "cmb"}},
    }
    (folder / "toy.yaml").write_text(yaml.safe_dump(card))
    return folder


@pytest.fixture
def models(tmp_path, published):
    """A models folder with the archive under another name, as a browser may save it."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models/download.zip").write_bytes((published / "any.zip").read_bytes())
    return tmp_path / "models"


def make_job(models, card, fold):
    output = models / f"{card['name']}/fold-{fold}/fold.json"
    output.parent.mkdir(parents=True, exist_ok=True)  # as Snakemake does
    return SimpleNamespace(
        rule="import_fold",
        input=[],
        output=SimpleNamespace(fold=str(output)),
        params=SimpleNamespace(card=asdict(fold_spec(card, fold)), code=""),
        wildcards=SimpleNamespace(model=card["name"], fold=str(fold)),
        threads=1,
        log=[str(models.parent / "log.txt")],
    )


def test_folds_of_an_archive_are_imported_one_by_one(models, published):
    card = load_card(published / "toy.yaml", REPOSITORY / "config/models")
    check_available(fold_specs(card), models)
    import_fold.main(make_job(models, card, 1))
    import_fold.main(make_job(models, card, 2))
    image = np.random.default_rng(0).random((*SHAPE, 1), np.float32)
    for fold, factor in ((1, 1.0), (2, 0.5)):
        prediction, _ = predict(models / f"toy/fold-{fold}", image, device="cpu")
        np.testing.assert_array_equal(prediction, image * np.float32(factor))
        fold_json = json_sidecar.read(models / f"toy/fold-{fold}/fold.json")
        assert (fold_json["fold"], fold_json["md5"]) == (fold, card["folds"][fold - 1]["md5"])
        assert fold_json["archive_sha256"] == card["source"]["sha256"]
    assert sorted(p.name for p in models.iterdir()) == ["download.zip", "toy"]
    assert sorted(p.name for p in (models / "toy").iterdir()) == ["fold-1", "fold-2"]
    (models / "download.zip").unlink()
    check_available(
        fold_specs(card), models
    )  # the archive is not needed once its folds are imported


def test_weights_beside_the_card_are_imported_and_left_in_place(tmp_path, published):
    content = yaml.safe_load((published / "toy.yaml").read_text())
    content |= {"source": {}, "folds": [{"path": "M/fold_b.tf_inference"}]}
    (published / "own.yaml").write_text(yaml.safe_dump(content))
    card = load_card(published / "own.yaml", REPOSITORY / "config/models")
    import_fold.main(make_job(tmp_path / "models", card, 1))
    fold_json = json_sidecar.read(tmp_path / "models/toy/fold-1/fold.json")
    assert fold_json["md5"] == content_digest(published / "M/fold_b.tf_inference", "md5")
    assert len(fold_json["weights_sha256"]) == 64
    assert (published / "M/fold_b.tf_inference/saved_model.pb").is_file()


@pytest.mark.parametrize("problem", ["zip", "md5", "sha256"])
def test_missing_or_wrong_weights_raise_an_error_and_leave_no_fold(
    models, published, problem, monkeypatch
):
    card = load_card(published / "toy.yaml", REPOSITORY / "config/models")
    if problem == "zip":
        (models / "download.zip").unlink()
    elif problem == "md5":
        card["folds"][0]["md5"] = "0" * 32
    else:
        card["source"]["sha256"] = "0" * 64
    monkeypatch.setattr(
        "lesionflow.networks.importing.fold_folder.tensorflow", lambda *a: pytest.fail("was opened")
    )
    job = make_job(models, card, 1)
    with pytest.raises(WeightsError):
        import_fold.main(job)
    log = (models.parent / "log.txt").read_text()
    assert log.rstrip().splitlines()[-1].startswith("FAILED: model toy: ")
    assert list((models / "toy/fold-1").iterdir()) == []
    assert [p.name for p in (models / "toy").iterdir()] == ["fold-1"]
