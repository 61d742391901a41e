"""report.html and the pages of scans in a browser, opened from disk."""

import re

import pytest

from support.browser import axe_violations
from support.pages import write_results

pytestmark = pytest.mark.slow

HOSTILE = "<script>window.hacked = 1</script>\"'><img src=x onerror='window.hacked = 2'>\nnext line"
READY = "document.documentElement.dataset.ready === 'true'"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Three scans with 3, 0 and 12 lesions, and one without results."""
    folder = tmp_path_factory.mktemp("cohort")
    scans = {"sub-a": 3, "sub-b": 0, "sub-c": 12}
    return write_results(folder, scans, failed=["sub-z"], hostile=HOSTILE)


@pytest.fixture
def opened(page, report):
    page.goto(report.as_uri())
    page.wait_for_function(READY)
    return page


def first_cells(page):
    page.wait_for_timeout(200)  # the table is drawn after the event
    return page.locator("#scans-table tbody tr td:first-child").all_inner_texts()


def heading(page):
    return page.locator("h1").inner_text()


def test_the_table_begins_with_failures_and_flags(opened):
    assert first_cells(opened) == ["sub-z", "sub-b", "sub-a", "sub-c"]


def test_the_table_is_sorted_by_a_click_and_by_the_keyboard(opened):
    header = opened.get_by_role("columnheader", name="cmb_count").first
    button = header.get_by_role("button").first
    button.click()
    assert first_cells(opened)[1:] == ["sub-b", "sub-a", "sub-c"]  # none, 0, 2, 11: as numbers
    button.focus()
    opened.keyboard.press("Enter")
    assert first_cells(opened)[:3] == ["sub-c", "sub-a", "sub-b"]


def test_the_table_is_searched_and_filtered_by_column(opened):
    opened.get_by_role("searchbox").first.fill("sub-c")
    assert first_cells(opened) == ["sub-c"]
    opened.get_by_role("searchbox").first.fill("")
    box = opened.locator("#scans-table thead tr").nth(1).locator("td,th").nth(1).locator("input")
    box.fill("failed")
    opened.wait_for_function("document.querySelectorAll('#scans-table tbody tr').length === 1")
    assert first_cells(opened) == ["sub-z"]


def test_columns_are_chosen(opened):
    names = opened.locator("#scans-table thead").inner_text()
    assert "cmb_count" in names and "weights_sha256" not in names
    opened.get_by_role("button", name="Columns").click()
    opened.locator(".dt-button-collection").get_by_text("weights_sha256", exact=True).click()
    assert "weights_sha256" in opened.locator("#scans-table thead").inner_text()


def test_hostile_texts_stay_texts(opened):
    opened.get_by_role("button", name="Columns").click()
    opened.locator(".dt-button-collection").get_by_text("subject", exact=True).click()
    opened.keyboard.press("Escape")
    assert opened.locator("#scans-table tbody").inner_text().count("<script>window.hacked") >= 3
    assert opened.locator("#failed").locator("xpath=..").inner_text().count("<script>") == 1
    assert opened.evaluate("window.hacked") is None


def test_a_scan_opens_from_the_table_and_shows_every_lesion(opened):
    opened.locator("#scans-table").get_by_role("link", name="sub-c").click()
    opened.wait_for_selector("#view[data-shows='net/sub-c']")
    assert heading(opened) == "sub-c, net"
    assert opened.locator("article.lesion").count() == 12
    assert opened.get_by_role("heading", name="Lesion 12, dropped").count() == 1
    sources = opened.locator("article.lesion img")
    assert sources.count() == 36
    opened.locator("article.lesion").last.scroll_into_view_if_needed()
    opened.wait_for_function(
        "[...document.querySelectorAll('article.lesion img')].pop().naturalWidth > 0"
    )
    text = opened.locator("article.lesion").first.locator("img").nth(1).get_attribute("alt")
    assert re.fullmatch(
        r"Lesion 1 \(cmb\), (left|right|midline): coronal slice 6 through its peak, outlined", text
    )
    opened.go_back()
    assert heading(opened) == "Lesions of 4 scans" and opened.locator("#scans-table").is_visible()


def test_the_viewer_shows_the_lesion_that_is_chosen_at_its_place(opened):
    opened.goto(opened.url + "#scan/net/sub-a")
    opened.wait_for_selector("canvas[data-shows='lesion 1']")
    opened.keyboard.press("j")
    opened.wait_for_selector("canvas[data-shows='lesion 2']")
    peak = opened.evaluate(
        "[...document.querySelectorAll('.viewer input[type=number]')].map(i => +i.value)"
    )
    # voxel 16, 6, 4 of support.pages.AFFINE, to the half of a voxel
    expected = [-0.8 * 16 + 0.1 * 6 + 20, 0.1 * 16 + 0.8 * 6 - 18, 2 * 4 - 30]
    assert opened.get_by_role("status", name="At the crosshair").inner_text() == "lesion 2"
    assert all(abs(a - b) <= 1 for a, b in zip(peak, expected, strict=True)), (peak, expected)


def test_without_webgl_the_pictures_stand(page_without_webgl, report):
    page_without_webgl.goto(report.as_uri() + "#scan/net/sub-a")
    page_without_webgl.wait_for_selector("article.lesion")
    assert "no WebGL2" in page_without_webgl.locator("#view").inner_text()
    assert page_without_webgl.locator("article.lesion img").count() == 9


def test_the_page_of_a_scan_stands_alone(page, report):
    page.goto((report.parent / "net/sub-a/anat/sub-a_lesions.html").as_uri())
    page.wait_for_function(READY)
    page.wait_for_selector("canvas[data-shows='lesion 1']")
    assert page.locator("article.lesion").count() == 3
    page.get_by_role("link", name="Review this scan in the report").click()
    page.wait_for_selector("#view[data-shows='net/sub-a']")
    assert heading(page) == "sub-a, net"


def test_distributions_and_thumbnails_appear_when_they_come_into_view(opened):
    assert opened.locator(".sheet img").count() == 0
    opened.locator("#contact-sheet").scroll_into_view_if_needed()
    opened.wait_for_selector(".sheet img")
    assert opened.locator(".sheet a").all_inner_texts()[1].strip() == "sub-b: 0 cmb (brain-at-edge)"
    opened.locator(".strip circle").first.click()
    opened.wait_for_selector("#view[data-shows^='net/sub-']")


@pytest.mark.parametrize("view", ["", "#scan/net/sub-c", "#scan/net/sub-b", "#review"])
def test_axe_finds_no_violation(opened, view):
    if view:
        opened.goto(opened.url + view)
        opened.wait_for_selector("#view article.lesion, #view .marks")
    else:
        for name in ("distributions", "contact-sheet"):
            opened.locator(f"#{name}").scroll_into_view_if_needed()
            opened.wait_for_timeout(300)
    assert axe_violations(opened) == []


def test_printing_has_every_row(opened):
    opened.locator(".dt-length select").select_option("25")
    opened.emulate_media(media="print")
    opened.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert len(first_cells(opened)) == 4
    assert not opened.get_by_role("button", name="Columns").is_visible()


def test_the_numbers_of_the_lesions_are_printed_and_fields_are_not(opened, report):
    opened.emulate_media(media="print")
    assert not opened.locator("thead input").first.is_visible()
    opened.goto(f"{report.as_uri()}#scan/net/sub-a")
    numbers = opened.locator(".scan tbody th button")
    numbers.first.wait_for()
    assert numbers.all_inner_texts() == ["1", "2", "3"]
    assert all(number.is_visible() for number in numbers.all())


def test_the_focus_returns_to_the_button_when_the_list_of_columns_is_closed(opened):
    opened.get_by_role("button", name="Columns").press("Enter")
    opened.locator(".dt-button-collection").wait_for()
    opened.wait_for_timeout(500)  # while it opens, it does not listen to Escape
    opened.keyboard.press("Tab")
    opened.keyboard.press("Escape")
    opened.locator(".dt-button-collection").wait_for(state="detached")
    assert "buttons-colvis" in opened.evaluate("document.activeElement.className")
