"""The files of an evaluation: its tables, their data dictionaries, and its page."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import pandas as pd

from lesionflow.base import json_sidecar, layout
from lesionflow.base.atomic_write import write_atomically
from lesionflow.evaluation.cohort_metrics import threshold_table
from lesionflow.evaluation.page import evaluation_page
from lesionflow.evaluation.scan_metrics import Evaluated, evaluation_tables
from lesionflow.results.columns import dictionary, names
from lesionflow.results.evaluation_columns import ERRORS, EVALUATION, THRESHOLDS
from lesionflow.results.scan_status import Unfinished, scan_wildcards
from lesionflow.results.tables_io import read_as_text, write_table

EMPTY = pd.DataFrame(columns=names(ERRORS))


def write_evaluation(
    plan: list[dict[str, Any]],
    models: Mapping[str, Mapping[str, Any]],
    cards: Mapping[str, Mapping[str, Any]],
    results: Path,
    logs: Path | None = None,
    unfinished: Unfinished = MappingProxyType({}),
) -> pd.DataFrame:
    """Write evaluation.csv, evaluation_thresholds.csv, evaluation_errors.csv and evaluation.html.

    Parameters
    ----------
    plan, models, results, logs, unfinished
        See ``scan_metrics.evaluation_tables``.
    cards
        ``version`` and ``postprocess`` of each model.

    Returns
    -------
    DataFrame
        That of evaluation.csv.
    """
    evaluation, sweeps, lesions, evaluated = evaluation_tables(
        plan, models, results, logs, unfinished
    )
    thresholds, errors = threshold_table(sweeps), collect_errors(evaluated, results)
    for pattern, table in (
        (layout.EVALUATION, evaluation),
        (layout.THRESHOLDS, thresholds),
        (layout.ERRORS, pd.concat(errors.values()) if errors else EMPTY),
    ):
        write_table(layout.path(pattern, results), table)
    for pattern, columns in (
        (layout.EVALUATION_COLUMNS, EVALUATION),
        (layout.THRESHOLD_COLUMNS, THRESHOLDS),
        (layout.ERROR_COLUMNS, ERRORS),
    ):
        json_sidecar.write(layout.path(pattern, results), dictionary(columns))
    page = evaluation_page(evaluation, thresholds, lesions, errors, cards)
    with write_atomically(layout.path(layout.EVALUATION_PAGE, results)) as partial:
        partial.write_text(page, encoding="utf-8")
    return evaluation


def collect_errors(evaluated: Evaluated, results: Path) -> dict[str, pd.DataFrame]:
    """The errors of each scan that has any, in the order of the plan, with every cell as text.

    Parameters
    ----------
    evaluated
        From ``scan_metrics.evaluation_tables``.
    results
        Folder of the results.

    Returns
    -------
    dict
        Tables by the address of the scan's pictures, relative to the page.
    """
    errors = {}
    for record, model in evaluated:
        wildcards = scan_wildcards(record, model)
        table = read_as_text(layout.path(layout.SCAN_ERRORS, results, **wildcards))
        if len(table):
            script = layout.path(layout.ERROR_PICTURES, Path(), **wildcards)
            errors[quote(script.as_posix())] = table
    return errors
