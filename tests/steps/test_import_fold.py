"""Step import_fold: weights from a zip archive, or beside the card, imported as folds."""

import shutil
import zipfile
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from snakemake.iocontainers import Namedlist

from lesionflow.base import json_sidecar
from lesionflow.base.digests import sha256_file
from lesionflow.base.errors import WeightsError
from lesionflow.base.file_digests import FileDigests
from lesionflow.cards.fold_spec import fold_spec, fold_specs
from lesionflow.cards.load_card import load_card
from lesionflow.networks.imported_fold import damaged_files
from lesionflow.networks.inference.fold_runner import predict
from lesionflow.networks.weights.import_plan import fold_json, plan_imports
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


def plan(models, card):
    return plan_imports(fold_specs(card), models, "", FileDigests(models.parent / "digests"))


def make_job(models, card, fold, planned=None):
    planned = planned or plan(models, card)[fold - 1]
    spec = fold_spec(card, fold)
    output = fold_json(spec, models, planned.digest)
    output.parent.mkdir(parents=True, exist_ok=True)  # as Snakemake does
    return SimpleNamespace(
        rule="import_fold",
        input=Namedlist(fromdict={"weights": planned.weights}),
        output=SimpleNamespace(fold=str(output)),
        params=SimpleNamespace(spec=asdict(spec) | {"folder": None}, code=""),
        wildcards=SimpleNamespace(model=card["name"], fold=str(fold), digest=planned.digest),
        threads=1,
        log=[str(models.parent / "log.txt")],
    )


def test_folds_of_an_archive_are_imported_one_by_one(models, published):
    card = load_card(published / "toy.yaml", REPOSITORY / "config/models")
    import_fold.main(make_job(models, card, 1))
    import_fold.main(make_job(models, card, 2))
    planned = plan(models, card)
    assert [fold.weights for fold in planned] == ["", ""]
    folders = [
        fold_json(fold_spec(card, number), models, fold.digest).parent
        for number, fold in enumerate(planned, start=1)
    ]
    image = np.random.default_rng(0).random((*SHAPE, 1), np.float32)
    for fold, factor in ((1, 1.0), (2, 0.5)):
        prediction, _ = predict(folders[fold - 1], image, device="cpu")
        np.testing.assert_array_equal(prediction, image * np.float32(factor))
        record = json_sidecar.read(folders[fold - 1] / "fold.json")
        assert (record["fold"], record["md5"]) == (fold, card["folds"][fold - 1]["md5"])
        assert record["archive_sha256"] == card["source"]["sha256"]
    assert sorted(p.name for p in models.iterdir()) == ["download.zip", "toy"]
    assert sorted((models / "toy").iterdir()) == folders
    (models / "download.zip").unlink()
    assert plan(models, card) == planned  # the archive is not needed once its folds are imported


def test_weights_beside_the_card_are_imported_and_left_in_place(tmp_path, published):
    content = yaml.safe_load((published / "toy.yaml").read_text())
    content |= {"source": {}, "folds": [{"path": "M/fold_b.tf_inference"}]}
    (published / "own.yaml").write_text(yaml.safe_dump(content))
    card = load_card(published / "own.yaml", REPOSITORY / "config/models")
    job = make_job(tmp_path / "models", card, 1)
    import_fold.main(job)
    record = json_sidecar.read(job.output.fold)
    assert record["md5"] == content_digest(published / "M/fold_b.tf_inference", "md5")
    assert len(record["weights_sha256"]) == 64
    assert (published / "M/fold_b.tf_inference/saved_model.pb").is_file()


@pytest.mark.parametrize("problem", ["zip", "md5"])
def test_weights_that_have_changed_since_the_run_was_planned_leave_no_fold(
    models, published, problem, monkeypatch
):
    card = load_card(published / "toy.yaml", REPOSITORY / "config/models")
    if problem == "md5":
        card["folds"][0]["md5"] = "0" * 32
    job = make_job(models, card, 1)
    if problem == "zip":
        (models / "download.zip").write_bytes(b"another archive")
    monkeypatch.setattr(
        "lesionflow.networks.importing.fold_folder.tensorflow", lambda *a: pytest.fail("was opened")
    )
    with pytest.raises(WeightsError):
        import_fold.main(job)
    log = (models.parent / "log.txt").read_text()
    assert log.rstrip().splitlines()[-1].startswith("FAILED: model toy: ")
    (folder,) = (models / "toy").iterdir()
    assert list(folder.iterdir()) == []


def test_weights_beside_the_card_that_change_while_a_run_is_on_are_refused(tmp_path, published):
    content = yaml.safe_load((published / "toy.yaml").read_text())
    content |= {"source": {}, "folds": [{"path": "net"}]}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(content))
    save_function(tmp_path / "net", lambda x: x, SHAPE)
    card = load_card(tmp_path / "own.yaml", REPOSITORY / "config/models")
    job = make_job(tmp_path / "models", card, 1)
    shutil.rmtree(tmp_path / "net")
    save_function(tmp_path / "net", lambda x: x * 0.5, SHAPE)
    with pytest.raises(WeightsError, match="has changed since the run began"):
        import_fold.main(job)


def test_a_fold_that_a_killed_run_has_imported_needs_no_weights(models, published):
    """Snakemake begins the job again, since the killed run had not recorded its end."""
    card = load_card(published / "toy.yaml", REPOSITORY / "config/models")
    import_fold.main(make_job(models, card, 1))
    job = make_job(models, card, 1)
    (models / "download.zip").unlink()
    assert not job.input.weights
    import_fold.main(job)
    assert damaged_files(Path(job.output.fold).parent) == []


def test_an_import_that_another_run_has_made_meanwhile_is_kept(models, published):
    card = load_card(published / "toy.yaml", REPOSITORY / "config/models")
    planned = plan(models, card)[0]
    import_fold.main(make_job(models, card, 1, planned))
    folder = fold_json(fold_spec(card, 1), models, planned.digest).parent
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    import_fold.main(make_job(models, card, 1, planned))
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*")} == before
    name = "variables/variables.data-00000-of-00001"
    (folder / name).write_bytes(b"damaged" + (folder / name).read_bytes()[7:])
    import_fold.main(make_job(models, card, 1, planned))
    assert damaged_files(folder) == []
    assert sorted(p.name for p in folder.parent.iterdir()) == [folder.name]
