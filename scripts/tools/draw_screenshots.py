"""Screenshots of the report for the documents; see ``make screenshots``."""

from library_path import REPOSITORY  # isort: skip

import argparse
import io
from pathlib import Path
from typing import Any

from PIL import Image

from support.browser import launched, offline_page

COLOURS = 256  # of the palette


def draw_screenshots(browser: Any, report: Path, folder: Path) -> None:
    """Write report.png (table and distributions) and review.png (the lesion that most needs a look)."""
    with offline_page(browser, viewport={"width": 1400, "height": 1000}) as page:
        page.goto(report.as_uri())
        page.wait_for_function("document.documentElement.dataset.ready === 'true'")
        page.evaluate("document.getElementById('review-content').parentElement.hidden = true")
        page.get_by_role("heading", name="Distributions").scroll_into_view_if_needed()
        page.wait_for_selector(".strip svg")
        page.evaluate("document.getElementById('scans').scrollIntoView()")
        page.wait_for_timeout(1000)
        _save(page, folder / "report.png")
    with offline_page(browser, viewport={"width": 1400, "height": 820}) as page:
        page.goto(f"{report.as_uri()}#review")
        page.get_by_label("Reviewer").fill("Anna")
        page.locator("canvas[data-shows]").wait_for()
        page.keyboard.press("Escape")
        page.locator("h1").click()
        page.wait_for_timeout(1000)
        _save(page, folder / "review.png")


def _save(page: Any, path: Path) -> None:
    with Image.open(io.BytesIO(page.screenshot())) as image:
        image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


def main() -> None:
    """Draw the pages of a finished run."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="results/ of a finished run")
    arguments = parser.parse_args()
    with sync_playwright() as playwright, launched(playwright) as browser:
        draw_screenshots(browser, arguments.results / "report.html", REPOSITORY / "docs")


if __name__ == "__main__":
    main()
