"""The target ``evaluate``: predictions compared with reference segmentations, after the main run."""

import shutil

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from support.bids_validator import bids_errors
from support.cohorts import AFFINE
from support.paths import REPOSITORY
from support.runs import jobs, snakemake
from support.volumes import save_scan

pytestmark = pytest.mark.slow

SCANS = {"sub-01_ses-1": "sub-01/ses-1", "sub-01_ses-2": "sub-01/ses-2", "sub-02": "sub-02"}
SHAPE = (30, 32, 14)
ELSEWHERE = (25, 6, 10)  # without a lesion in the scan


def write_reference(directory, scan, centres, dtype=np.uint8, value=1):
    """Write a reference image with boxes of 3 x 3 x 1 voxels, like those of ``support.cohorts.blobs``."""
    data = np.zeros(SHAPE, dtype)
    for i, j, k in centres:
        data[i - 1 : i + 2, j - 1 : j + 2, k] = value
    path = directory / "bids" / SCANS[scan] / f"anat/{scan}_desc-truth_dseg.nii.gz"
    return save_scan(path, data, AFFINE)


def planned_jobs(run, *args, **config):
    """The jobs of a dry run, by rule."""
    status, text = run(*args, "--dry-run", **config)
    assert status == 0, text
    return jobs(text)


def tables(directory):
    """evaluation.csv by scan, and evaluation_thresholds.csv."""
    evaluation = pd.read_csv(directory / "results/evaluation.csv").set_index("scan")
    return evaluation, pd.read_csv(directory / "results/evaluation_thresholds.csv")


@pytest.fixture(scope="module")
def evaluated(finished, tmp_path_factory, tiny, models_dir):
    """The finished run with reference images, after ``evaluate``.

    Of two predicted lesions in the first scan one is a false positive, and one reference lesion is missed; the
    lesion of the second scan is detected; the third has neither.
    """
    directory = tmp_path_factory.mktemp("evaluated") / "run"
    shutil.copytree(finished, directory)
    write_reference(directory, "sub-01_ses-1", [(8, 9, 5), ELSEWHERE], value=7)
    write_reference(directory, "sub-01_ses-2", [(8, 9, 5)])
    write_reference(directory, "sub-02", [])
    status, text = snakemake(directory, "--dry-run", models=tiny, models_dir=models_dir)
    # the main run reads no reference segmentation; the report has a link to the evaluation where there are some
    assert status == 0 and jobs(text) == {"report": 1}, text
    status, text = snakemake(directory, "evaluate", models=tiny, models_dir=models_dir)
    assert status == 0, text
    assert jobs(text) == {"compare": 3, "show_errors": 3, "evaluate": 1}
    return directory


def test_an_evaluation_leaves_valid_bids_datasets(evaluated):
    assert bids_errors(evaluated / "results") == []
    assert bids_errors(evaluated / "results/tiny") == []


@pytest.fixture
def run_again(evaluated, tmp_path, tiny, models_dir):
    """A copy of the evaluated run, and a function that runs Snakemake in it."""
    directory = tmp_path / "again"
    shutil.copytree(evaluated, directory)

    def run(*args, **config):
        return snakemake(directory, *args, **{"models": tiny, "models_dir": models_dir, **config})

    return directory, run


def test_counts_and_volumes_agree_with_the_cohort_table(evaluated):
    evaluation, thresholds = tables(evaluated)
    cohort = pd.read_csv(evaluated / "results/cohort.csv").set_index("scan")
    assert evaluation["count"].to_dict() == cohort.cmb_count.to_dict()
    assert evaluation.volume_mm3.to_dict() == cohort.cmb_volume_mm3.to_dict()
    assert evaluation.status.tolist() == ["ok"] * 3
    assert evaluation.truth.tolist() == ["lesions", "lesions", "empty"]
    assert evaluation.truth_count.tolist() == [2, 1, 0]
    assert evaluation.found.tolist() == [1, 1, 0]
    assert evaluation.false_positives.tolist() == [1, 0, 0]
    assert evaluation.truth_volume_mm3.tolist() == pytest.approx(
        [2 * 9 * 0.9**2 * 1.8, 9 * 0.9**2 * 1.8, 0], abs=1e-3
    )
    assert evaluation.loc["sub-02", ["dice", "sensitivity", "f1"]].isna().all()
    row = thresholds[thresholds.card].iloc[0]
    assert (row.threshold, row.min_volume_mm3, row.scans) == (0.85, 0, 3)
    assert (row.lesions, row.found, row["count"], row.true_detections) == (3, 2, 3, 2)
    assert row.f1 == pytest.approx(2 / 3, abs=1e-4)
    assert row.false_positives_a_scan == pytest.approx(1 / 3, abs=1e-4)
    assert thresholds.best.sum() == 1
    page = (evaluated / "results/evaluation.html").read_text()
    assert "3 of 3 scans compared with the reference" in page


def test_missed_and_false_lesions_are_listed_and_shown(evaluated):
    errors = pd.read_csv(evaluated / "results/evaluation_errors.csv")
    assert errors.scan.tolist() == ["sub-01_ses-1"] * 2
    assert errors.error.tolist() == ["missed", "false positive"]
    i, j, k = ELSEWHERE
    assert tuple(errors.loc[0, ["x_mm", "y_mm", "z_mm"]]) == pytest.approx(
        tuple(nib.affines.apply_affine(AFFINE, ELSEWHERE)), abs=1e-3
    )
    slices = errors.loc[0, ["axial_slice", "coronal_slice", "sagittal_slice"]].tolist()
    codes = "".join(nib.aff2axcodes(AFFINE))
    expected = dict(zip(codes, (i, j, k), strict=True))
    assert slices == [
        next(index for code, index in expected.items() if code in pair)
        for pair in ("SI", "AP", "LR")
    ]
    lesions = pd.read_csv(evaluated / "results/lesions.csv").set_index(["scan", "lesion"])
    lesion = lesions.loc["sub-01_ses-1", errors.lesion[1]]
    assert errors.volume_mm3[1] == lesion.volume_mm3
    assert errors.max_probability[1] == lesion.max_probability
    folder = evaluated / "results/tiny/sub-01/ses-1/anat"
    script = (folder / "sub-01_ses-1_desc-truth_errors.js").read_text(encoding="utf-8")
    assert script.count('"picture":"data:image/webp;base64,') == 2
    page = (evaluated / "results/evaluation.html").read_text(encoding="utf-8")
    assert page.count('<details class="errors"') == 1
    assert 'data-source="tiny/sub-01/ses-1/anat/sub-01_ses-1_desc-truth_errors.js"' in page


def test_dice_agrees_with_the_segmentation_on_the_original_grid(evaluated):
    evaluation, _ = tables(evaluated)
    folder = evaluated / "results/tiny/sub-01/ses-2/anat"
    predicted = nib.load(folder / "sub-01_ses-2_space-orig_dseg.nii.gz").get_fdata() > 0
    path = evaluated / "bids/sub-01/ses-2/anat/sub-01_ses-2_desc-truth_dseg.nii.gz"
    reference = nib.load(path).get_fdata() > 0
    expected = 2 * (predicted & reference).sum() / (predicted.sum() + reference.sum())
    assert evaluation.dice["sub-01_ses-2"] == pytest.approx(expected, abs=1e-4)
    assert expected > 0.3


def test_only_scans_with_a_changed_input_are_compared_again(run_again):
    directory, run = run_again
    assert planned_jobs(run, "evaluate") == {}
    evaluation = {"compare": 3, "show_errors": 3, "evaluate": 1}
    main_run = planned_jobs(run, threshold=0.9)
    planned = planned_jobs(run, "evaluate", threshold=0.9)
    assert evaluation.items() <= planned.items()
    lesion_steps = {"threshold": 3, "count": 3, "restore": 3}  # whose results show_errors reads
    assert lesion_steps.items() <= main_run.items() and planned == evaluation | lesion_steps
    write_reference(directory, "sub-02", [(10, 10, 5)])
    assert planned_jobs(run, "evaluate") == {"compare": 1, "show_errors": 1, "evaluate": 1}


def test_missing_pictures_of_errors_are_made_again(run_again):
    directory, run = run_again
    script = directory / "results/tiny/sub-02/anat/sub-02_desc-truth_errors.js"
    script.unlink()
    assert planned_jobs(run, "evaluate") == {"show_errors": 1, "evaluate": 1}


def test_an_unusable_reference_affects_only_its_scan(run_again):
    directory, run = run_again
    write_reference(directory, "sub-01_ses-1", [(8, 9, 5)], np.float32, 0.5)
    write_reference(directory, "sub-01_ses-2", [(8, 9, 5)]).write_bytes(b"")
    status, text = run("evaluate")
    assert status == 0, text
    assert jobs(text) == {"compare": 1, "show_errors": 1, "evaluate": 1}
    evaluation, thresholds = tables(directory)
    assert evaluation.status.tolist() == ["truth-unusable", "truth-unusable", "ok"]
    assert "not a label image" in evaluation.reason.iloc[0]
    assert "empty (0 bytes)" in evaluation.reason.iloc[1]
    assert set(thresholds.scans) == {1}


def test_failed_scans_are_listed_in_the_table(run_again, tmp_path):
    directory, run = run_again
    for name in ("rules", "scripts", "config", "profiles", "envs", "resources"):
        shutil.copytree(REPOSITORY / name, tmp_path / "repository" / name)
    shutil.copy(REPOSITORY / "Snakefile", tmp_path / "repository")
    step = tmp_path / "repository/scripts/compare.py"
    begin = "    with logged(snakemake):\n"
    fail = '        if "sub-02" in str(path):\n            raise ValueError("broken")\n'
    step.write_text(step.read_text().replace(begin, begin + fail))
    status, text = run("evaluate", repository=tmp_path / "repository")
    assert status != 0
    assert "2 of 3 scans ok, 1 failed:compare" in text
    assert "evaluation.csv" in text
    rows = pd.read_csv(directory / "results/evaluation.csv").set_index("scan")
    assert rows.status.tolist() == ["ok", "ok", "failed:compare"]


def test_evaluate_without_any_reference_segmentation_is_an_error(again):
    _, run = again
    status, text = run("evaluate", "--dry-run")
    assert status != 0
    assert "no scan that can be run has a reference segmentation" in text
    assert "column truth" in text
