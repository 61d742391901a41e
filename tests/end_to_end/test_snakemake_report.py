"""Snakemake's own report (``--report``): tables, pictures and evaluation of the latest run."""

import base64
import json
import re
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from support.cohorts import AFFINE, CARD, add_scan, blobs, save_network
from support.runs import snakemake
from support.volumes import save_scan

pytestmark = pytest.mark.slow

SHAPE = blobs([]).shape
MASK = "bids/sub-01/ses-2/anat/sub-01_ses-2_desc-brain_mask.nii.gz"
COHORT = ["results/cohort.csv", "results/lesions.csv"]
EVALUATION = [f"results/evaluation{end}" for end in (".csv", ".html", "_thresholds.csv")]
PICTURES = [
    f"results/tiny/{folder}/anat/{folder.replace('/', '_')}_qc.{ending}"
    for folder in ("sub-01/ses-1", "sub-01/ses-2", "sub-02")
    for ending in ("pdf", "png")
]
SCRIPT = r'<script id="{0}">\s*var {1} = (.*?);\s*</script>'


def read(page):
    """What the page of a report holds: files by path, paths by category and subcategory, text of its first panel."""
    names = {"results": "results", "categories": "categories", "text": "workflow_desc"}
    found = {
        key: json.loads(re.search(SCRIPT.format(name.replace("_", "-"), name), page, re.S)[1])
        for key, name in names.items()
    }
    return SimpleNamespace(**found)


def report_of(directory, run, *args, **config):
    """The report of a run, as ``read`` gives it, and what Snakemake says."""
    status, text = run(*args, "--report", directory / "report.html", **config)
    assert status == 0, text
    return read((directory / "report.html").read_text(encoding="utf-8")), text


def test_it_holds_tables_and_pictures_with_labels_and_captions(again):
    directory, run = again
    report, text = report_of(directory, run)
    assert sorted(report.results) == sorted([*COHORT, *PICTURES])
    assert report.categories["Pictures"] == {"tiny": PICTURES}
    assert sorted(report.categories["Cohort"]["Other"]) == COHORT
    picture = report.results[PICTURES[3]]
    labels = {"scan": "sub-01_ses-2", "model": "tiny", "shows": "first page"}
    assert picture["labels"] == labels
    assert "lesions of sub-01_ses-2 as tiny found them" in picture["caption"]
    for path in [*COHORT, *PICTURES]:
        result = report.results[path]
        assert result["caption"].startswith("<p>"), path
        assert "system-message" not in result["caption"], path  # of docutils
        content = base64.b64decode(result["data_uri"].partition("base64,")[2])
        assert content == (directory / path).read_bytes()
    assert "system-message" not in report.text
    assert "not compared with reference segmentations" in report.text
    assert "Missing metadata for file results" not in text


def test_it_changes_nothing_and_runs_nothing(again):
    directory, run = again
    results = {p: p.read_bytes() for p in (directory / "results").rglob("*") if p.is_file()}
    files = {p for p in directory.rglob("*") if ".snakemake" not in p.parts}
    report_of(directory, run)
    assert {p: p.read_bytes() for p in results} == results
    added = {p for p in directory.rglob("*") if ".snakemake" not in p.parts} - files
    assert added == {directory / "report.html"}
    status, text = run("--dry-run")
    assert status == 0 and "Nothing to be done" in text


def test_a_scan_that_failed_has_a_row_and_no_picture(again):
    directory, run = again
    save_scan(directory / MASK, np.zeros(SHAPE, np.uint8), AFFINE)
    status, text = run()
    assert status == 1, text
    assert all((directory / path).exists() for path in PICTURES)  # of the earlier run
    report, _ = report_of(directory, run)
    assert sorted(report.results) == sorted([*COHORT, *PICTURES[:2], *PICTURES[4:]])
    cohort = report.results["results/cohort.csv"]["data_uri"].partition("base64,")[2]
    assert "failed:mask" in base64.b64decode(cohort).decode()


def test_a_first_run_that_failed_can_be_reported(tmp_path, tiny, models_dir):
    add_scan(tmp_path / "bids", "sub-1", np.full(SHAPE, 7, np.float32))

    def run(*args):
        return snakemake(tmp_path, *args, models=tiny, models_dir=models_dir)

    status, text = run("--report", tmp_path / "report.html")
    assert status == 1
    assert "results/cohort.csv is missing: run the same command without --report first" in text
    assert "Traceback" not in text
    assert run()[0] == 1
    report, _ = report_of(tmp_path, run)
    assert sorted(report.results) == COHORT
    assert "no scan has results" in report.text


def test_a_scan_that_was_added_since_is_left_out(again):
    directory, run = again
    add_scan(directory / "bids", "sub-03", blobs([(8, 9, 5)]))
    assert sorted(report_of(directory, run)[0].results) == sorted([*COHORT, *PICTURES])


def test_the_evaluation_is_in_it_once_it_was_computed(again):
    directory, run = again
    truth = directory / "bids/sub-02/anat/sub-02_desc-truth_dseg.nii.gz"
    save_scan(truth, np.zeros(SHAPE, np.uint8), AFFINE)
    assert "Evaluation" not in report_of(directory, run)[0].categories
    status, text = run("evaluate")
    assert status == 0, text
    report, _ = report_of(directory, run)
    assert sorted(report.categories["Evaluation"]["Other"]) == EVALUATION
    assert len({tuple(report.results[path]["labels"].values()) for path in EVALUATION}) == 3
    assert "*Evaluation*" not in report.text and "<em>Evaluation</em>" in report.text
    assert sorted(report_of(directory, run, "evaluate")[0].results) == EVALUATION
    truth.unlink()
    assert sorted(report_of(directory, run)[0].results) == sorted([*COHORT, *PICTURES])


def test_two_models_have_their_pictures_apart(again, tiny):
    directory, run = again
    other = directory / "other.yaml"
    paths = [{"path": str(tiny.parent / fold["path"])} for fold in CARD["folds"]]
    other.write_text(yaml.safe_dump({**CARD, "name": "other-model.v2", "folds": paths}))
    models = f"[{tiny},{other}]"
    status, text = run("--report", models=models)
    assert status == 1 and "is not that of tiny, other-model.v2" in text
    status, text = run(models=models)
    assert status == 0, text
    pictures = report_of(directory, run, models=models)[0].categories["Pictures"]
    assert {model: len(paths) for model, paths in pictures.items()} == {
        "tiny": 6,
        "other-model.v2": 6,
    }


def test_a_zip_has_the_pictures_as_files_and_a_large_page_has_none(again):
    directory, run = again
    page = directory / "report.html"
    with (directory / PICTURES[0]).open("ab") as picture:
        picture.truncate(101_000_000)
    report, text = report_of(directory, run)
    assert sorted(report.results) == COHORT
    assert re.search(
        rf"{page} leaves out the pictures \(6 files, 1\d\d MB\), too much for a page", text
    )
    assert "<strong>not part of this report</strong>" in report.text
    status, text = run("--report", directory / "all.zip")
    assert status == 0 and "leaves out" not in text
    with zipfile.ZipFile(directory / "all.zip") as archive:
        names = {name.rpartition("/")[2]: name for name in archive.namelist()}
        assert {path.rpartition("/")[2] for path in PICTURES} <= set(names)
        report = read(archive.read(names["report.html"]).decode())
    assert sorted(report.results) == sorted([*COHORT, *PICTURES])


def test_hostile_text_of_a_card_stays_text(tmp_path, page):
    hostile = "</script><script>window.hostile = 1</script><!--<script>\"'{{ 7 }}"
    for fold in (1, 2, 3):
        save_network(tmp_path / f"weights/fold-{fold}", 1.0)
    card = {**CARD, "name": "a.b-c", "version": hostile, "description": hostile}
    card["output"] = {**CARD["output"], "labels": {1: "script-_x"}}
    (tmp_path / "card.yaml").write_text(yaml.safe_dump(card))
    scan = "sub-Other_ses-script_run-1"
    anat = add_scan(tmp_path / "bids", scan, blobs([(8, 9, 5)])).parent
    save_scan(anat / f"{scan}_desc-truth_dseg.nii.gz", np.zeros(SHAPE, np.uint8), AFFINE)

    def run(*args):
        return snakemake(tmp_path, *args, models="card.yaml", models_dir="models")

    for target in ((), ("evaluate",)):
        status, text = run(*target)
        assert status == 0, text
    report, _ = report_of(tmp_path, run)
    assert "window.hostile" in report.results[EVALUATION[0]]["job_properties"]["params"]
    page.goto((tmp_path / "report.html").as_uri())
    page.get_by_text("Pictures", exact=True).first.click()
    page.get_by_text(scan).wait_for()
    assert page.evaluate("window.hostile") is None


def test_it_is_drawn_without_a_network_and_shows_a_picture(again, page):
    directory, run = again
    report_of(directory, run)
    page.goto((directory / "report.html").as_uri())
    page.get_by_text("Pictures", exact=True).first.click()
    page.get_by_role("row", name="sub-01_ses-2").get_by_role("link").first.click()
    picture = page.locator("#app img[src^='data:image/png']")
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 500
