"""Reviews of the lesions: the next run counts what the reviewers accepted, and recomputes the tables alone."""

import json
import os
import re
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lesionflow.results.reviews.review_file import Decision, write_review
from support.bids_validator import bids_errors
from support.cohorts import AFFINE
from support.runs import jobs
from support.volumes import save_scan

pytestmark = pytest.mark.slow

TABLE_JOBS = {"aggregate": 1, "report": 1}
TWO, ONE, NONE = "sub-01_ses-1", "sub-01_ses-2", "sub-02"  # lesions in the scan
FOLDERS = {TWO: "sub-01/ses-1", ONE: "sub-01/ses-2", NONE: "sub-02"}


def table(directory, name):
    """A table of the results by its first column, every cell as text."""
    path = directory / f"results/{name}.csv"
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def about(directory, scan):
    """The digests of a scan, and its lesion map's sidecar."""
    folder = directory / f"results/tiny/{FOLDERS[scan]}/anat"
    sidecar = json.loads((folder / f"{scan}_space-orig_desc-lesions_dseg.json").read_text())
    digest = json.loads((folder / f"{scan}_space-model_dseg.json").read_text())["input_sha256"]
    digests = {"lesion_map_sha256": sidecar["lesion_map_sha256"], "scan_sha256": digest}
    return digests, sidecar["voxels"]


def decide(directory, scan, decision, lesion=0, reviewer="Ann", place_mm=None, note=""):
    """A decision on a lesion of the results, as the page of the scan makes it."""
    digests, voxels = about(directory, scan)
    text = {"date": "2026-11-27T12:40:00Z", "reviewer": reviewer, "note": note}
    label = "" if decision == "complete" else "cmb"
    if lesion:
        rows = table(directory, "lesions")
        row = rows[(rows.scan == scan) & (rows.lesion == str(lesion))].iloc[0]
        place_mm = float(row.x_mm), float(row.y_mm), float(row.z_mm)
    return Decision(
        **{"scan": scan, "model": "tiny", "label": label, "decision": decision, "lesion": lesion},
        **{
            "place_mm": place_mm,
            "voxels": voxels[str(lesion)] if lesion else "",
            **text,
            **digests,
        },
    )


def whole_cohort(directory):
    """A complete review: a lesion accepted, one rejected, one missed, and a scan without lesions."""
    return [
        decide(directory, TWO, "accepted", 1, note="=cmd|' /C calc'!A0"),
        decide(directory, TWO, "rejected", 2, note="<script>alert(1)</script>"),
        decide(directory, ONE, "accepted", 1),
        decide(directory, ONE, "missed", place_mm=(-8.0, -7.0, 6.0)),
        decide(directory, NONE, "complete"),
    ]


def planned_jobs(run, **config):
    status, text = run("--dry-run", **config)
    assert status == 0, text
    return jobs(text)


def test_reviewed_counts_stand_beside_the_automatic_ones(again):
    directory, run = again
    before = table(directory, "lesions")
    write_review(directory / "review.tsv", whole_cohort(directory))
    status, text = run(review="review.tsv")
    assert status == 0, text
    assert jobs(text) == TABLE_JOBS
    cohort = table(directory, "cohort").set_index("scan")
    assert cohort.cmb_count.to_dict() == {TWO: "2", ONE: "1", NONE: "0"}
    assert cohort.cmb_reviewed_count.to_dict() == {TWO: "1", ONE: "2", NONE: "0"}
    assert cohort.cmb_missed_count.to_dict() == {TWO: "0", ONE: "1", NONE: "0"}
    volumes = cohort.cmb_reviewed_volume_mm3.to_dict()
    assert volumes == {TWO: before.volume_mm3[0], ONE: "", NONE: "0.0"}
    assert set(cohort.review) == {"complete"}
    lesions = table(directory, "lesions")
    assert lesions.decision.tolist() == ["accepted", "rejected", "accepted", "missed"]
    assert lesions.note.tolist()[:2] == ["'=cmd|' /C calc'!A0", "<script>alert(1)</script>"]
    missed = lesions.iloc[3]
    assert (missed.lesion, missed.kept, missed.volume_mm3) == ("", "false", "")
    # the affine of the scan has 14 - 0.9 i, 0.9 j - 13 and 1.8 k - 12 mm
    assert (missed.i, missed.j, missed.k) == ("24", "7", "10")
    assert lesions[before.columns].iloc[:3].equals(before)
    for name in ("cohort", "lesions", "review_unmatched", "review_conflicts", "review_agreement"):
        dictionary = json.loads((directory / f"results/{name}.json").read_text())
        assert list(dictionary) == list(table(directory, name).columns)
    assert bids_errors(directory / "results") == []

    os.utime(directory / "review.tsv")
    (directory / "elsewhere").mkdir()
    shutil.copy(directory / "review.tsv", directory / "elsewhere")
    assert planned_jobs(run, review="elsewhere/review.tsv") == {}
    write_review(directory / "review.tsv", whole_cohort(directory)[1:])
    assert planned_jobs(run, review="review.tsv") == TABLE_JOBS
    status, text = run()
    assert status == 0, text
    assert jobs(text) == TABLE_JOBS
    assert table(directory, "lesions").equals(before)
    assert "review" not in table(directory, "cohort")
    assert not list((directory / "results").glob("review_*"))


def test_partial_reviews_and_reviewers_who_differ(again):
    directory, run = again
    rows = whole_cohort(directory)
    ben = [replace(row, reviewer="Ben") for row in rows]
    write_review(directory / "ann.tsv", [*rows[:3], rows[4]])
    write_review(directory / "ben.tsv", [replace(ben[0], decision="unsure"), *ben[1:4]])
    status, text = run(review="[ann.tsv,ben.tsv]")
    assert status == 0, text
    cohort = table(directory, "cohort").set_index("scan")
    assert cohort.review.to_dict() == {TWO: "partial", ONE: "partial", NONE: "complete"}
    assert cohort.cmb_reviewed_count.to_dict() == {TWO: "", ONE: "", NONE: "0"}
    lesions = table(directory, "lesions")
    assert lesions.decision.tolist() == ["conflict", "rejected", "accepted", "conflict"]
    assert lesions.reviewer.tolist()[:2] == ["Ann; Ben", "Ann; Ben"]
    conflicts = table(directory, "review_conflicts")
    assert conflicts.lesion.tolist() == ["1", ""]
    assert conflicts.decisions.tolist() == ["accepted; unsure", "missed; not marked"]
    status, text = run("--report", "results.html", review="[ann.tsv,ben.tsv]")
    assert status == 0, text
    report = (directory / "results.html").read_text()
    for name in ("unmatched", "conflicts", "agreement"):
        assert f"review_{name}.csv" in report
    agreement = table(directory, "review_agreement")
    assert agreement.lesions.tolist() == ["2", ""]
    assert agreement.kappa[0] == "1.0"


def on_an_earlier_map(decision):
    """A decision as if made on a lesion map in which lesions had other numbers and were smaller."""
    changes = {"lesion_map_sha256": "b" * 64}
    if decision.lesion:
        first, run, *_ = decision.voxels.split(",")
        changes |= {"lesion": 7 + decision.lesion, "voxels": f"{first},{run}"}
    return replace(decision, **changes)


def test_decisions_follow_their_lesion_to_another_lesion_map(again):
    directory, run = again
    write_review(directory / "review.tsv", list(map(on_an_earlier_map, whole_cohort(directory))))
    status, text = run(review="review.tsv")
    assert status == 0, text
    cohort = table(directory, "cohort").set_index("scan")
    assert cohort.cmb_reviewed_count.to_dict() == {TWO: "1", ONE: "2", NONE: "0"}
    assert table(directory, "lesions").decision.tolist()[:2] == ["accepted", "rejected"]
    assert len(table(directory, "review_unmatched")) == 0
    status, text = run(review="review.tsv", threshold=0.7)  # the whole brain is above
    assert status == 0, text
    unmatched = table(directory, "review_unmatched")
    assert unmatched.scan.tolist() == [TWO, TWO, ONE, ONE]
    assert unmatched.decision.tolist() == ["accepted", "rejected", "accepted", "missed"]
    assert table(directory, "cohort").review.tolist() == ["partial"] * 3


def test_a_run_with_a_damaged_review_is_refused(again):
    directory, run = again
    rows = whole_cohort(directory)
    before = {path: path.stat().st_mtime_ns for path in (directory / "results").rglob("*")}

    def refused(match, *args):
        status, text = run(*args, review="review.tsv")
        assert status == 1
        assert re.search(f"^review: review.tsv{match}.*$", text, re.MULTILINE), text

    refused(": No such file", "--dry-run")
    write_review(directory / "review.tsv", rows)
    text = (directory / "review.tsv").read_text()
    (directory / "review.tsv").write_text(text[: text.rindex("sub-02")])
    refused(", line 5: the file was written with 5 rows and has 4", "--dry-run")
    moved = replace(rows[2], place_mm=(1.0, 2.0, 3.0))
    write_review(directory / "review.tsv", [*rows[:2], moved])
    refused(", line 4: lesion 1 of sub-01_ses-2 lies at ")
    after = {path: path.stat().st_mtime_ns for path in (directory / "results").rglob("*")}
    assert before == after


def test_a_review_of_lesions_that_have_yet_to_be_computed_is_checked_by_the_run(again):
    directory, run = again
    rows = whole_cohort(directory)
    write_review(directory / "review.tsv", [rows[2], replace(rows[0], voxels="5,1")])
    folder = directory / f"results/tiny/{FOLDERS[TWO]}/anat"
    (folder / f"{TWO}_space-orig_desc-lesions_dseg.json").unlink()
    for name in ("cohort.csv", "report.html"):
        (directory / "results" / name).unlink()
    status, text = run(review="review.tsv")
    assert status == 1
    assert jobs(text)["restore"] == 1
    assert "count" not in jobs(text)
    message = (
        "review: review.tsv, line 3: lesion 1 of sub-01_ses-1 has other voxels than the row states"
    )
    assert f"FAILED: {message}" in (directory / "logs/aggregate.log").read_text()
    assert message in text
    cohort = table(directory, "cohort")
    assert cohort.status.tolist() == ["ok"] * 3
    assert "review" not in cohort
    assert "Lesions of 3 scans" in (directory / "results/report.html").read_text()
    status, text = run("--dry-run", review="review.tsv")
    assert status == 1 and message in text


def test_a_failed_run_writes_the_reviews_of_the_other_scans(again):
    directory, run = again
    rows = whole_cohort(directory)
    write_review(directory / "review.tsv", [*rows, replace(rows[0], model="other")])
    scan = directory / f"bids/{FOLDERS[ONE]}/anat/{ONE}_swi.nii.gz"
    save_scan(scan, np.full((30, 32, 14), 7.0), AFFINE)
    status, text = run(review="review.tsv")
    assert status == 1
    cohort = table(directory, "cohort").set_index("scan")
    assert cohort.review.to_dict() == {TWO: "complete", ONE: "", NONE: "complete"}
    assert cohort.cmb_reviewed_count.to_dict() == {TWO: "1", ONE: "", NONE: "0"}
    unmatched = table(directory, "review_unmatched")
    assert unmatched.scan.tolist() == [ONE, ONE, TWO]
    reasons = unmatched.reason.tolist()
    assert reasons[0].startswith("the scan has no results: failed:")
    assert reasons[2] == "the model is not one of this run"


def test_a_review_in_the_browser_becomes_reviewed_counts(again, page, tmp_path):
    directory, run = again
    page.goto((directory / "results/report.html").as_uri())
    page.wait_for_function("document.documentElement.dataset.ready === 'true'")
    page.get_by_role("link", name="Review the lesions").click()
    page.get_by_label("Reviewer").fill("Ann")
    page.locator("h1").click()
    for (
        key
    ) in "aara":  # three lesions, the second one rejected below, and the scan without a lesion
        page.wait_for_selector(".marks")
        page.keyboard.press(key)
        page.wait_for_timeout(300)
    page.wait_for_selector("text=Nothing is left to review")
    with page.expect_download(lambda d: d.suggested_filename == "review.tsv") as download:
        page.get_by_role("button", name="Export review.tsv").click()
    download.value.save_as(directory / "review.tsv")
    status, text = run(review="review.tsv")
    assert status == 0, text
    assert jobs(text) == TABLE_JOBS
    cohort = table(directory, "cohort")
    assert set(cohort.review) == {"complete"} and cohort.cmb_reviewed_count.astype(int).sum() == 2
    lesions = table(directory, "lesions")
    assert sorted(lesions.decision) == ["accepted", "accepted", "rejected"]
    assert set(lesions.reviewer) == {"Ann"}
    # in another browser, the page has the decisions of the run
    page.evaluate("localStorage.clear()")
    page.goto((directory / "results/report.html").as_uri())
    page.get_by_label("Reviewer").fill("Ann")
    assert "3 of 3 lesions, 3 of 3 scans" in page.locator("#review-content").inner_text()
