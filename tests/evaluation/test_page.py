"""The evaluation page in a browser, opened from disk: pictures of errors on demand, accessibility, hostile names."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lesionflow.base import layout
from lesionflow.evaluation.cohort_metrics import threshold_table
from lesionflow.evaluation.error_pictures import write_pictures
from lesionflow.evaluation.evaluation_files import collect_errors
from lesionflow.evaluation.lesion_errors import NO_ERRORS
from lesionflow.evaluation.page import evaluation_page
from lesionflow.evaluation.plots import METRIC_STYLES, SIZE_STYLES
from lesionflow.evaluation.scan_metrics import scan_metrics
from lesionflow.results import evaluation_columns
from lesionflow.results.columns import names
from lesionflow.results.pictures.lesion_views import as_data_url
from lesionflow.results.tables_io import write_table
from support.browser import axe_violations

HOSTILE = "<img src=x onerror=\"document.title='run'\">"
COUNTS = {
    **{"label": "cmb", "lesions": 4, "found": 2, "count": 3, "true_detections": 2},
    **{"outside_truth": 0, "volume_mm3": 30.0, "truth_volume_mm3": 40.0, "voxels": 30},
    **{"truth_voxels": 40, "voxels_both": 20},
}


def error(kind, number, label="cmb"):
    """An error of a scan."""
    row = {"error": kind, "label": label, "number": number, "side": "left", "i": 1, "j": 2, "k": 3}
    row |= {"lesion": number if kind == "false positive" else pd.NA, "x_mm": -3.0, "y_mm": 1.5}
    row |= {"axial_slice": 3, "coronal_slice": 2, "sagittal_slice": 1, "z_mm": 8.25}
    return {**row, "volume_mm3": 4.5, "max_probability": 0.25}


def write_page(results, errors_by_scan):
    """The page and the files of errors of these scans."""
    evaluated, rows, sweeps = [], [], []
    for n, (scan, errors) in enumerate(errors_by_scan.items()):
        record = {"scan": scan, "folder": f"{scan}/anat"}
        evaluated.append((record, "m"))
        wildcards = {**record, "model": "m"}
        table = pd.DataFrame(errors, columns=NO_ERRORS.columns)
        columns = names(evaluation_columns.ERRORS)
        path = layout.path(layout.SCAN_ERRORS, results, **wildcards)
        path.parent.mkdir(parents=True)
        write_table(path, table.assign(scan=scan, model="m")[columns])
        picture = as_data_url(Image.new("RGB", (413, 135), (40 * n, 90, 90)))
        script = layout.path(layout.ERROR_PICTURES, results, **wildcards)
        write_pictures(script, f"m/{scan}", table, [picture] * len(table))
        metrics = scan_metrics(pd.DataFrame([COUNTS]))
        rows.append(metrics.assign(scan=scan, model="m", label="cmb", status="ok", reason=HOSTILE))
        for threshold in (0.25, 0.5):
            keys = {"scan": scan, "model": "m", "threshold": threshold, "min_volume_mm3": 0.0}
            sweeps.append({**COUNTS, **keys, "card": threshold == 0.5})
    evaluation = pd.concat(rows).reindex(columns=names(evaluation_columns.EVALUATION))
    lesions = pd.DataFrame(columns=["scan", "model", "label", "volume_mm3", "diameter_mm", "found"])
    models = {"m": {"version": "v1", "postprocess": {"connectivity": 26}}}
    thresholds, errors = threshold_table(pd.DataFrame(sweeps)), collect_errors(evaluated, results)
    page = evaluation_page(evaluation.reset_index(drop=True), thresholds, lesions, errors, models)
    (results / "evaluation.html").write_text(page, encoding="utf-8")
    return results / "evaluation.html"


@pytest.fixture
def path(tmp_path):
    """A page of three scans, the second one without an error, in a folder with a space and a percent sign."""
    errors = [error("missed", 1), error("missed", 2, HOSTILE), error("false positive", 7)]
    scans = {"sub-1": errors, "sub-2": [], "sub-3": [error("false positive", 3)]}
    return write_page(tmp_path / "50 % done" / "results", scans)


@pytest.mark.slow
def test_pictures_are_loaded_when_a_scan_is_opened(page, path):
    page.goto(path.as_uri())
    sections = page.locator("details.errors")
    assert sections.locator("summary").all_text_contents() == [
        "sub-1, m: 2 missed, 1 false positives",
        "sub-3, m: 0 missed, 1 false positives",
    ]
    assert page.locator("figure").count() == 0 == page.locator("script[src]").count()
    page.locator("summary").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("figure")
    assert sections.first.locator("figure").count() == 3 == page.locator("figure").count()
    texts = sections.first.locator("figcaption").all_text_contents()
    place = "left, at x -3.0, y 1.5, z 8.2 mm, axial slice 3, coronal slice 2, sagittal slice 1"
    assert texts[0] == f"Missed cmb, {place}; 4.5 mm³, highest probability 0.25"
    assert texts[1].startswith(f"Missed {HOSTILE}, left") and page.title() != "run"
    assert texts[2].startswith("False positive cmb 7, left")
    image = sections.first.locator("img").first
    assert image.get_attribute("alt") == "Axial, coronal and sagittal view. " + texts[0]
    page.wait_for_function("document.querySelector('figure img').naturalWidth === 413")


@pytest.mark.slow
def test_a_missing_script_is_named(browser, path):
    script = path.parent / "m/sub-3/anat/sub-3_desc-truth_errors.js"
    script.unlink()
    page = browser.new_page()
    page.goto(path.as_uri())
    page.locator("summary").last.click()
    page.wait_for_function("document.body.innerText.includes('could not be loaded')")
    assert "sub-3_desc-truth_errors.js is missing" in page.inner_text("details.errors:last-of-type")
    page.close()


@pytest.mark.slow
def test_without_javascript_the_errors_are_in_tables(browser, path):
    page = browser.new_page(java_script_enabled=False)
    page.goto(path.as_uri())
    page.locator("summary").first.click()
    cells = page.locator("details.errors").first.locator("tbody tr").first.locator("th, td")
    assert cells.all_text_contents() == [
        *("missed", "cmb", "", "left", "3", "2", "1", "-3.0", "1.5", "8.2", "4.5", "0.25")
    ]
    assert "Without JavaScript" in page.inner_text("main")
    page.close()


@pytest.mark.slow
def test_the_page_is_accessible(page, path):
    page.goto(path.as_uri())
    for summary in page.locator("summary").all():
        summary.click()
    page.wait_for_function("document.querySelectorAll('figure').length === 4")
    assert axe_violations(page) == []
    levels = page.eval_on_selector_all("h1, h2, h3, h4", "all => all.map((h) => +h.tagName[1])")
    assert levels[0] == 1 and all(b - a <= 1 for a, b in zip(levels, levels[1:], strict=False))
    assert page.locator("table").count() == page.locator("table > caption").count() > 3
    assert page.locator("thead th:not([scope=col]), tbody th:not([scope=row])").count() == 0


def test_the_page_of_many_scans_stays_small(tmp_path):
    errors = [error("missed", n) for n in range(12)] + [error("false positive", 9)] * 12
    page = write_page(tmp_path / "results", {f"sub-{n}": errors for n in range(100)})
    assert page.stat().st_size < 2_000_000  # 2,400 errors; their pictures are elsewhere
    assert b"image/webp;base64,UklG" not in page.read_bytes()


@pytest.mark.parametrize("styles", [METRIC_STYLES.values(), SIZE_STYLES])
def test_curves_differ_in_colour_marker_and_line(styles):
    colours, markers, lines = zip(*styles, strict=True)
    assert len(set(colours)) == len(set(markers)) == len(set(lines)) == len(markers)


def luminance(colour):
    """Relative luminance by WCAG 2 of a colour in hexadecimal digits."""
    channels = np.array([int(colour[n : n + 2], 16) for n in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def test_metric_curves_have_a_contrast_of_three_on_white():
    for colour, _, _ in METRIC_STYLES.values():
        assert 1.05 / (luminance(colour) + 0.05) >= 3
