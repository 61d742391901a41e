"""Only what changed is computed again, and a dry run tells it beforehand."""

import os
import shutil
import time

import numpy as np
import pytest

from support.cohorts import AFFINE, add_scan, blobs, save_network, write_card
from support.paths import REPOSITORY
from support.runs import jobs, snakemake

pytestmark = pytest.mark.slow

TABLES = {"aggregate": 1, "report": 1}
SCAN = {
    "resample": 1,
    "mask": 1,
    "crop": 1,
    "normalize": 1,
    "predict_fold": 3,
    "average_folds": 1,
    "threshold": 1,
    "count": 1,
    "restore": 1,
    "draw": 1,
}
SWI = "bids/sub-02/anat/sub-02_swi.nii.gz"


def planned(run, **config):
    status, text = run("--dry-run", **config)
    assert status == 0, text
    return jobs(text)


def test_nothing_changed(again):
    _, run = again
    assert planned(run) == {}


def test_a_touched_scan(again):
    directory, run = again
    os.utime(directory / SWI)
    assert planned(run) == {}


def test_an_identical_scan_copied_anew(again):
    directory, run = again
    shutil.copyfile(directory / SWI, directory / "copy.nii.gz")
    (directory / "copy.nii.gz").replace(directory / SWI)
    assert planned(run) == {}


def test_an_edited_scan(again):
    directory, run = again
    time.sleep(0.01)
    add_scan(directory / "bids", "sub-02", blobs([(10, 10, 5)], seed=3))
    assert planned(run) == SCAN | TABLES
    status, text = run()
    assert status == 0, text
    assert jobs(text) == SCAN | TABLES
    assert "sub-02,02,,,ok,,1," in (directory / "results/cohort.csv").read_text()
    assert planned(run) == {}


def test_an_edited_scan_under_an_old_time(again):
    directory, run = again
    old = (directory / SWI).stat().st_mtime_ns
    add_scan(directory / "bids", "sub-02", blobs([(10, 10, 5)], seed=3))
    for path in (directory / SWI).parent.iterdir():
        os.utime(path, ns=(old, old))
    assert planned(run) == SCAN | TABLES


def test_what_is_put_beside_a_scan_reruns_what_reads_it(again):
    directory, run = again
    anat = (directory / SWI).parent
    shutil.copyfile(directory / SWI, anat / "sub-02_desc-truth_dseg.nii.gz")
    assert planned(run) == {}
    shutil.copyfile(directory / SWI, anat / "sub-02_desc-regions_dseg.nii.gz")
    assert planned(run) == TABLES | {"count": 1, "restore": 1, "draw": 1}


def test_an_added_scan(again):
    directory, run = again
    add_scan(directory / "bids", "sub-03", blobs([], seed=5))
    assert planned(run) == SCAN | TABLES


def test_an_added_scan_that_is_broken(again):
    directory, run = again
    (directory / "bids/sub-03/anat").mkdir(parents=True)
    (directory / "bids/sub-03/anat/sub-03_swi.nii.gz").touch()
    assert planned(run) == TABLES


def test_a_removed_scan(again):
    directory, run = again
    shutil.rmtree(directory / "bids/sub-02")
    assert planned(run) == TABLES
    status, text = run()
    assert status == 0, text
    assert "sub-02" not in (directory / "results/cohort.csv").read_text()


def test_an_excluded_scan(again):
    _, run = again
    assert planned(run, exclude="sub-02") == TABLES


def test_a_new_threshold_predicts_nothing(again):
    _, run = again
    assert planned(run, threshold=0.9) == TABLES | {
        step: 3 for step in ("threshold", "count", "restore", "draw")
    }


def test_a_new_smallest_volume_counts_again(again):
    _, run = again
    assert planned(run, min_volume_mm3=2) == TABLES | {
        step: 3 for step in ("count", "restore", "draw")
    }


def test_masks_that_are_given_do_not_depend_on_what_would_find_them(again):
    _, run = again
    assert planned(run, brain_mask="provided") == {}


@pytest.fixture
def card(tiny, tmp_path):
    """The tiny card to edit in its place; it is put back as it was."""
    shutil.copytree(tiny.parent, tmp_path / "saved")
    yield tiny
    shutil.rmtree(tiny.parent)
    shutil.copytree(tmp_path / "saved", tiny.parent)


def test_new_weights_of_one_fold(again, card):
    _, run = again
    shutil.rmtree(card.parent / "weights/fold-2")
    save_network(card.parent / "weights/fold-2", 0.97)
    expected = {
        "import_fold": 1,
        "predict_fold": 3,  # the one fold, on three scans
        "describe": 1,
        **{s: 3 for s in ("average_folds", "threshold", "count", "restore", "draw")},
        **TABLES,
    }
    assert planned(run) == expected


def test_a_shared_folder_of_models_is_held_against_the_card(finished, tmp_path, card, models_dir):
    """Another working directory, of which Snakemake remembers nothing."""
    directory = tmp_path / "fresh"
    shutil.copytree(finished / "bids", directory / "bids")

    def folds_to_import(path):
        args = {"models": path, "models_dir": models_dir}
        status, text = snakemake(directory, "--dry-run", **args)
        assert status == 0, text
        return jobs(text).get("import_fold", 0)

    same = write_card(card.parent, folds=[{"path": f"weights/fold-{n}"} for n in (1, 2, 3)])
    assert folds_to_import(same) == 0
    other = write_card(
        card.parent, output={"labels": {1: "cmb"}, "mask": "brain", "tolerance": 1e-4}
    )
    assert folds_to_import(other) == 3
    assert folds_to_import(write_card(card.parent)) == 0


def test_another_description_in_the_card_runs_no_scan(again, card):
    _, run = again
    write_card(card.parent, description="Other words.")
    assert planned(run) == {"describe": 1, "report": 1}


@pytest.fixture
def repository(tmp_path):
    """A copy of the project to edit."""
    for name in ("rules", "scripts", "config", "profiles", "envs", "resources"):
        shutil.copytree(REPOSITORY / name, tmp_path / "repository" / name)
    shutil.copy(REPOSITORY / "Snakefile", tmp_path / "repository")
    return tmp_path / "repository"


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_an_unrelated_edit(again, repository):
    _, run = again
    for path in repository.rglob("*.py"):
        os.utime(path)
        path.write_text(path.read_text() + "\n# a comment\n")
    edit(repository / "rules/lesions.smk", '"""From', '"""Now from')
    (repository / "scripts/another.py").write_text("x = 1\n")
    assert planned(run, repository=repository) == {}


def test_an_edited_module_runs_the_steps_that_import_it(again, repository):
    _, run = again
    edit(repository / "scripts/lesionflow/results/qc_figure.py", "HALF_MM = 16.0", "HALF_MM = 20.0")
    assert planned(run, repository=repository) == {"draw": 3} | TABLES


def test_an_edited_step_runs_itself_and_what_follows(again, repository):
    _, run = again
    edit(
        repository / "scripts/threshold.py",
        "with logged(snakemake):",
        "with logged(snakemake):\n        pass",
    )
    assert planned(run, repository=repository) == TABLES | {
        step: 3 for step in ("threshold", "count", "restore", "draw")
    }


def test_an_interrupted_run_takes_up_what_is_missing(again):
    directory, run = again
    (directory / "results/tiny/sub-02/anat/sub-02_qc.png").unlink()
    assert planned(run) == {"draw": 1} | TABLES


def test_the_affine_of_a_scan_is_content_too(again):
    directory, run = again
    moved = AFFINE.copy()
    moved[0, 3] += 1
    time.sleep(0.01)
    add_scan(directory / "bids", "sub-02", blobs([], seed=3), moved)
    assert planned(run)["predict_fold"] == 3
    assert np.isfinite(moved).all()
