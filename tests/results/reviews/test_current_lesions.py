"""Rows of a review compared with the lesions that they describe."""

import json
from dataclasses import replace

import pytest

from lesionflow.base.errors import DamagedFileError, ReviewError
from lesionflow.results.reviews.current_lesions import (
    check_described,
    check_with_results,
    read_current,
)
from lesionflow.results.reviews.lesion_voxels import lesion_sidecar
from support.reviews import AFFINE, complete, current_of, line, mark, marked_on, on

MAP = line(a=(1, 2, 4), b=(2, 8, 9))
WILDCARDS = {"model": "m", "folder": "sub-1/anat", "scan": "sub-1"}


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"place_mm": (16.9, 4.0, 2.0)}, r"lesion 2 of sub-1 lies at 17.0, 4.0, 2.0 mm, not at"),
        ({"voxels": "168,1"}, "lesion 2 of sub-1 has other voxels than the row states"),
        ({"voxels": "168,999"}, "voxels end at 1167, the image has 480"),
        ({"label": "wmh"}, "lesion 2 of sub-1 is labelled 'cmb', not 'wmh'"),
        ({"lesion": 3}, "the lesion map of sub-1 has no lesion 3"),
    ],
)
def test_rows_that_do_not_describe_their_lesion_are_refused(changes, match):
    row = replace(on(MAP, "accepted", 2, source="review: r.tsv, line 3"), **changes)
    with pytest.raises(ReviewError, match=f"^review: r.tsv, line 3: {match}"):
        check_described([row], current_of(MAP))
    other_scan = replace(row, scan_sha256="d" * 64)
    check_described([other_scan, replace(row, label="no label of the model")], current_of(MAP))


def test_places_are_compared_to_the_decimals_of_the_tables():
    row = on(MAP, "accepted", 2, place_mm=(17.0004, 4.0, 2.0))
    check_described([row, complete(), marked_on(MAP, 39.0)], current_of(MAP))


def test_a_mark_outside_the_scan_is_refused():
    with pytest.raises(ReviewError, match=r"\(410.0, 4.0, 2.0\) mm lies outside the scan"):
        check_described([marked_on(MAP, 410.0)], current_of(MAP))
    check_described([mark(410.0, 4, 2, scan_sha256="d" * 64)], current_of(MAP))


def test_lesions_on_another_map_are_described_otherwise():
    row = on(line(a=(1, 12, 14)), "accepted", 1)
    check_described([row], current_of(MAP))
    with pytest.raises(ReviewError, match="the image has 480"):
        check_described([replace(row, voxels="400,99")], current_of(MAP))


@pytest.fixture
def results(tmp_path):
    """The results of a scan with the lesions of ``MAP``."""
    folder = tmp_path / "m/sub-1/anat"
    folder.mkdir(parents=True)
    current, sidecar = current_of(MAP), lesion_sidecar(MAP, AFFINE)
    names = list(current.rows[0])
    rows = [list(row.values()) for row in current.rows]
    text = "".join("\t".join(cells) + "\n" for cells in [names, *rows])
    (folder / "sub-1_lesions.tsv").write_text(text)
    about = {"input_sha256": current.scan_sha256}
    (folder / "sub-1_space-model_dseg.json").write_text(json.dumps(about))
    (folder / "sub-1_space-orig_desc-lesions_dseg.json").write_text(json.dumps(sidecar))
    return tmp_path


def test_lesions_are_read_from_the_results(results):
    current = read_current(results, WILDCARDS, ["cmb"])
    assert current.rows == current_of(MAP).rows
    assert current.voxels == current_of(MAP).voxels
    assert current.at(current.indices(2)) == {2}
    (results / "m/sub-1/anat/sub-1_lesions.tsv").write_text("lesion\n5\n")
    with pytest.raises(DamagedFileError, match="lesions.tsv"):
        read_current(results, WILDCARDS, ["cmb"])


def test_results_of_an_earlier_run_are_compared_before_a_run(results):
    plan = [{"scan": "sub-1", "folder": "sub-1/anat"}, {"scan": "sub-2", "folder": "sub-2/anat"}]
    wrong = on(MAP, "accepted", 2, voxels="1,2")
    with pytest.raises(ReviewError, match="other voxels"):
        check_with_results([wrong], plan, {"m": ["cmb"]}, results)
    check_with_results([wrong], plan, {"another": ["cmb"]}, results)
    check_with_results([replace(wrong, scan="sub-2")], plan, {"m": ["cmb"]}, results)
