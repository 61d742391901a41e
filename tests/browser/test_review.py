"""A review in a browser: decisions by the keyboard, kept, undone, exported, imported, blinded."""

import pytest

from lesionflow.results.reviews.review_file import read_review, read_reviews
from support.browser import axe_violations
from support.pages import write_results

pytestmark = pytest.mark.slow

READY = "document.documentElement.dataset.ready === 'true'"
SCANS = {"sub-a": 4, "sub-b": 0, "sub-c": 8}  # the last lesion of each is dropped: 10 counted ones
NOTE = '<script>window.hacked = 1</script> "quoted"\tand\nanother line \\n =1+1'


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return write_results(tmp_path_factory.mktemp("cohort"), SCANS)


@pytest.fixture
def review(page, report):
    """The review of Anna, at its first lesion."""
    open_review(page, report)
    page.get_by_label("Reviewer").fill("Anna")
    page.get_by_label("Reviewer").press("Tab")
    return page


def open_review(page, report):
    page.goto(report.as_uri())
    page.wait_for_function(READY)
    page.get_by_role("link", name="Review the lesions").click()
    page.wait_for_selector("article.lesion")


def place(page):
    """Where the review is, such as "1 of 11: sub-a, net"."""
    return page.locator("#view h2").inner_text()


def press(page, key, lesion=True):
    """Press a key that leads to the next item, and wait until that is shown."""
    before = place(page)
    page.keyboard.press(key)
    page.wait_for_function(
        "before => document.querySelector('#view h2')?.innerText !== before", arg=before
    )
    if lesion:
        page.wait_for_selector("article.lesion, .marks")


def progress(page):
    return page.locator("#view .panel").first.inner_text()


def export(page, folder):
    """Export the review; returns the file."""
    with page.expect_download(lambda d: d.suggested_filename == "review.tsv") as download:
        page.get_by_role("button", name="Export review.tsv").first.click()
    path = folder / "review.tsv"
    download.value.save_as(path)
    return path


def test_ten_lesions_are_reviewed_by_the_keyboard_kept_and_exported(review, report, tmp_path):
    assert place(review).startswith("1 of 11: ")
    for key in "aaarrauaar":
        press(review, key)
    assert "9 of 10 lesions, 1 of 3 scans" in progress(review) or "9 of 10 lesions" in progress(
        review
    )
    open_after_reload = review
    open_after_reload.reload()
    open_after_reload.wait_for_selector("#view .panel")
    assert "9 of 10 lesions" in progress(review)
    assert place(review).startswith("1 of 2: ")  # the unsure one, and the scan without a lesion
    review.go_back()
    review.get_by_text("Progress by scan").click()
    review.locator(".progress li").first.wait_for()
    scans = review.locator(".progress li").all_inner_texts()
    assert sorted(" ".join(text.split()) for text in scans)[1] == "sub-b: no lesion"
    path = export(review, tmp_path)
    decisions = read_reviews([path], SCANS)
    counts = {
        name: sum(d.decision == name for d in decisions)
        for name in ("accepted", "rejected", "unsure")
    }
    assert counts == {"accepted": 6, "rejected": 3, "unsure": 1}
    assert {d.reviewer for d in decisions} == {"Anna"} and all(d.voxels for d in decisions)


def test_undo_takes_back_the_last_decision_and_returns_to_its_lesion(review):
    first = place(review)
    press(review, "a")
    press(review, "r")
    review.keyboard.press("z")
    review.keyboard.press("Control+z")
    review.wait_for_function(
        "first => document.querySelector('#view h2')?.innerText === first", arg=first
    )
    assert "0 of 10 lesions" in progress(review)


def test_a_decision_needs_a_reviewer(page, report):
    open_review(page, report)
    page.get_by_label("Reviewer").fill("n/a")  # as an empty cell of review.tsv
    page.get_by_label("Reviewer").press("Tab")
    page.keyboard.press("a")
    page.wait_for_function("document.querySelector('#status').innerText !== ''")
    assert page.locator("#status").inner_text() == "Type your name as the reviewer first."
    assert "0 of 10 lesions" in progress(page)
    assert page.evaluate("document.activeElement.id") == "reviewer"


def test_a_hostile_note_stays_text(review, tmp_path):
    review.keyboard.press("n")
    review.keyboard.type("first")
    review.locator("article.lesion textarea").fill(NOTE)
    press_outside(review)
    assert review.evaluate("window.hacked") is None
    (decision,) = read_review(export(review, tmp_path))
    assert decision.note == NOTE.replace("\t", " ") and decision.decision == "unsure"


def press_outside(page):
    page.locator("h1").click()


def test_a_missed_lesion_is_marked_by_a_click_in_the_viewer_and_by_numbers(review, tmp_path):
    review.wait_for_selector("canvas[data-shows^='lesion']")
    box = review.locator("canvas").bounding_box()
    review.mouse.click(box["x"] + 0.25 * box["width"], box["y"] + 0.45 * box["height"])
    review.wait_for_timeout(300)
    review.keyboard.press("m")
    assert "Missed cmb marked at" in review.locator("#status").inner_text()
    review.get_by_label("z", exact=False).last.fill("-20")
    review.get_by_label("z", exact=False).last.press("Tab")
    review.wait_for_timeout(300)
    review.get_by_role("button", name="Mark a missed lesion here").click()
    assert review.get_by_role("list", name="Missed lesions").get_by_role("listitem").count() == 2
    first, second = read_review(export(review, tmp_path))
    assert first.decision == second.decision == "missed" and second.place_mm[2] == pytest.approx(
        -20, abs=1.1
    )
    assert first.place_mm != second.place_mm and first.label == "cmb"
    review.get_by_role("button", name="Remove the mark").first.click()
    review.wait_for_timeout(200)
    assert review.get_by_role("list", name="Missed lesions").get_by_role("listitem").count() == 1


def test_a_scan_without_a_lesion_is_confirmed(review, tmp_path):
    for _ in range(10):
        press(review, "ArrowRight")
    review.wait_for_selector("text=No lesion of this scan is counted")
    review.wait_for_selector(".marks")
    review.keyboard.press("r")
    review.wait_for_timeout(100)
    assert "confirms" in review.locator("#status").inner_text()
    review.keyboard.press("a")
    review.wait_for_function(
        "document.querySelector('#view .panel').innerText.includes('1 of 3 scans')"
    )
    (decision,) = read_review(export(review, tmp_path))
    assert (decision.scan, decision.decision, decision.label) == ("sub-b", "complete", "")


def test_an_exported_review_is_imported_elsewhere(review, report, browser, tmp_path):
    from support.browser import offline_page

    press(review, "a")
    press(review, "r")
    path = export(review, tmp_path)
    with offline_page(browser) as other:
        open_review(other, report)
        other.get_by_label("Reviewer").fill("Anna")
        other.get_by_label("Import review.tsv").set_input_files(path)
        other.wait_for_function(
            "document.querySelector('#status').innerText.startsWith('2 decisions imported')"
        )
        assert "2 of 10 lesions" in progress(other)
        assert export(other, tmp_path / "again").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[:-20], "its last line has no end"),
        (lambda text: "\n".join(text.split("\n")[:2]) + "\n", "Rows were added or removed"),
        (lambda text: "a\tb\n1\t2\n", "Line 1"),
        (
            lambda text: (
                text.replace("T", " ", 1).replace("2026-", "27/11/2026 ").replace("20", "20")
            ),
            "Line 2",
        ),
        (
            lambda text: text.replace("sub-a", "sub-q").replace("sub-c", "sub-q"),
            "this cohort has no results",
        ),
        (lambda text: text.replace("accepted", "perhaps"), "unknown decision perhaps"),
    ],
)
def test_a_damaged_review_is_refused_with_its_line(review, tmp_path, damage, message):
    press(review, "a")
    press(review, "a")
    path = export(review, tmp_path)
    path.write_text(damage(path.read_text()))
    review.get_by_label("Import review.tsv").set_input_files(path)
    alert = review.get_by_role("alert")
    alert.wait_for()
    assert message in alert.inner_text() and "was not imported" in alert.inner_text()
    assert "2 of 10 lesions" in progress(review)


def test_blinded_there_are_no_names_and_no_probabilities(page, report):
    page.goto(report.as_uri())
    page.wait_for_function(READY)
    page.get_by_label("Blinded").click()
    page.wait_for_selector("article.lesion")
    page.get_by_label("Reviewer").fill("Ben")
    page.get_by_label("Reviewer").press("Tab")
    for _ in range(11):
        shown = page.locator("body").inner_text() + page.title() + page.url.rpartition("/")[2]
        alternatives = page.evaluate("[...document.querySelectorAll('img')].map(i => i.alt).join()")
        assert not any(
            word in shown + alternatives for word in ("sub-", "probability", "agreement", "dropped")
        )
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(150)
    page.goto(report.as_uri() + "#scan/net/sub-a")
    page.wait_for_selector("text=are hidden while you review")
    page.reload()
    assert "sub-a" not in page.locator("body").inner_text()
    page.get_by_role("button", name="End the blinded review").click()
    page.wait_for_selector("article.lesion")
    assert axe_violations(page) == []


def test_single_keys_can_be_switched_off(page, report):
    page.goto(report.as_uri())
    page.wait_for_function(READY)
    page.get_by_label("Single keys decide").uncheck()
    page.get_by_role("link", name="Review the lesions").click()
    page.wait_for_selector("article.lesion")
    page.get_by_label("Reviewer").fill("Anna")
    page.get_by_label("Reviewer").press("Tab")
    page.keyboard.press("a")
    assert "0 of 10 lesions" in progress(page)
    page.get_by_role("button", name="accepted").focus()
    page.keyboard.press("Enter")
    assert "1 of 10 lesions" in progress(page)


def test_a_full_store_is_said(review):
    review.evaluate(
        "() => { Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError') } }"
    )
    review.keyboard.press("a")
    assert "NOT kept" in review.locator("#status").inner_text()
    assert "0 of 10 lesions" in progress(review)


def test_data_that_come_late_do_not_take_the_place_of_those_that_are_shown(page, tmp_path):
    report = write_results(tmp_path, {"sub-a": 1, "sub-b": 1, "sub-c": 1})
    open_review(page, report)
    page.evaluate(
        """() => {
          const load = lesionflow.loadScript;
          let calls = 0;
          lesionflow.loadScript = async (path) => {
            if (++calls === 1) await new Promise((done) => setTimeout(done, 500));
            return load(path);
          };
        }"""
    )
    first = place(page)
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "before => document.querySelector('#view h2').innerText !== before", arg=first
    )
    page.keyboard.press("ArrowLeft")
    page.wait_for_timeout(1000)
    assert place(page) == first and page.locator("article.lesion").count() == 1


def test_blinded_a_scan_that_cannot_be_loaded_is_not_named(page, tmp_path):
    report = write_results(tmp_path, {"sub-a": 1, "sub-b": 1})
    page.goto(report.as_uri())
    page.wait_for_function(READY)
    page.evaluate(
        "() => { lesionflow.loadScript = async (path) => { throw new Error(`${path} is gone`) } }"
    )
    page.get_by_label("Blinded").click()
    page.get_by_role("alert").wait_for()
    assert "sub-" not in page.locator("body").inner_text()
