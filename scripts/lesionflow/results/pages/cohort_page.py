"""The page of the cohort: table, review, distributions, contact sheet, failed scans, methods and run."""

import json
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from lesionflow.base import json_sidecar, layout
from lesionflow.base.atomic_write import write_atomically
from lesionflow.results.pages.cohort_data import cohort_data, scan_pages
from lesionflow.results.pages.html_page import render, script_json
from lesionflow.results.pages.methods_text import methods_text
from lesionflow.results.pages.page_scripts import FOLDER, REPORT_SCRIPTS, SHARED_FILES, STYLES
from lesionflow.results.pages.shared_files import copy_shared_files
from lesionflow.results.reviews.review_file import read_review, review_row
from lesionflow.results.tables_io import read_as_text

TABLES = (layout.COHORT, layout.LESIONS)
REVIEW_TABLES = (
    layout.REVIEW_UNMATCHED,
    layout.REVIEW_CONFLICTS,
    layout.REVIEW_AGREEMENT,
    layout.REVIEW_CURRENT,
)
TEMPLATES = Path(__file__).parent / "templates"


def write_report(
    results: Path, scripts: Iterable[Path], run: Mapping[str, Any], has_references: bool
) -> None:
    """Write the page of the cohort and the files that all pages share.

    Parameters
    ----------
    results
        Folder of the results, with the tables of the cohort.
    scripts
        Paths of the data of the scans that have results (``layout.SCAN_PAGE_DATA``).
    run, has_references
        As for ``cohort_page``.
    """
    copy_shared_files(layout.path(layout.PAGE_FILES, results, file=name) for name in SHARED_FILES)
    data = cohort_data(
        cohort := read_as_text(layout.path(layout.COHORT, results)),
        read_as_text(layout.path(layout.LESIONS, results)),
        json_sidecar.read(layout.path(layout.COHORT_COLUMNS, results)),
        scan_pages(scripts, results),
        run["models"],
    )
    if run["settings"]["review"]:
        decisions = read_review(layout.path(layout.REVIEW_CURRENT, results), joined=True)
        data["decisions"] = [review_row(decision) for decision in decisions]
    html = cohort_page(cohort, data, run, has_references)
    with write_atomically(layout.path(layout.REPORT, results)) as partial:
        partial.write_text(html, "utf-8")


def cohort_page(
    cohort: pd.DataFrame,
    data: Mapping[str, Any],
    run: Mapping[str, Any],
    has_references: bool,
) -> str:
    """HTML page of the cohort.

    Parameters
    ----------
    cohort
        cohort.csv, every cell as text.
    data
        Of ``cohort_data``.
    run
        What the run is: its ``command``, ``settings``, ``models`` (cards by name), ``packages`` (versions by name),
        ``lesionflow_version``, ``commit`` and ``modified``; as in run.json.
    has_references
        Whether the cohort has reference segmentations, so that ``snakemake evaluate`` writes a page.
    """
    weights = _weights(cohort, list(run["models"]))
    failed = cohort[~cohort.status.isin(["ok", "excluded"])]
    return render(
        TEMPLATES,
        "cohort_page.html",
        data=script_json(data),
        files=FOLDER,
        scripts=REPORT_SCRIPTS,
        styles=STYLES,
        scans=len(cohort),
        counts=cohort.status.value_counts().to_dict(),
        failed=failed.to_dict("records"),
        tables=_names(TABLES + (REVIEW_TABLES if run["settings"]["review"] else ())),
        evaluation=_names([layout.EVALUATION_PAGE])[0] if has_references else "",
        models=list(run["models"].values()),
        methods=methods_text(run, weights, int((cohort.status == "ok").sum()), len(cohort)),
        postprocess={name: _in_words(card["postprocess"]) for name, card in run["models"].items()},
        weights=weights,
        run={**run, "command": shlex.join(run["command"]), "settings": _in_words(run["settings"])},
    )


def _names(patterns: Iterable[str]) -> list[str]:
    return [layout.path(pattern).name for pattern in patterns]


def _in_words(section: Mapping[str, Any]) -> dict[str, str]:
    """The values of a section as text; what is not set is left out."""
    return {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in section.items()
        if value not in (None, "", [], {})
    }


def _weights(cohort: pd.DataFrame, models: list[str]) -> dict[str, str]:
    """SHA-256 of the weights of each model, from the rows of the cohort."""
    weights = {}
    for model in models:
        column = f"{model}_weights_sha256" if len(models) > 1 else "weights_sha256"
        values = set(cohort[column]) if column in cohort else set()
        weights[model] = ", ".join(sorted(values - {""}))
    return weights
