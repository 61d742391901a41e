"""Results of a complete run on a small cohort."""

import json

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nibabel.affines import apply_affine

from lesionflow.results import columns
from support.bids_validator import bids_errors
from support.cohorts import AFFINE
from support.runs import jobs, snakemake

pytestmark = pytest.mark.slow


def image(directory, name, scan="sub-01_ses-1", folder="sub-01/ses-1/anat"):
    return nib.load(directory / "results/tiny" / folder / f"{scan}_{name}.nii.gz")


def test_tables_have_one_row_per_scan_and_one_per_lesion(finished):
    cohort = pd.read_csv(finished / "results/cohort.csv", dtype=str, keep_default_na=False)
    assert cohort.scan.tolist() == ["sub-01_ses-1", "sub-01_ses-2", "sub-02"]
    assert cohort.status.tolist() == ["ok"] * 3
    assert cohort.cmb_count.tolist() == ["2", "1", "0"]
    assert list(cohort.columns) == columns.names(
        columns.cohort_columns({"tiny": {"labels": ["cmb"], "soft": []}})
    )
    assert set(cohort.device) == {"cpu"}
    dictionary = json.loads((finished / "results/cohort.json").read_text())
    assert list(dictionary) == list(cohort.columns)
    lesions = pd.read_csv(finished / "results/lesions.csv")
    assert list(lesions.columns) == columns.names(columns.LESION)
    assert lesions.groupby("scan").size().to_dict() == {
        "sub-01_ses-1": 2,
        "sub-01_ses-2": 1,
    }


def test_probability_and_spread_are_mean_and_standard_deviation_of_the_folds(finished):
    network_input = np.asanyarray(image(finished, "space-model_desc-preproc_swi").dataobj)
    brain = np.asanyarray(image(finished, "space-model_desc-brain_mask").dataobj) > 0
    mean = np.asanyarray(image(finished, "space-model_probseg").dataobj)
    folds = [network_input * factor * brain for factor in (1.0, 0.99, 0.98)]
    expected = np.mean(folds, axis=0)
    assert np.abs(mean - expected).max() < 1e-5
    assert mean.max() > 0.9
    spread = np.asanyarray(image(finished, "space-model_desc-folds_std").dataobj)
    assert np.abs(spread - np.std(folds, axis=0)).max() < 1e-5


def test_lesions_are_at_their_simulated_positions(finished):
    table = pd.read_csv(
        finished / "results/tiny/sub-01/ses-1/anat/sub-01_ses-1_lesions.tsv", sep="\t"
    )
    expected_mm = apply_affine(AFFINE, [(8, 9, 5), (20, 22, 9)])
    xyz_mm = table[["x_mm", "y_mm", "z_mm"]].to_numpy()
    distance = np.linalg.norm(xyz_mm[:, None] - expected_mm[None], axis=2)
    assert distance.min(axis=1).max() < 0.9
    assert sorted(distance.argmin(axis=1).tolist()) == [0, 1]


def test_every_lesion_of_the_table_is_in_the_map_on_the_original_grid(finished):
    source = nib.load(finished / "bids/sub-01/ses-1/anat/sub-01_ses-1_swi.nii.gz")
    lesions = image(finished, "space-orig_desc-lesions_dseg")
    table = pd.read_csv(
        finished / "results/tiny/sub-01/ses-1/anat/sub-01_ses-1_lesions.tsv", sep="\t"
    )
    data = np.asanyarray(lesions.dataobj)
    for row in table.itertuples():
        assert data[row.i, row.j, row.k] == row.lesion
    assert set(np.unique(data)) == {0, *table.lesion}
    for name in ("desc-lesions_dseg", "dseg", "probseg"):
        result = image(finished, f"space-orig_{name}")
        assert result.shape == source.shape
        assert np.array_equal(result.affine, source.affine)
        assert result.header["sform_code"] == source.header["sform_code"]
        assert result.header["qform_code"] == source.header["qform_code"]
    bright = np.asanyarray(source.dataobj) > 300
    assert (data[bright] > 0).mean() > 0.9


def test_no_temporary_files_are_left_after_a_run(finished):
    files = {path.name for path in (finished / "work").rglob("*") if path.is_file()}
    assert files == {"headers.json", "code.json", "digests.jsonl"}


def test_figures_exist_and_the_report_links_to_them(finished):
    anat = finished / "results/tiny/sub-02/anat"
    assert (anat / "sub-02_qc.png").stat().st_size > 10_000
    assert (anat / "sub-02_qc.pdf").read_bytes().startswith(b"%PDF-")
    assert 500 < (anat / "sub-02_thumbnail.webp").stat().st_size < 20_000
    page = (finished / "results/report.html").read_text()
    assert "sub-01_ses-2" in page
    assert "tiny/sub-02/anat/" in page and "sub-02_thumbnail.webp" in page
    scan = (anat / "sub-02_lesions.js").read_text()
    assert "sub-02_qc.png" in scan and "sub-02_qc.pdf" in scan


def test_results_of_a_model_are_a_bids_derivatives_dataset(finished):
    description = json.loads((finished / "results/tiny/dataset_description.json").read_text())
    assert description["DatasetType"] == "derivative"
    assert len(description["GeneratedBy"][1]["Folds"]) == 3
    labels = pd.read_csv(finished / "results/tiny/dseg.tsv", sep="\t")
    assert labels.name.tolist() == ["background", "cmb"]


def test_intermediate_images_named_by_keep_are_among_the_results(again):
    directory, run = again
    status, text = run("--forcerun", "resample", keep="[resampled,cropped]", include="sub-02")
    assert status == 0, text
    kept = sorted(p.name for p in (directory / "results").rglob("sub-02*desc-*ed*.nii.gz"))
    assert "sub-02_space-model_desc-cropped.nii.gz" in kept
    assert "sub-02_space-model_desc-resampled_swi.nii.gz" in kept
    sidecar = directory / "results/tiny/sub-02/anat/sub-02_space-model_desc-resampled_swi.json"
    assert json.loads(sidecar.read_text())["Sources"] == ["bids:raw:sub-02/anat/sub-02_swi.nii.gz"]
    assert bids_errors(directory / "results/tiny") == []


def test_error_in_an_empty_directory_suggests_the_demo(tmp_path):
    status, text = snakemake(tmp_path)
    assert status != 0
    assert "make demo" in text
    assert jobs(text) == {}
