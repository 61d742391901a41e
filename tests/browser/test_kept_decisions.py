"""Decisions that the browser keeps: none is lost or comes back, whatever else is open."""

import json
from dataclasses import replace

import pytest

from lesionflow.results.reviews.review_file import read_review, review_row, write_review
from support.browser import offline_page
from support.pages import write_results

pytestmark = pytest.mark.slow

SCANS = {"sub-a": 4, "sub-b": 0, "sub-c": 20}


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return write_results(tmp_path_factory.mktemp("cohort"), SCANS)


@pytest.fixture
def scan(page, report):
    """The page of sub-a in the report, of the reviewer Anna."""
    page.goto(report.as_uri())
    page.evaluate("localStorage.setItem('lesionflow-reviewer', 'Anna')")
    return opened(page, report, "sub-a")


def opened(page, report, scan):
    page.goto(f"{report.as_uri()}#scan/net/{scan}")
    page.reload()
    page.wait_for_selector("article.lesion")
    return page


def pressed(page):
    """The decisions of the gallery, by lesion."""
    return page.evaluate(
        "[...document.querySelectorAll('.gallery article')].map("
        "a => a.querySelector('button[aria-pressed=true]')?.innerText ?? '')"
    )


def export(page, folder):
    """The decisions that the report exports."""
    page.evaluate("location.hash = ''")
    with page.expect_download(lambda d: d.suggested_filename == "review.tsv") as download:
        page.get_by_role("button", name="Export review.tsv").first.click()
    download.value.save_as(folder / "review.tsv")
    return read_review(folder / "review.tsv")


def test_two_tabs_keep_the_decisions_of_both(scan, report):
    other = opened(scan.context.new_page(), report, "sub-a")
    decide(scan, 0, "accepted")
    other.wait_for_selector("article button[aria-pressed=true]")
    decide(other, 1, "rejected")
    decide(scan, 2, "unsure")
    expected = ["accepted", "rejected", "unsure", ""]
    assert pressed(scan) == expected
    other.wait_for_function("document.querySelectorAll('button[aria-pressed=true]').length === 3")
    other.keyboard.press("z")  # its own decision alone
    other.wait_for_timeout(100)
    assert pressed(opened(scan, report, "sub-a")) == ["accepted", "", "unsure", ""]


def decide(page, lesion, decision):
    page.locator("article.lesion").nth(lesion).get_by_role("button", name=decision).click()
    page.wait_for_timeout(50)


def given(report, decisions):
    """The report of a run that was given these decisions."""
    page = report.with_name("given.html")
    rows = json.dumps([review_row(decision) for decision in decisions])
    text = report.read_text("utf-8")
    assert text.count('"decisions":[]') == 1
    page.write_text(text.replace('"decisions":[]', f'"decisions":{rows}'), "utf-8")
    return page


def test_a_removed_decision_of_the_run_does_not_come_back(scan, report, browser, tmp_path):
    decide(scan, 0, "accepted")
    decisions = export(scan, tmp_path)
    with offline_page(browser) as page:  # of another browser
        page.goto(report.as_uri())
        page.evaluate("localStorage.setItem('lesionflow-reviewer', 'Anna')")
        opened(page, given(report, decisions), "sub-a")
        assert pressed(page) == ["accepted", "", "", ""]
        decide(page, 0, "accepted")
        assert pressed(page) == [""] * 4
        page.keyboard.press("z")
        page.wait_for_selector("article button[aria-pressed=true]")
        decide(page, 0, "accepted")
        page.reload()
        page.wait_for_selector("article.lesion")
        assert pressed(page) == [""] * 4


def test_a_decision_that_the_run_has_moved_is_there_once(scan, report, browser, tmp_path):
    decide(scan, 0, "accepted")
    decide(scan, 1, "rejected")
    moved = export(scan, tmp_path)
    before = [replace(row, lesion=row.lesion + 5, lesion_map_sha256="f" * 64) for row in moved]
    left = replace(before[0], lesion=9, voxels="7,1", date="2026-11-27T12:00:00Z")
    write_review(tmp_path / "before.tsv", [*before, left])
    with offline_page(browser) as page:  # of another browser
        page.goto(given(report, [*moved, left]).as_uri())
        page.get_by_label("Reviewer").fill("Anna")
        page.get_by_label("Import review.tsv").set_input_files(tmp_path / "before.tsv")
        page.get_by_text("0 decisions imported, 0 replaced by newer ones, 3 were here").wait_for()
        opened(page, given(report, [*moved, left]), "sub-a")
        assert pressed(page) == ["accepted", "rejected", "", ""]
        decide(page, 0, "accepted")  # removed
        assert [row.decision for row in export(page, tmp_path)] == ["rejected", "accepted"]
        assert read_review(tmp_path / "review.tsv")[1].lesion_map_sha256 == "f" * 64


def test_what_is_undone_after_an_export_is_not_exported_yet(scan, tmp_path):
    decide(scan, 0, "accepted")
    assert len(export(scan, tmp_path)) == 1
    assert scan.get_by_text("Not exported yet").count() == 0
    scan.evaluate("location.hash = 'scan/net/sub-a'")
    scan.wait_for_selector("canvas[data-shows]")
    scan.keyboard.press("z")
    scan.wait_for_function("document.querySelector('#status').innerText === 'Undone.'")
    scan.evaluate("location.hash = ''")
    scan.get_by_text("Not exported yet").wait_for()


def test_a_note_stays_with_whatever_key_its_lesion_is_decided(scan, tmp_path):
    scan.wait_for_selector("canvas[data-shows]")
    scan.keyboard.press("ArrowRight")
    scan.keyboard.press("n")
    scan.keyboard.type("beside a vein")
    scan.keyboard.press("Tab")
    scan.keyboard.press("r")
    (row,) = export(scan, tmp_path)
    assert (row.lesion, row.decision, row.note) == (2, "rejected", "beside a vein")
