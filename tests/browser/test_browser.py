"""The browser of the tests: what it lets a page do, and what it notices."""

import pytest

from support import browser as support
from support.browser import axe_violations, offline_page

pytestmark = pytest.mark.slow
WEBGL = "document.createElement('canvas').getContext('webgl2') !== null"
PAGE = '<!doctype html><html lang="en"><title>t</title><body><main><h1>Scans</h1>{}</main>'


@pytest.fixture
def write(tmp_path):
    """A function that writes a page and returns its URL."""

    def write(body):
        path = tmp_path / "page.html"
        path.write_text(PAGE.format(body))
        return path.as_uri()

    return write


def test_a_page_loads_a_script_beside_it(page, write, tmp_path):
    (tmp_path / "data.js").write_text("window.scans = 3")
    page.goto(write('<script src="data.js"></script>'))
    assert page.evaluate("window.scans") == 3


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("<script>fetch('http://example.org/a').catch(() => 0)</script>", "http://example.org/a"),
        ("<img src='https://example.org/a.png' alt=''>", "https://example.org/a.png"),
        ("<script>new WebSocket('ws://example.org/')</script>", "ws://example.org/"),
        ("<script src='missing.js'></script>", "ERR_FILE_NOT_FOUND"),
        ("<script>console.error('of the page')</script>", "of the page"),
        ("<script>throw Error('of the page')</script>", "of the page"),
        ("<script>Promise.reject(Error('of the page'))</script>", "of the page"),
    ],
)
def test_errors_and_requests_of_a_page_fail_its_test(browser, write, body, problem):
    with pytest.raises(AssertionError, match=problem), offline_page(browser) as page:
        page.goto(write(body))
        page.wait_for_timeout(200)


def test_a_page_that_opens_another_is_watched_in_both(browser, write, tmp_path):
    (tmp_path / "other.html").write_text("<script>throw Error('of the other')</script>")
    with pytest.raises(AssertionError, match="of the other"), offline_page(browser) as page:
        page.goto(write("<a href='other.html' target='_blank' rel='opener'>other</a>"))
        with page.expect_popup() as popup:
            page.get_by_role("link").click()
        popup.value.wait_for_timeout(200)


def test_a_page_can_save_a_file(page, write):
    page.goto(write("<a href='data:text/plain,1' download='review.tsv'>save</a>"))
    with page.expect_download() as download:
        page.get_by_role("link").click()
    assert download.value.suggested_filename == "review.tsv"
    assert download.value.path().read_text() == "1"


def test_webgl_is_there_and_can_be_left_out(page, page_without_webgl, write):
    url = write("")
    page.goto(url)
    page_without_webgl.goto(url)
    assert page.evaluate(WEBGL)
    assert not page_without_webgl.evaluate(WEBGL)


def test_axe_finds_faint_text_and_a_picture_without_a_text(page, write):
    page.goto(write("<p style='color: #ccc; background: #fff'>faint</p><img src='data:,'>"))
    faults = axe_violations(page)
    assert sorted(fault.split()[0] for fault in faults) == ["color-contrast", "image-alt"]
    assert any("faint" in fault for fault in faults)
    assert len(axe_violations(page, within="p")) == 1
    page.goto(write("<p>dark</p>"))
    assert axe_violations(page) == []


@pytest.mark.parametrize(
    ("needed", "outcome"), [("1", pytest.fail.Exception), ("", pytest.skip.Exception)]
)
def test_without_a_browser_tests_are_skipped_or_fail(monkeypatch, needed, outcome):
    monkeypatch.setattr(support, "chromium", lambda: None)
    monkeypatch.setenv(support.NEEDED, needed)
    with pytest.raises(outcome, match="apt-get install chromium"):
        support.need_chromium()
