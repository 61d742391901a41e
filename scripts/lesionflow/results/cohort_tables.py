"""Tables of the cohort: one row per scan, and one row per lesion."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from lesionflow.base import json_sidecar, layout
from lesionflow.results import columns
from lesionflow.results.reviews import review_columns
from lesionflow.results.reviews.cohort_review import (
    CohortReview,
    review_cohort,
    write_review_tables,
)
from lesionflow.results.scan_status import States, scan_wildcards
from lesionflow.results.tables_io import read_as_text, read_table, write_table

INTEGERS = ("_count", "nonfinite_voxels", "lesions_dropped")  # ends of the names of their columns


def write_cohort_tables(
    plan: list[dict[str, Any]],
    models: Mapping[str, Mapping[str, Any]],
    states: States,
    results: Path,
    review_files: Sequence[str | Path] = (),
) -> pd.DataFrame:
    """Write cohort.csv and lesions.csv with their data dictionaries, and the tables of the reviews if there are any.

    Parameters
    ----------
    plan, models, states, results
        As for ``cohort_table``.
    review_files
        Files review.tsv.

    Returns
    -------
    DataFrame
        That of cohort.csv.

    Raises
    ------
    ReviewError
        If a review cannot be used; nothing is written then.
    """
    reviews = review_cohort(review_files, plan, models, states, results) if review_files else None
    cohort = cohort_table(plan, models, states, results, reviews)
    lesions = lesions_table(plan, models, states, results, reviews)
    write_table(layout.path(layout.COHORT, results), cohort)
    write_table(layout.path(layout.LESIONS, results), lesions)
    for pattern, table_columns in (
        (layout.COHORT_COLUMNS, _cohort_columns(models, reviews)),
        (layout.LESION_COLUMNS, _lesion_columns(reviews)),
    ):
        json_sidecar.write(layout.path(pattern, results), columns.dictionary(table_columns))
    write_review_tables(reviews, models, results)
    return cohort


def cohort_table(
    plan: list[dict[str, Any]],
    models: Mapping[str, Mapping[str, Any]],
    states: States,
    results: Path,
    reviews: CohortReview | None = None,
) -> pd.DataFrame:
    """One row per scan in the order of the plan, whatever its status.

    Parameters
    ----------
    plan
        One record per scan (``cohort.plan.plan_run``).
    models
        Summary of each model by name (``columns.model_summary``).
    states
        From ``scan_status.scan_states``.
    results
        Folder of the results.
    reviews
        Of the cohort, if there are any: they add columns.

    Returns
    -------
    DataFrame
        ``columns.cohort_columns``. The status is that of the first model whose status is not ``ok``; the reason has
        those of all such models. Values of a model are missing unless its own status is ``ok``.
    """
    names = columns.names(_cohort_columns(models, reviews))
    several = len(models) > 1
    rows = []
    for record in plan:
        row: dict[str, Any] = {key: record[key] for key in ("scan", "subject", "session", "run")}
        by_model = {m: states[record["scan"], m] for m in models}
        problems = {m: state for m, state in by_model.items() if state[0] != "ok"}
        row["status"] = next((status for status, _ in problems.values()), "ok")
        reasons = (f"{m}: {text}" if several else text for m, (_, text) in problems.items())
        row["reason"] = "; ".join(reasons)
        for model in (m for m in models if m not in problems):
            prefix = f"{model}_" if several else ""
            measures = _measures(record, model, results)
            if reviews:
                labels = models[model]["labels"]
                measures |= reviews.cohort_cells(record["scan"], model, labels)
            row |= {prefix + key: v for key, v in measures.items()}
        rows.append(row)
    table = pd.DataFrame(rows, columns=names)
    counts = [name for name in names if name.endswith(INTEGERS)]
    return table.astype(dict.fromkeys(counts, "Int64"))  # as floats, 3 would be 3.0 beside a gap


def lesions_table(
    plan: list[dict[str, Any]],
    models: Iterable[str],
    states: States,
    results: Path,
    reviews: CohortReview | None = None,
) -> pd.DataFrame:
    """One row per lesion of every scan with the status ``ok``, in the order of the plan, every cell as text.

    Parameters
    ----------
    plan
        One record per scan.
    models
        Names of the models.
    states
        From ``scan_status.scan_states``.
    results
        Folder of the results.
    reviews
        Of the cohort, if there are any: they add columns, and rows of missed lesions.
    """
    rows = []
    for record in plan:
        for model in (m for m in models if states[record["scan"], m][0] == "ok"):
            path = layout.path(layout.SCAN_LESIONS, results, **scan_wildcards(record, model))
            of_scan = read_as_text(path).to_dict("records")
            if reviews:
                of_scan = reviews.reviewed_lesions(of_scan, record["scan"], model)
            rows += of_scan
    return pd.DataFrame(rows, columns=columns.names(_lesion_columns(reviews)))


def _cohort_columns(
    models: Mapping[str, Mapping[str, Any]], reviews: CohortReview | None
) -> list[columns.Column]:
    if reviews is None:
        return columns.cohort_columns(models)
    return columns.cohort_columns(models, review_columns.OF_LABEL, review_columns.OF_MODEL)


def _lesion_columns(reviews: CohortReview | None) -> list[columns.Column]:
    return columns.LESION + (review_columns.OF_LESION if reviews else [])


def _measures(record: Mapping[str, Any], model: str, results: Path) -> dict[str, Any]:
    """Values of a scan's row by column, without the prefix of a model."""
    wildcards = scan_wildcards(record, model)
    row: dict[str, Any] = {}
    volumes = read_table(layout.path(layout.SCAN_VOLUMES, results, **wildcards))
    for label in volumes.to_dict("records"):
        measures = {key: value for key, value in label.items() if key not in ("index", "name")}
        row |= {f"{label['name']}_{key}": value for key, value in measures.items()}
    return row | json_sidecar.read(layout.path(layout.MODEL_LABELS_SIDECAR, results, **wildcards))
