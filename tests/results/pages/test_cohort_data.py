"""What the scripts of the report read, worked out by hand."""

import json

import numpy as np
import pandas as pd
import pytest

from lesionflow.base import json_sidecar, layout
from lesionflow.results import columns
from lesionflow.results.pages.cohort_data import cohort_data, outliers, scan_pages
from support.pages import CARD, MODEL, write_results


def data_of(path):
    """The data in a page, as its scripts read them."""
    text = path.read_text()
    start = text.index('id="cohort">') + len('id="cohort">')
    return json.loads(text[start : text.index("</script>", start)])


@pytest.fixture
def data(tmp_path):
    scans = {"sub-a": 3, "sub-b": 0, "sub-c": 2}
    return data_of(write_results(tmp_path, scans, failed=["sub-z"]))


def test_rows_are_ranked_by_what_needs_attention(data):
    assert [row[0] for row in data["rows"]] == ["sub-a", "sub-b", "sub-c", "sub-z"]
    assert data["ranks"] == [2, 1, 2, 0]


def test_pages_have_the_counted_lesions_and_the_paths_of_their_files(data):
    first, second, third = data["pages"]
    assert first["kept"] == [1, 2] and second["kept"] == [] and third["kept"] == [1]
    assert (first["folder"], first["script"]) == ("net/sub-a/anat/", "sub-a_lesions.js")
    assert first["thumbnail"] == "sub-a_thumbnail.webp" and first["summary"] == "2 cmb"
    assert first["scan_sha256"] == "0" * 64 and len(first["lesion_map_sha256"]) == 64
    assert second["summary"] == "0 cmb (brain-at-edge)"


def test_the_queue_begins_with_the_lesion_that_most_needs_a_look(data):
    # probabilities 0.55 (near the threshold of 0.5: a reason), 0.68, 0.82 and 0.55, 0.75; the last of each is dropped
    assert data["queue"] == [[0, 1, 1], [2, 1, 1], [0, 2, 1], [2, 2, 0], [0, 3, 0]]


def test_columns_are_numbers_or_texts(data):
    shown = {c["name"]: c["numeric"] for c in data["columns"] if c["shown"]}
    assert shown["cmb_count"] and shown["brain_volume_ml"]
    assert not shown["scan"] and not shown["flags"]
    assert "cmb_mean_volume_mm3" not in shown and "device" not in shown


def test_outliers_lie_beyond_the_fences_of_tukey():
    # quartiles 2 and 4, so fences at -1 and 7
    low, high, outside = outliers(np.array([1, 2, 3, 4, 100.0]))
    assert (low, high) == (-1, 7) and outside.tolist() == [False] * 4 + [True]
    low, high, outside = outliers(np.array([1, 2, 3, 4, 7.0]))
    assert not outside.any()


@pytest.mark.parametrize("values", [[], [1.0], [1, 1, 1, 100.0], [0, 0, 0, 0, 0, 0, 3.0]])
def test_few_or_equal_values_have_no_outliers(values):
    low, high, outside = outliers(np.array(values, float))
    assert low is None and high is None and not outside.any()


def test_models_and_their_lesions_are_kept_apart(tmp_path):
    models = {"one": CARD | {"name": "one"}, "two": CARD | {"name": "two"}}
    table_columns = columns.cohort_columns({m: {"labels": ["cmb"], "soft": []} for m in models})
    cohort = pd.DataFrame("", index=[0], columns=columns.names(table_columns))
    cells = {"scan": "sub-a", "status": "ok", "one_cmb_count": "1", "two_cmb_count": "0"}
    cohort.loc[0, list(cells)] = list(cells.values())
    cohort.loc[0, ["one_input_sha256", "two_input_sha256"]] = ["aa", "bb"]
    lesion = dict.fromkeys(columns.names(columns.LESION), "")
    lesion |= {"scan": "sub-a", "model": "one", "label": "cmb", "lesion": "1", "kept": "true"}
    lesion |= {"max_probability": "0.9", "fold_agreement": "1", "elongation": "1"}
    pages = [{"model": m, "scan": "sub-a", "folder": f"{m}/"} for m in models]
    data = cohort_data(cohort, pd.DataFrame([lesion]), {}, pages, models)
    assert [page["kept"] for page in data["pages"]] == [[1], []]
    assert [page["scan_sha256"] for page in data["pages"]] == ["aa", "bb"]
    assert data["queue"] == [[0, 1, 1]]
    assert {d["model"] for d in data["distributions"]} == {"one", "two"}


def test_structures_are_not_reviewed(tmp_path):
    card = {**CARD, "output": {"activation": "softmax", "labels": {"1": "left", "2": "right"}}}
    table_columns = columns.cohort_columns({MODEL: {"labels": ["left", "right"], "soft": []}})
    cohort = pd.DataFrame("", index=[0], columns=columns.names(table_columns))
    cohort.loc[0, ["scan", "status", "left_volume_mm3"]] = ["sub-a", "ok", "12.5"]
    lesion = dict.fromkeys(columns.names(columns.LESION), "")
    lesion |= {"scan": "sub-a", "model": MODEL, "label": "left", "lesion": "1", "kept": "true"}
    pages = [{"model": MODEL, "scan": "sub-a", "folder": ""}]
    data = cohort_data(cohort, pd.DataFrame([lesion]), {}, pages, {MODEL: card})
    assert data["queue"] == [] and data["pages"][0]["kept"] == []
    assert data["pages"][0]["structures"]
    assert [d["values"] for d in data["distributions"]] == [[(0, 12.5)]]
    assert not any(c["shown"] for c in data["columns"] if c["name"] == "left_count")


def test_counts_of_lesions_are_shown_beside_structures_of_another_model(tmp_path):
    output = {"activation": "softmax", "labels": {"1": "left", "2": "right"}}
    models = {"seg": CARD | {"name": "seg", "output": output}, "net": CARD | {"name": "net"}}
    labels = {
        "seg": {"labels": ["left", "right"], "soft": []},
        "net": {"labels": ["cmb"], "soft": []},
    }
    cohort = pd.DataFrame("", index=[0], columns=columns.names(columns.cohort_columns(labels)))
    cells = {"scan": "sub-a", "status": "ok", "net_cmb_count": "3", "seg_left_count": "1"}
    cohort.loc[0, list(cells)] = list(cells.values())
    lesions = pd.DataFrame(columns=columns.names(columns.LESION))
    data = cohort_data(cohort, lesions, {}, [], models)
    shown = {column["name"] for column in data["columns"] if column["shown"]}
    assert "net_cmb_count" in shown and "seg_left_count" not in shown
    assert [(d["model"], d["values"]) for d in data["distributions"]] == [("net", [(0, 3)])]


def test_the_folder_of_a_page_is_that_of_its_session(tmp_path):
    wildcards = {"model": "m", "folder": "sub-1/ses-2/anat", "scan": "sub-1_ses-2"}
    script = layout.path(layout.SCAN_PAGE_DATA, tmp_path, **wildcards)
    sidecar = layout.path(layout.ORIG_LESIONS_SIDECAR, tmp_path, **wildcards)
    json_sidecar.write(sidecar, {"lesion_map_sha256": "ab"})
    (page,) = scan_pages([script], tmp_path)
    assert page["folder"] == "m/sub-1/ses-2/anat/" and page["lesion_map_sha256"] == "ab"
