"""The benchmark of the report: the results that it fabricates, and what it measures of them."""

import pytest

import benchmark_pages
from lesionflow.results.tables_io import read_as_text

pytestmark = pytest.mark.slow


def test_scans_are_copied_until_there_are_enough_and_their_report_is_measured(
    finished, browser, tmp_path
):
    report = benchmark_pages.fabricate(finished / "results", tmp_path, 41)
    cohort, lesions = (read_as_text(tmp_path / name) for name in ("cohort.csv", "lesions.csv"))
    assert cohort.scan.tolist() == [f"sub-{number:05d}" for number in range(1, 42)]
    assert cohort.status.value_counts().to_dict() == {"ok": 40, "failed:mask": 1}
    assert cohort.cmb_count.tolist()[:6] == ["2", "1", "0", "2", "1", "0"]
    assert cohort.brain_volume_ml.nunique() > 30
    assert lesions.scan.tolist()[:4] == ["sub-00001", "sub-00001", "sub-00002", "sub-00004"]
    figures = benchmark_pages.measure(browser, report)
    assert figures.keys() == benchmark_pages.ROWS.keys()
    assert 0 < figures["page_mb"] < figures["loaded_mb"]
    assert all(0 < figures[key] < 60_000 for key in figures if key.endswith("_ms"))
    text = benchmark_pages.page_text({41: figures, 2000: figures}, "1")
    assert "| scans | 41 | 2,000 |" in text
    assert text.count("\n|") == 2 + len(benchmark_pages.ROWS)
