"""Reviews in the tables of a cohort."""

import json
from dataclasses import replace

import pandas as pd
import pytest

from lesionflow.base.errors import ReviewError
from lesionflow.results import columns
from lesionflow.results.cohort_tables import write_cohort_tables
from lesionflow.results.reviews.cohort_review import as_text
from lesionflow.results.reviews.lesion_voxels import lesion_sidecar
from lesionflow.results.reviews.review_file import write_review
from support.finished_scans import MODELS
from support.reviews import AFFINE, SCAN, complete, current_of, line, marked_on, on

MAP = line(a=(1, 2, 4), b=(2, 8, 9), c=(3, 12, 14))
TWO_LABELS = {"m": {**MODELS["m"], "labels": ["cmb", "wmh"]}}
LABELS = {1: "cmb", 2: "cmb", 3: "wmh"}
PLAN = [
    {"scan": scan, "subject": scan[4:], "session": "", "run": "", "folder": f"{scan}/anat"}
    for scan in ("sub-1", "sub-2", "sub-3")
]
STATES = {
    ("sub-1", "m"): ("ok", ""),
    ("sub-2", "m"): ("failed:crop", "why"),
    ("sub-3", "m"): ("excluded", "by include and exclude"),
}
VOLUMES = "index\tname\tcount\tvolume_mm3\n1\tcmb\t2\t16.0\n2\twmh\t1\t8.0\n"


@pytest.fixture
def results(tmp_path):
    """Results of sub-1, with two lesions of the first label and one of the second."""
    folder = tmp_path / "results/m/sub-1/anat"
    folder.mkdir(parents=True)
    names = columns.names(columns.LESION)
    lines = [names]
    for row in current_of(MAP, LABELS).rows:
        row |= {"scan": "sub-1", "model": "m", "dropped_because": ""}
        lines.append([row.get(name, "0") for name in names])
    text = "".join("\t".join(cells) + "\n" for cells in lines)
    (folder / "sub-1_lesions.tsv").write_text(text)
    (folder / "sub-1_volumes.tsv").write_text(VOLUMES)
    about = {name: 1 for name in columns.names(columns.QUALITY + columns.PROVENANCE)}
    about["input_sha256"] = SCAN
    (folder / "sub-1_space-model_dseg.json").write_text(json.dumps(about))
    sidecar = json.dumps(lesion_sidecar(MAP, AFFINE))
    (folder / "sub-1_space-orig_desc-lesions_dseg.json").write_text(sidecar)
    return tmp_path / "results"


def tables(results, *reviews, models=TWO_LABELS):
    """The tables with reviews, every cell as text."""
    paths = []
    for number, rows in enumerate(reviews):
        paths.append(results.parent / f"{number}.tsv")
        write_review(paths[-1], rows)
    states = {**STATES, **{("sub-1", m): ("ok", "") for m in models if m == "m"}}
    states |= {
        (record["scan"], m): ("failed:crop", "") for record in PLAN for m in models if m != "m"
    }
    write_cohort_tables(PLAN, models, states, results, paths)
    return {
        path.stem: pd.read_csv(path, dtype=str, keep_default_na=False)
        for path in results.glob("*.csv")
    }


def of_all(verdict="accepted", reviewer="Ann", **changes):
    return [on(MAP, verdict, n, reviewer, label=LABELS[n], **changes) for n in (1, 2, 3)]


def test_counts_volumes_and_missed_lesions_of_each_label(results):
    rows = [*of_all(), marked_on(MAP, 33.0, label="wmh", note="a\nb")]
    rows[1] = replace(rows[1], decision="rejected")
    read = tables(results, rows)
    first, failed, excluded = read["cohort"].to_dict("records")
    assert first["review"] == "complete"
    assert (first["cmb_reviewed_count"], first["cmb_reviewed_volume_mm3"]) == ("1", "8.0")
    assert (first["wmh_reviewed_count"], first["wmh_reviewed_volume_mm3"]) == ("2", "")
    assert (first["cmb_missed_count"], first["wmh_missed_count"]) == ("0", "1")
    for row in (failed, excluded):
        assert [row[name] for name in row if "review" in name or "missed" in name] == [""] * 7
    names = list(read["cohort"].columns)
    place = names.index("cmb_max_probability")
    assert names[place + 1 : place + 5] == [
        *("cmb_reviewed_count", "cmb_reviewed_volume_mm3", "cmb_missed_count", "wmh_count")
    ]
    assert names[names.index("wmh_missed_count") + 1] == "review"
    lesions = read["lesions"]
    assert list(lesions.columns[-4:]) == ["decision", "reviewer", "reviewed_at", "note"]
    assert lesions.decision.tolist() == ["accepted", "rejected", "accepted", "missed"]
    missed = lesions.iloc[3]
    assert (missed.x_mm, missed.i, missed.j, missed.k) == ("33.0", "16", "2", "1")
    assert (missed.dropped_because, missed.note) == ("marked by a reviewer", "a b")


def test_a_cohort_without_a_decision_has_the_columns_and_no_count(results):
    read = tables(results, [complete(scan="sub-2")])
    first = read["cohort"].iloc[0]
    assert (first.review, first.cmb_reviewed_count, first.cmb_missed_count) == ("none", "", "")
    assert read["lesions"].decision.tolist() == ["", "", ""]
    assert read["review_unmatched"].reason.tolist() == ["the scan has no results: failed:crop"]


def test_every_decision_that_does_not_apply_is_listed(results):
    rows = [
        *of_all(),
        on(MAP, "rejected", 1, label="cmb", model="=other"),
        on(MAP, "rejected", 1, label="cmb", scan="sub-3"),
        replace(on(MAP, "accepted", 1, "Ben"), label="old label"),
        replace(complete("Ben"), scan_sha256="e" * 64, scan="sub-2"),
    ]
    unmatched = tables(results, rows)["review_unmatched"]
    assert unmatched.reason.tolist() == [
        "the model is not one of this run",
        "the scan has no results: excluded",
        "the model has no label 'old label'",
        "the scan has no results: failed:crop",
    ]
    assert unmatched.model[0] == "'=other"
    assert unmatched.lesion.tolist() == ["1", "1", "1", ""]
    assert unmatched.x_mm.tolist() == ["6.0", "6.0", "6.0", ""]


def test_conflicts_have_the_decision_of_each_reviewer(results):
    ben = of_all(reviewer="Ben", note="=1+1")
    ben[2] = replace(ben[2], decision="rejected")
    read = tables(results, of_all(), ben)
    (conflict,) = read["review_conflicts"].to_dict("records")
    assert conflict["lesion"] == "3"
    assert conflict["label"] == "wmh"
    assert (conflict["decisions"], conflict["reviewers"]) == ("accepted; rejected", "Ann; Ben")
    assert conflict["notes"] == "; =1+1"
    assert read["lesions"].note.tolist()[0] == "; =1+1"
    assert read["cohort"].review[0] == "partial"
    agreement = read["review_agreement"]
    assert agreement[["label", "reviewers", "lesions", "agreement", "scans"]].values.tolist() == [
        ["cmb", "2", "2", "1.0", ""],
        ["cmb", "2", "", "", "1"],
        ["wmh", "2", "1", "0.0", ""],
        ["wmh", "2", "", "", "1"],
    ]
    assert agreement.icc.tolist() == [""] * 4


def test_columns_of_several_models_have_a_prefix(results):
    models = {**TWO_LABELS, "n": MODELS["m"]}
    first = tables(results, of_all(), models=models)["cohort"].iloc[0]
    assert (first["m_review"], first["m_cmb_reviewed_count"]) == ("complete", "2")
    assert (first["n_review"], first["n_cmb_reviewed_count"]) == ("", "")


def test_without_reviews_their_tables_are_removed(results):
    assert "review_agreement" in tables(results, of_all())
    read = tables(results)
    assert set(read) == {"cohort", "lesions"}
    assert not list(results.glob("review*"))
    assert "review" not in read["cohort"] and "decision" not in read["lesions"]


def test_a_review_that_cannot_be_used_writes_nothing(results):
    wrong = [replace(row, voxels="1,1") for row in of_all()]
    with pytest.raises(ReviewError, match="0.tsv, line 2: lesion 1 of sub-1 has other voxels"):
        tables(results, wrong)
    assert not list(results.glob("*.csv"))


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1", "-vein", "@SUM(A1)", " =1", "＝1"])
def test_formulas_become_text(text):
    assert as_text(text) == f"'{text}"


def test_other_text_stays():
    for text in ("vein", "a = b", "<script>alert('1')</script>", "", "'", '"quoted", text'):
        assert as_text(text) == text
    assert as_text("two\r\nlines\u2028more") == "two lines more"
