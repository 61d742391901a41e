"""The results are BIDS derivatives datasets in which the official validator finds no error."""

import json
import shutil
from pathlib import Path

import pytest

from support.bids_validator import bids_errors, bids_issues
from support.changed_files import planned

pytestmark = pytest.mark.slow
SCAN = "sub-01_ses-1"
ANAT = "sub-01/ses-1/anat"
TABLES = ("dseg.tsv", "descriptions.tsv", f"{ANAT}/{SCAN}_desc-lesions_dseg.tsv")


@pytest.fixture
def results(finished, tmp_path):
    """A copy of the results of a finished run, to be edited."""
    shutil.copytree(finished / "results", tmp_path / "results")
    return tmp_path / "results"


def images(dataset):
    """Names of the images of a dataset that BIDS has a name for, with the JSON file beside each."""
    ignored = ("desc-folds_std", "_swi")
    paths = [path for path in dataset.rglob("*.nii.gz") if not path.stem[:-4].endswith(ignored)]
    return {path.relative_to(dataset).as_posix(): Path(f"{str(path)[:-7]}.json") for path in paths}


@pytest.mark.parametrize("folder", ["results", "results/tiny"])
def test_the_validator_finds_no_error_in_the_results(finished, folder):
    assert bids_errors(finished / folder) == []


def test_warnings_ask_for_authors_for_metadata_of_tables_and_for_the_units_of_a_scan(finished):
    found = bids_issues(finished / "results/tiny")
    assert {issue[:3] for issue in found} == {
        ("warning", "TOO_FEW_AUTHORS", ""),
        ("warning", "SIDECAR_KEY_RECOMMENDED", "Description"),
        ("warning", "SIDECAR_KEY_RECOMMENDED", "SpatialReference"),
        ("warning", "NIFTI_UNIT", ""),
    }
    places = {code: {issue[3] for issue in found if issue[1] == code} for _, code, *_ in found}
    assert all(name.endswith(".tsv") for name in places["SIDECAR_KEY_RECOMMENDED"])
    # the scans of this cohort have no unit in their headers, which images on their grids keep
    assert all("space-orig" in name for name in places["NIFTI_UNIT"])


def test_the_validator_reads_the_images_and_does_not_ignore_them(results):
    dataset = results / "tiny"
    sidecars = images(dataset)
    # three scans: three folds, two means, thresholded labels, lesions and kept labels on two grids, and the mask
    assert len(sidecars) == 3 * 11
    for path in sidecars.values():
        path.unlink()
    errors = {(code, key, name[1:]) for _, code, key, name in bids_errors(dataset)}
    assert errors == {("SIDECAR_KEY_REQUIRED", "SpatialReference", name) for name in sidecars}


def test_names_that_lesionflow_does_not_write_are_errors(results):
    added = {f"tiny/{ANAT}/{SCAN}_other.nii.gz", "other.txt", "tiny/cohort.csv"}
    for name in added:
        (results / name).write_text("x")
    found = {f"tiny{issue[3]}" for issue in bids_errors(results / "tiny")}
    found |= {issue[3][1:] for issue in bids_errors(results)}
    assert found == added


def test_scans_with_runs_are_valid(results):
    for path in sorted((results / "tiny/sub-02/anat").iterdir()):
        path.rename(path.with_name(path.name.replace("sub-02_", "sub-02_run-1_")))
    assert bids_errors(results / "tiny") == []


def test_sources_of_each_image_exist_in_the_linked_datasets(finished):
    dataset = finished / "results/tiny"
    description = json.loads((dataset / "dataset_description.json").read_text())
    roots = {"": dataset}
    roots |= {name: dataset / link for name, link in description["DatasetLinks"].items()}
    named = set()
    for name, path in images(dataset).items():
        metadata = json.loads(path.read_text())
        assert metadata["Sources"], name
        for uri in (*metadata["Sources"], metadata["SpatialReference"]):
            scheme, root, relative = uri.split(":")
            assert scheme == "bids"
            assert (roots[root] / relative).exists(), (name, uri)
            named.add(root)
    assert named == {"", "raw", "models"}


def test_images_are_aligned_with_the_scan_and_name_the_files_that_they_were_made_of(finished):
    folder = finished / "results/tiny" / ANAT
    scan = f"bids:raw:{ANAT}/{SCAN}_swi.nii.gz"

    def metadata(name):
        return json.loads((folder / f"{SCAN}_{name}.json").read_text())

    for name in ("space-orig_dseg", "space-model_dseg", "space-model_desc-preproc_swi"):
        assert metadata(name)["SpatialReference"] == scan
    mask = metadata("space-model_desc-brain_mask")
    assert mask["Type"] == "Brain"
    assert mask["Sources"] == [f"bids:raw:{ANAT}/{SCAN}_desc-brain_mask.nii.gz"]
    fold = metadata("space-model_desc-fold2_probseg")
    *_, network = fold["Sources"]
    assert network.startswith("bids:models:tiny/fold-2-") and network.endswith("/fold.json")
    lesions = metadata("space-orig_desc-lesions_dseg")
    made_of = f"bids::{ANAT}/{SCAN}_space-model_desc-lesions_dseg.nii.gz"
    assert lesions["Sources"] == [made_of, scan]


def test_lesion_maps_have_a_table_of_their_numbers(finished):
    path = finished / "results/tiny" / TABLES[-1]
    rows = path.read_text().splitlines()
    assert rows == ["index\tname", "0\tbackground", "1\tcmb 1", "2\tcmb 2"]


def test_a_scan_with_another_name_is_no_other_scan(again):
    directory, run = again
    path = directory / "bids/sub-02/anat/sub-02_swi.nii.gz"
    path.rename(path.with_name("sub-02_acq-1_swi.nii.gz"))
    assert planned(run) == {}


def test_a_deleted_file_of_the_dataset_is_made_again(again):
    directory, run = again
    (directory / "results/tiny/.bidsignore").unlink()
    (directory / "results/README.md").write_text("edited")
    assert planned(run) == {"describe": 1, "describe_cohort": 1}
