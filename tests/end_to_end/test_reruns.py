"""A run computes only what changed, and a dry run lists the jobs."""

import os
import shutil
import time

import pytest

from support.cohorts import AFFINE, add_scan, blobs, save_network, write_card
from support.paths import REPOSITORY
from support.runs import jobs, snakemake

pytestmark = pytest.mark.slow

TABLE_JOBS = {"aggregate": 1, "report": 1}
SCAN_JOBS = {
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
    "show": 1,
}
SWI = "bids/sub-02/anat/sub-02_swi.nii.gz"


def planned_jobs(run, **config):
    """The jobs of a dry run, by rule."""
    status, text = run("--dry-run", **config)
    assert status == 0, text
    return jobs(text)


def test_an_unchanged_cohort_runs_no_job(again):
    _, run = again
    assert planned_jobs(run) == {}


def test_a_scan_with_a_new_mtime_runs_no_job(again):
    directory, run = again
    os.utime(directory / SWI)
    assert planned_jobs(run) == {}


def test_a_scan_replaced_by_an_identical_copy_runs_no_job(again):
    directory, run = again
    shutil.copyfile(directory / SWI, directory / "copy.nii.gz")
    (directory / "copy.nii.gz").replace(directory / SWI)
    assert planned_jobs(run) == {}


def test_an_edited_scan_is_computed_again(again):
    directory, run = again
    time.sleep(0.01)
    add_scan(directory / "bids", "sub-02", blobs([(10, 10, 5)], seed=3))
    assert planned_jobs(run) == SCAN_JOBS | TABLE_JOBS
    status, text = run()
    assert status == 0, text
    assert jobs(text) == SCAN_JOBS | TABLE_JOBS
    assert "sub-02,02,,,ok,,1," in (directory / "results/cohort.csv").read_text()
    assert planned_jobs(run) == {}


def test_an_edited_scan_with_the_old_mtime_is_computed_again(again):
    directory, run = again
    mtime_ns = (directory / SWI).stat().st_mtime_ns
    add_scan(directory / "bids", "sub-02", blobs([(10, 10, 5)], seed=3))
    for path in (directory / SWI).parent.iterdir():
        os.utime(path, ns=(mtime_ns, mtime_ns))
    assert planned_jobs(run) == SCAN_JOBS | TABLE_JOBS


def test_a_new_file_beside_a_scan_reruns_only_steps_that_read_it(again):
    directory, run = again
    anat = (directory / SWI).parent
    shutil.copyfile(directory / SWI, anat / "sub-02_desc-truth_dseg.nii.gz")
    assert planned_jobs(run) == {"report": 1}  # which then links to the evaluation
    shutil.copyfile(directory / SWI, anat / "sub-02_desc-regions_dseg.nii.gz")
    assert planned_jobs(run) == TABLE_JOBS | {"count": 1, "restore": 1, "draw": 1, "show": 1}


def test_an_added_scan_is_computed(again):
    directory, run = again
    add_scan(directory / "bids", "sub-03", blobs([], seed=5))
    assert planned_jobs(run) == SCAN_JOBS | TABLE_JOBS


def test_an_added_empty_file_runs_only_the_tables(again):
    directory, run = again
    (directory / "bids/sub-03/anat").mkdir(parents=True)
    (directory / "bids/sub-03/anat/sub-03_swi.nii.gz").touch()
    assert planned_jobs(run) == TABLE_JOBS


def test_a_removed_scan_runs_only_the_tables(again):
    directory, run = again
    shutil.rmtree(directory / "bids/sub-02")
    assert planned_jobs(run) == TABLE_JOBS
    status, text = run()
    assert status == 0, text
    assert "sub-02" not in (directory / "results/cohort.csv").read_text()


def test_an_excluded_scan_runs_only_the_tables(again):
    _, run = again
    assert planned_jobs(run, exclude="sub-02") == TABLE_JOBS


def test_a_new_threshold_reruns_no_prediction(again):
    _, run = again
    assert planned_jobs(run, threshold=0.9) == TABLE_JOBS | {
        step: 3 for step in ("threshold", "count", "restore", "draw", "show")
    }


def test_a_new_minimum_volume_reruns_count_and_later_steps(again):
    _, run = again
    assert planned_jobs(run, min_volume_mm3=2) == TABLE_JOBS | {
        step: 3 for step in ("count", "restore", "draw", "show")
    }


def test_provided_masks_do_not_depend_on_the_card_of_computed_masks(again):
    _, run = again
    assert planned_jobs(run, brain_mask="provided") == {}


@pytest.fixture
def card(tiny, tmp_path):
    """The tiny card, to be edited in place; it is restored afterwards."""
    shutil.copytree(tiny.parent, tmp_path / "saved")
    yield tiny
    shutil.rmtree(tiny.parent)
    shutil.copytree(tmp_path / "saved", tiny.parent)


def test_new_weights_of_one_fold_rerun_only_its_predictions(again, card):
    _, run = again
    shutil.rmtree(card.parent / "weights/fold-2")
    save_network(card.parent / "weights/fold-2", 0.97)
    expected = {
        "import_fold": 1,
        "predict_fold": 3,  # one fold of three scans
        "describe": 1,
        **{s: 3 for s in ("average_folds", "threshold", "count", "restore", "draw", "show")},
        **TABLE_JOBS,
    }
    assert planned_jobs(run) == expected


def test_imported_folds_in_a_shared_folder_are_checked_against_the_card(
    finished, tmp_path, card, models_dir
):
    """Snakemake has no records in another working directory."""
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


def test_another_description_in_the_card_reruns_no_scan(again, card):
    _, run = again
    write_card(card.parent, description="Other words.")
    assert planned_jobs(run) == {"describe": 1, "report": 1}


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


def test_comments_and_unrelated_scripts_rerun_nothing(again, repository):
    _, run = again
    for path in repository.rglob("*.py"):
        os.utime(path)
        path.write_text(path.read_text() + "\n# a comment\n")
    edit(repository / "rules/lesions.smk", '"""From', '"""Now from')
    (repository / "scripts/another.py").write_text("x = 1\n")
    assert planned_jobs(run, repository=repository) == {}


def test_an_edited_module_reruns_the_steps_that_import_it(again, repository):
    _, run = again
    edit(
        repository / "scripts/lesionflow/results/pictures/qc_figure.py",
        "BETWEEN = 4",
        "BETWEEN = 5",
    )
    assert planned_jobs(run, repository=repository) == {"draw": 3} | TABLE_JOBS


def test_an_edited_step_reruns_itself_and_later_steps(again, repository):
    _, run = again
    edit(
        repository / "scripts/threshold.py",
        "with logged(snakemake):",
        "with logged(snakemake):\n        pass",
    )
    assert planned_jobs(run, repository=repository) == TABLE_JOBS | {
        step: 3 for step in ("threshold", "count", "restore", "draw", "show")
    }


def test_a_missing_result_is_computed_again(again):
    directory, run = again
    (directory / "results/tiny/sub-02/anat/sub-02_qc.png").unlink()
    assert planned_jobs(run) == {"draw": 1} | TABLE_JOBS


def test_a_scan_with_another_affine_is_computed_again(again):
    directory, run = again
    shifted = AFFINE.copy()
    shifted[0, 3] += 1
    time.sleep(0.01)
    add_scan(directory / "bids", "sub-02", blobs([], seed=3), shifted)
    assert planned_jobs(run)["predict_fold"] == 3
