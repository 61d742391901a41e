"""The files of an evaluation: its tables, their data dictionaries, and its page."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd

from lesionflow.base import json_sidecar, layout
from lesionflow.base.atomic_write import write_atomically
from lesionflow.evaluation.cohort_metrics import threshold_table
from lesionflow.evaluation.page import evaluation_page
from lesionflow.evaluation.scan_metrics import evaluation_tables
from lesionflow.results.columns import dictionary
from lesionflow.results.evaluation_columns import EVALUATION, THRESHOLDS
from lesionflow.results.scan_status import Unfinished
from lesionflow.results.tables_io import write_table


def write_evaluation(
    plan: list[dict[str, Any]],
    models: Mapping[str, Mapping[str, Any]],
    cards: Mapping[str, Mapping[str, Any]],
    results: Path,
    logs: Path | None = None,
    unfinished: Unfinished = MappingProxyType({}),
) -> pd.DataFrame:
    """Write evaluation.csv, evaluation_thresholds.csv and evaluation.html.

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
    evaluation, sweeps, lesions = evaluation_tables(plan, models, results, logs, unfinished)
    thresholds = threshold_table(sweeps)
    for pattern, table in ((layout.EVALUATION, evaluation), (layout.THRESHOLDS, thresholds)):
        write_table(layout.path(pattern, results), table)
    for pattern, columns in (
        (layout.EVALUATION_COLUMNS, EVALUATION),
        (layout.THRESHOLD_COLUMNS, THRESHOLDS),
    ):
        json_sidecar.write(layout.path(pattern, results), dictionary(columns))
    page = evaluation_page(evaluation, thresholds, lesions, cards)
    with write_atomically(layout.path(layout.EVALUATION_PAGE, results)) as partial:
        partial.write_text(page, encoding="utf-8")
    return evaluation
