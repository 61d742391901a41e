"""The volume viewer and the order of a review in a browser."""

import numpy as np
import pytest

from lesionflow.results.reviews.review_file import read_review
from support.pages import AFFINE, SHAPE, write_results

pytestmark = pytest.mark.slow

MANY = 17  # more lesions than browsers give WebGL contexts to a page


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return write_results(tmp_path_factory.mktemp("cohort"), {"sub-a": MANY})


@pytest.fixture
def scan(page, report):
    """The page of sub-a in the report, of the reviewer Anna."""
    page.goto(report.as_uri())
    page.evaluate("localStorage.setItem('lesionflow-reviewer', 'Anna')")
    page.goto(f"{report.as_uri()}#scan/net/sub-a")
    page.wait_for_selector("canvas[data-shows='lesion 1']")
    return page


def test_a_mark_lies_in_the_scan_whatever_is_typed(scan, tmp_path):
    x = scan.locator(".viewer input[type=number]").first
    x.fill("5000")
    x.press("Tab")
    scan.wait_for_function(
        "Number(document.querySelector('.viewer input[type=number]').value) < 100"
    )
    at_the_edge = x.input_value()
    x.fill("")
    x.press("Tab")
    scan.wait_for_timeout(200)
    scan.get_by_role("button", name="Mark a missed lesion here").click()
    scan.evaluate("location.hash = ''")
    with scan.expect_download(lambda d: d.suggested_filename == "review.tsv") as download:
        scan.get_by_role("button", name="Export review.tsv").first.click()
    download.value.save_as(tmp_path / "review.tsv")
    (mark,) = read_review(tmp_path / "review.tsv")
    assert mark.place_mm[0] == pytest.approx(float(at_the_edge), abs=0.06)
    voxel = np.linalg.solve(AFFINE, [*mark.place_mm, 1])[:3]
    assert (voxel >= -0.51).all() and (voxel <= np.array(SHAPE) - 0.49).all()


def test_in_random_order_the_lesions_of_a_scan_do_not_follow_each_other(page, report):
    page.goto(report.as_uri())
    scans = page.evaluate(
        """() => {
          const pages = Array.from({ length: 10 }, (_, n) => ({ model: "net", scan: `sub-${n}`, kept: [1] }));
          const queue = pages.flatMap((_, n) => Array.from({ length: 20 }, (_, m) => [n, m + 1, 1]));
          const store = { reviewer: "Anna" };
          const settings = { order: "random", dropped: false, decided: true };
          return lesionflow.reviewItems({ pages, queue }, store, settings).map(({ page }) => page.scan);
        }"""
    )
    assert len(scans) == 200
    followed = sum(a == b for a, b in zip(scans, scans[1:], strict=False))
    assert followed < 38  # 19 are expected by chance, with a standard deviation of 4


def test_scans_of_a_model_of_structures_are_not_reviewed(page, report):
    page.goto(report.as_uri())
    items = page.evaluate(
        """() => {
          const of = (scan, structures) => ({ model: "net", scan, scan_sha256: "", structures, kept: [] });
          const pages = [of("sub-1", true), of("sub-2", false)];
          const settings = { order: "look", dropped: false, decided: false };
          const items = lesionflow.reviewItems({ pages, queue: [] }, new lesionflow.Store(pages), settings);
          return items.map(({ page, lesion }) => [page.scan, lesion]);
        }"""
    )
    assert items == [["sub-2", None]]


def test_the_viewer_stays_whatever_number_of_lesions_and_scans_it_has_shown(scan, report):
    warnings = []
    scan.on("console", lambda message: warnings.append(message.text))
    for number in range(2, MANY + 1):
        scan.keyboard.press("ArrowRight")
        scan.wait_for_selector(f"canvas[data-shows='lesion {number}']")
    assert not scan.evaluate(
        "document.querySelector('canvas').getContext('webgl2').isContextLost()"
    )
    for _ in range(17):  # as from scan to scan
        scan.evaluate("location.hash = ''")
        scan.wait_for_selector("canvas", state="detached")
        scan.evaluate("location.hash = 'scan/net/sub-a'")
        scan.wait_for_selector("canvas[data-shows]")
    assert warnings == []


def test_blinded_a_dropped_lesion_has_the_colour_of_the_others(page, report):
    page.goto(report.as_uri())
    page.get_by_label("Blinded").click()
    page.wait_for_selector("canvas[data-shows]")
    page.evaluate(
        """() => {
          const [images, tables] = [niivue.NVImage.prototype, []];
          const set = images.setColormapLabel;
          images.setColormapLabel = function (table) { tables.push(table); return set.call(this, table); };
          window.tables = tables;
        }"""
    )
    page.keyboard.press("ArrowRight")
    page.wait_for_function("window.tables.length > 0")
    colours = page.evaluate(
        "tables[0].R.map((red, n) => `${red} ${tables[0].G[n]} ${tables[0].B[n]}`)"
    )
    # the background, the lesion under review, and all others, of which one is dropped
    assert len(colours) == MANY + 1 and len(set(colours)) == 3
