"""The page of the cohort: status, counts and volumes of each scan, and its figures."""

import json
import os
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from lesionflow.base import layout
from lesionflow.base.atomic_write import write_atomically
from lesionflow.results.pages.html_page import render

TEMPLATES = Path(__file__).parent / "templates"
SCAN_COLUMNS = ("scan", "status", "reason")
ENDINGS = (  # of further columns on the page
    *("_count", "_volume_mm3", "brain_volume_ml", "fold_disagreement", "lesions_dropped", "flags"),
)
LEFT_OUT = ("_mean_volume_mm3", "_median_volume_mm3", "_max_volume_mm3")


def figures_by_scan(figures: Iterable[Path], folder: Path) -> dict[str, list[str]]:
    """Paths of figures relative to the folder of the page, by the scan in their names."""
    ending = layout.QC_FIGURE.rpartition("<scan>")[2]
    by_scan: dict[str, list[str]] = {}
    for path in figures:
        by_scan.setdefault(path.name.removesuffix(ending), []).append(os.path.relpath(path, folder))
    return by_scan


def write_cohort_page(
    page: Path, cohort: pd.DataFrame, figures: Iterable[Path], run: Mapping[str, Any]
) -> None:
    """Write the page of the cohort; parameters as for ``cohort_page``, and the paths of the figures."""
    html = cohort_page(cohort, figures_by_scan(figures, page.parent), run)
    with write_atomically(page) as partial:
        partial.write_text(html, "utf-8")


def cohort_page(
    cohort: pd.DataFrame,
    figures: Mapping[str, list[str]],
    run: Mapping[str, Any],
) -> str:
    """HTML page of the cohort.

    Parameters
    ----------
    cohort
        cohort.csv, every cell as text.
    figures
        Of ``figures_by_scan``.
    run
        What the run is: its ``command``, ``settings``, ``models`` (cards by name), ``packages`` (versions by name),
        ``lesionflow_version``, ``commit`` and ``modified``; as in run.json.
    """
    columns = [
        name
        for name in cohort.columns
        if name in SCAN_COLUMNS or (name.endswith(ENDINGS) and not name.endswith(LEFT_OUT))
    ]
    rows = [{**row, "figures": figures.get(row["scan"], [])} for row in cohort.to_dict("records")]
    return render(
        TEMPLATES,
        "cohort_page.html",
        cohort=rows,
        columns=columns,
        numbers=[name for name in columns if name not in (*SCAN_COLUMNS, "flags")],
        counts=cohort.status.value_counts().to_dict(),
        models=list(run["models"].values()),
        postprocess={name: _in_words(card["postprocess"]) for name, card in run["models"].items()},
        weights=_weights(cohort, list(run["models"])),
        run={**run, "command": shlex.join(run["command"]), "settings": _in_words(run["settings"])},
    )


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
