"""BIDS URIs name files relative to a dataset, wherever it lies."""

from pathlib import Path

import pytest

from lesionflow.results.bids_uris import Datasets, cohort_folder, label_map


@pytest.fixture
def datasets(tmp_path):
    return Datasets(
        results=tmp_path / "work/results/m",
        models=tmp_path / "models",
        cohort=tmp_path,  # the working directory and the networks lie inside the cohort
    )


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("work/results/m/sub-1/a.nii.gz", "bids::sub-1/a.nii.gz"),
        ("models/m/fold-1-d/fold.json", "bids:models:m/fold-1-d/fold.json"),
        ("sub-1/anat/sub-1_swi.nii.gz", "bids:raw:sub-1/anat/sub-1_swi.nii.gz"),
        ("sub-1/../sub-2/a.nii", "bids:raw:sub-2/a.nii"),
        ("a b/c:d#e?%.nii", "bids:raw:a%20b/c%3Ad%23e%3F%25.nii"),
        ("ü/x.nii", "bids:raw:%C3%BC/x.nii"),
        ("work/results/m2/a.nii", "bids:raw:work/results/m2/a.nii"),  # not in the dataset m
        ("../elsewhere/a.nii", None),
        ("", None),
    ],
)
def test_a_file_is_named_in_the_dataset_that_it_lies_in(datasets, tmp_path, path, uri):
    assert datasets.uri(tmp_path / path) == uri


def test_uris_are_the_same_after_all_has_been_moved(tmp_path, monkeypatch):
    def metadata(root, cohort):
        (root / "run").mkdir(parents=True)
        monkeypatch.chdir(root / "run")
        datasets = Datasets(Path("results/m"), Path("models"), cohort)
        paths = [cohort / "sub-1/a.nii", Path("models/m/fold.json"), Path("results/m/b.nii")]
        return datasets.metadata(paths, cohort / "sub-1/a.nii")

    found = metadata(tmp_path / "a", tmp_path / "a/bids")
    assert found == {
        "SpatialReference": "bids:raw:sub-1/a.nii",
        "Sources": ["bids:raw:sub-1/a.nii", "bids:models:m/fold.json", "bids::b.nii"],
    }
    assert metadata(tmp_path / "b/c", tmp_path / "elsewhere") == found


def test_files_without_a_uri_are_left_out_and_the_space_is_the_original_one(datasets, tmp_path):
    away = tmp_path.parent / "away.nii"
    found = datasets.metadata([away, tmp_path / "a.nii", tmp_path / "a.nii"], away)
    assert found == {"SpatialReference": "orig", "Sources": ["bids:raw:a.nii"]}


def test_links_are_relative_to_the_dataset_and_follow_symbolic_links(tmp_path):
    (tmp_path / "disk/results").mkdir(parents=True)
    (tmp_path / "run").mkdir()
    (tmp_path / "run/results").symlink_to(tmp_path / "disk/results")
    datasets = Datasets(tmp_path / "run/results/m", tmp_path / "my models", tmp_path / "bids")
    assert datasets.links() == {"raw": "../../../bids", "models": "../../../my%20models"}


def test_paths_of_a_scan_table_are_relative_to_its_folder(tmp_path):
    table = tmp_path / "scans.tsv"
    table.touch()
    assert cohort_folder({"cohort": table, "dicom": None}) == tmp_path
    assert cohort_folder({"cohort": tmp_path, "dicom": None}) == tmp_path
    assert cohort_folder({"cohort": "scans.tsv", "dicom": None}) == Path()
    assert cohort_folder({"cohort": "bids", "dicom": tmp_path}) == tmp_path


def test_channels_before_the_labels_are_background():
    assert label_map({1: "a", 2: "b"}, 1) == {"LabelMap": ["background", "a", "b"]}
    assert label_map({1: "a"}, 0) == {"LabelMap": ["a"]}
