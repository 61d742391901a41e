"""Size and speed of report.html by number of scans, and docs/pages.md; see ``make benchmark-pages``.

The scans of a finished run are copied under new names, with some failures and with noise in their quality columns, until
there are enough. The tables and the report are written as a run writes them, and opened in Chromium over ``file://``.
"""

from library_path import REPOSITORY  # isort: skip

import argparse
import json
import shutil
import tempfile
import urllib.parse
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

from benchmark_page import cpu_name
from lesionflow.base import json_sidecar, layout
from lesionflow.results.pages.cohort_page import write_report
from lesionflow.results.tables_io import read_as_text, write_table
from support.browser import launched, offline_page

NUMBERS = (5, 200, 2000)  # of scans
ROUNDS = 3
FAILED_EVERY = 40  # scans
NOISE = 0.08  # relative standard deviation, so that no two scans are one point of a distribution
NOISY = ("brain_volume_ml", "intensity_p99", "fold_disagreement", "_volume_mm3")
COPIED = (layout.THUMBNAIL, layout.ORIG_LESIONS_SIDECAR)  # beside the data of a scan
QUIET_MS = 400  # without a change after which a page is taken to have finished
ROWS = {  # of the table, by measurement
    "page_mb": "report.html, MB",
    "loaded_mb": "all files read at opening, MB",
    "parsed_ms": "until the document is parsed, ms",
    "ready_ms": "until it can be used, ms",
    "sort_ms": "sort by a count, ms",
    "search_ms": "search for a scan, ms",
    "distributions_ms": "scroll to the distributions, ms",
    "sheet_ms": "scroll to the contact sheet, ms",
    "open_ms": "open a scan, ms",
    "scan_mb": "files read for the scan and the volume viewer, MB",
}
WATCH = """
addEventListener("DOMContentLoaded", () => {
  const root = document.documentElement;
  const note = () => requestAnimationFrame(() => {
    if (root.dataset.ready === "true") window.readyAt ??= performance.now();
    window.changedAt = performance.now();
  });
  new MutationObserver(note).observe(root, { subtree: true, childList: true, attributes: true, characterData: true });
  note();
});
for (const kind of ["click", "input"]) addEventListener(kind, () => { window.startedAt = performance.now(); }, true);
"""


def fabricate(source: Path, results: Path, scans: int) -> Path:
    """Write the results of ``scans`` scans, copies of those in the results ``source``; returns report.html."""
    random = np.random.default_rng(scans)
    cohort = read_as_text(layout.path(layout.COHORT, source))
    lesions = dict(list(read_as_text(layout.path(layout.LESIONS, source)).groupby("scan")))
    finished = cohort[cohort.status == "ok"].to_dict("records")
    run = json_sidecar.read(layout.path(layout.RUN, source))
    rows, tables = [], []
    scripts: list[Path] = []
    for number in range(scans):
        original = finished[number % len(finished)]
        name, subject = f"sub-{number + 1:05d}", f"{number + 1:05d}"
        row: dict[Any, Any] = {**original, "scan": name, "subject": subject, "session": ""}
        if number % FAILED_EVERY == FAILED_EVERY - 1:
            row = {key: row[key] for key in ("scan", "subject")}
            rows.append(row | {"status": "failed:mask", "reason": "the brain mask is empty"})
            continue
        factors = random.normal(1, NOISE, len(row))
        rows.append({key: _times(key, row[key], f) for (key, f) in zip(row, factors, strict=True)})
        tables.append(
            lesions.get(original["scan"], next(iter(lesions.values()))[:0]).assign(scan=name)
        )
        scripts += _copy_scan(source, results, str(original["scan"]), name, run["models"])
    write_table(layout.path(layout.COHORT, results), pd.DataFrame(rows, columns=cohort.columns))
    write_table(layout.path(layout.LESIONS, results), pd.concat(tables, ignore_index=True))
    shutil.copyfile(
        layout.path(layout.COHORT_COLUMNS, source), layout.path(layout.COHORT_COLUMNS, results)
    )
    write_report(results, scripts, run, has_references=False)
    return layout.path(layout.REPORT, results)


def _times(column: str, cell: str, factor: float) -> Any:
    return float(cell) * factor if column.endswith(NOISY) and cell else cell


def _copy_scan(
    source: Path, results: Path, old: str, new: str, models: Sequence[str]
) -> Iterator[Path]:
    """Copy what the report reads of a scan under each model; yields the paths of the scripts with its data."""
    for model in models:
        script = layout.SCAN_PAGE_DATA.rpartition("<scan>")[2]
        for found in (source / model).rglob(f"{old}{script}"):
            folder = found.parent.relative_to(source / model).as_posix()
            original: dict[str, Any] = {"model": model, "folder": folder, "scan": old}
            wildcards: dict[str, Any] = {"model": model, "folder": f"{new}/anat", "scan": new}
            target = layout.path(layout.SCAN_PAGE_DATA, results, **wildcards)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(found.read_text("utf-8").replace(old, new), "utf-8")
            for pattern in COPIED:
                shutil.copyfile(
                    layout.path(pattern, source, **original),
                    layout.path(pattern, results, **wildcards),
                )
            yield target


def measure(browser: Any, report: Path) -> dict[str, float]:
    """Open a report, sort its table, search for a scan and open it; what took how long (``ROWS``)."""
    read: list[str] = []
    lesions = read_as_text(layout.path(layout.LESIONS, report.parent))
    opened = str(lesions.scan.value_counts().idxmax())  # the scan with the most lesions
    with offline_page(browser) as page:
        page.add_init_script(WATCH)
        page.on("request", lambda request: read.append(request.url))
        page.goto(report.as_uri())
        page.wait_for_function("window.readyAt")
        _settled(page)
        figures = {
            "page_mb": report.stat().st_size / 1e6,
            "loaded_mb": sum(map(_size, read)) / 1e6,
            "parsed_ms": page.evaluate(
                "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"
            ),
            "ready_ms": page.evaluate("readyAt"),
        }
        table = page.get_by_role("table", name="One row per scan")
        table.get_by_role("columnheader", name="_count").first.get_by_role("button").first.click()
        figures["sort_ms"] = _settled(page)
        for key, name in (("distributions_ms", "Distributions"), ("sheet_ms", "Contact sheet")):
            page.evaluate("window.startedAt = performance.now()")
            page.get_by_role("heading", name=name).scroll_into_view_if_needed()
            figures[key] = _settled(page)
        read.clear()
        page.get_by_role("searchbox").first.fill(opened)
        figures["search_ms"] = _settled(page)
        assert table.get_by_role("link").all_inner_texts() == [opened]
        table.get_by_role("link").click()
        page.locator("#view article").first.wait_for()
        figures["open_ms"] = _settled(page)
        figures["scan_mb"] = sum(map(_size, read)) / 1e6
    return figures


def _settled(page: Any) -> float:
    """Milliseconds from the last click or input to the last change of the page, once it has stopped to change."""
    last = "Math.max(changedAt, window.startedAt ?? 0)"
    page.wait_for_function(f"performance.now() - {last} > {QUIET_MS}")
    return float(page.evaluate("changedAt - (window.startedAt ?? 0)"))


def _size(url: str) -> int:
    parts = urllib.parse.urlsplit(url)
    return Path(urllib.parse.unquote(parts.path)).stat().st_size if parts.scheme == "file" else 0


def page_text(figures: dict[int, dict[str, float]], version: str) -> str:
    """docs/pages.md."""
    numbers = list(figures)
    lines = [
        "# Size and speed of the report",
        "",
        "Written by `make benchmark-pages`; do not edit. The scans of the demo, copied under new names; medians over "
        f"{ROUNDS} rounds in Chromium {version} over `file://`, without a graphics card, on {cpu_name()}.",
        "A click or a key is answered when the page has stopped to change. The scan that is opened has the most lesions; its pictures and "
        "the volume viewer are then there.",
        "",
        f"| scans | {' | '.join(f'{n:,}' for n in numbers)} |",
        f"|---|{'---|' * len(numbers)}",
    ]
    for key, text in ROWS.items():
        digits = 2 if key.endswith("_mb") else 0
        cells = (f"{figures[n][key]:,.{digits}f}" for n in numbers)
        lines.append(f"| {text} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print the table and write docs/pages.md."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="results/ of a finished run")
    parser.add_argument("--page", type=Path, default=REPOSITORY / "docs/pages.md")
    arguments = parser.parse_args()
    figures = {}
    with sync_playwright() as playwright, launched(playwright) as browser:
        for scans in NUMBERS:
            with tempfile.TemporaryDirectory() as folder:
                report = fabricate(arguments.results, Path(folder), scans)
                rounds = [measure(browser, report) for _ in range(ROUNDS)]
            figures[scans] = {key: median(r[key] for r in rounds) for key in ROWS}
            print(json.dumps({scans: figures[scans]}), flush=True)
        text = page_text(figures, browser.version.split(".")[0])
    print(text)
    arguments.page.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
