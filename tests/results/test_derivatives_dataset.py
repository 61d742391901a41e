"""Descriptions, README and .bidsignore of the results, and the names of their values."""

import pandas as pd
import pathspec
import pytest

from lesionflow import __version__
from lesionflow.base import layout
from lesionflow.results import derivatives_dataset as dataset

MODEL = {
    "name": "m",
    "version": "2",
    "description": "Finds {braces} and lesions.",
    "source": {"url": "https://example.org/m", "licence": "MIT"},
}


def test_the_description_has_versions_sources_and_links():
    links = {"raw": "../../bids", "models": "../../models"}
    found = dataset.dataset_description(MODEL, [{"fold": 1}], links)
    assert found["DatasetType"] == "derivative"
    assert found["BIDSVersion"] == "1.11.1"
    workflow, model = found["GeneratedBy"]
    assert workflow == {"Name": "lesionflow", "Version": __version__}
    assert (model["Name"], model["Version"], model["Folds"]) == ("m", "2", [{"fold": 1}])
    assert model["CodeURL"] == "https://example.org/m"
    assert found["SourceDatasets"] == [{"URL": "../../bids"}]
    assert found["DatasetLinks"] == links
    no_page = MODEL | {"source": {"url": None}}
    assert "CodeURL" not in dataset.dataset_description(no_page, [], links)["GeneratedBy"][1]


def test_the_readme_says_whose_results_these_are():
    text = dataset.readme(MODEL)
    assert text.startswith("# Lesions by m\n")
    assert "Finds {braces} and lesions." in text
    assert "a/, b/" in dataset.cohort_readme(["a", "b"])


def ignored(channels):
    return pathspec.GitIgnoreSpec.from_lines(dataset.ignored_files(channels).split("\n"))


@pytest.mark.parametrize("scan", ["sub-1", "sub-1_ses-2_run-3"])
def test_names_that_bids_has_are_not_ignored_and_the_others_are(scan):
    found = ignored(["swi", "t1"])
    wildcards = {"model": "m", "folder": "sub-1/anat", "scan": scan, "fold": 2}
    for channel, kind in (("swi", "mask"), ("t1", "truth")):
        wildcards |= {"suffix": layout.suffix(channel), "kind": kind}
        for name, pattern in vars(layout).items():
            if not name.isupper() or not isinstance(pattern, str):
                continue
            if pattern.startswith("<scan>"):
                pattern = layout.intermediate(pattern, kept=True)
            if pattern.startswith("<results>/<scan>"):
                path = layout.path(pattern, **wildcards).relative_to("results/m").as_posix()
                unnamed = pattern in layout.NOT_BIDS or path.endswith(("_swi.json", "_swi.nii.gz"))
                assert found.match_file(path) == (unnamed or "desc-cropped" in path), path


def test_a_line_has_one_asterisk():
    """With two, version 3.0.2 of the validator misses names of sessions."""
    lines = dataset.ignored_files(["swi", "t1"]).splitlines()[1:]
    assert {line.count("*") for line in lines} == {1}


def test_tables_and_models_are_ignored_beside_the_datasets():
    text = dataset.cohort_ignored_files(["m"])
    found = pathspec.GitIgnoreSpec.from_lines(text.split("\n"))
    files = [layout.COHORT, layout.LESION_COLUMNS, layout.REVIEW_CURRENT, layout.EVALUATION_PAGE]
    files += [layout.RUN, layout.REPORT, layout.PAGE_FILES.format(file="a.js"), "<results>/m/x"]
    assert all(found.match_file(name.removeprefix("<results>/")) for name in files)
    for name in (layout.COHORT_DESCRIPTION, layout.COHORT_README):
        assert not found.match_file(name.removeprefix("<results>/"))


def test_values_of_maps_have_names():
    labels = dataset.label_names({3: "a", 5: "b"})
    assert labels.values.tolist() == [[0, "background"], [3, "a"], [5, "b"]]
    lesions = pd.DataFrame({"lesion": [1, 2], "label": ["a", "b"]})
    names = dataset.lesion_names(lesions)
    assert names.values.tolist() == [[0, "background"], [1, "a 1"], [2, "b 2"]]
    assert dataset.lesion_names(lesions[:0]).values.tolist() == [[0, "background"]]


def test_each_desc_label_of_a_file_name_is_explained():
    explained = set(dataset.description_labels(2).desc_id)
    assert {"desc-fold1", "desc-fold2"} <= explained and "desc-fold" not in explained
    for pattern in vars(layout).values():
        if isinstance(pattern, str) and "_desc-" in pattern:
            label = pattern.split("_desc-")[1].split("_")[0].split(".")[0]
            assert f"desc-{label.format(fold=2)}" in explained, pattern
