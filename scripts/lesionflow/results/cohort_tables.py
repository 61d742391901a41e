"""Tables of the cohort: one row per scan, and one row per lesion."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from lesionflow.base import json_sidecar, layout
from lesionflow.results import columns
from lesionflow.results.scan_status import States, scan_wildcards
from lesionflow.results.tables_io import read_as_text, read_table, write_table

INTEGERS = ("_count", "nonfinite_voxels", "lesions_dropped")  # ends of the names of their columns


def write_cohort_tables(
    plan: list[dict[str, Any]],
    models: Mapping[str, Mapping[str, Any]],
    states: States,
    results: Path,
) -> pd.DataFrame:
    """Write cohort.csv and lesions.csv with their data dictionaries; parameters as for ``cohort_table``.

    Returns
    -------
    DataFrame
        That of cohort.csv.
    """
    cohort = cohort_table(plan, models, states, results)
    write_table(layout.path(layout.COHORT, results), cohort)
    write_table(layout.path(layout.LESIONS, results), lesions_table(plan, models, states, results))
    for pattern, table_columns in (
        (layout.COHORT_COLUMNS, columns.cohort_columns(models)),
        (layout.LESION_COLUMNS, columns.LESION),
    ):
        json_sidecar.write(layout.path(pattern, results), columns.dictionary(table_columns))
    return cohort


def cohort_table(
    plan: list[dict[str, Any]],
    models: Mapping[str, Mapping[str, Any]],
    states: States,
    results: Path,
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

    Returns
    -------
    DataFrame
        ``columns.cohort_columns``. The status is that of the first model whose status is not ``ok``; the reason has
        those of all such models. Values of a model are missing unless its own status is ``ok``.
    """
    names = columns.names(columns.cohort_columns(models))
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
            row |= {prefix + key: v for key, v in _measures(record, model, results).items()}
        rows.append(row)
    table = pd.DataFrame(rows, columns=names)
    counts = [name for name in names if name.endswith(INTEGERS)]
    return table.astype(dict.fromkeys(counts, "Int64"))  # as floats, 3 would be 3.0 beside a gap


def lesions_table(
    plan: list[dict[str, Any]], models: Iterable[str], states: States, results: Path
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
    """
    paths = [
        layout.path(layout.SCAN_LESIONS, results, **scan_wildcards(record, model))
        for record in plan
        for model in models
        if states[record["scan"], model][0] == "ok"
    ]
    tables = [table for table in map(read_as_text, paths) if len(table)]
    no_lesion = pd.DataFrame(columns=columns.names(columns.LESION))
    return pd.concat(tables, ignore_index=True) if tables else no_lesion


def _measures(record: Mapping[str, Any], model: str, results: Path) -> dict[str, Any]:
    """Values of a scan's row by column, without the prefix of a model."""
    wildcards = scan_wildcards(record, model)
    row: dict[str, Any] = {}
    volumes = read_table(layout.path(layout.SCAN_VOLUMES, results, **wildcards))
    for label in volumes.to_dict("records"):
        measures = {key: value for key, value in label.items() if key not in ("index", "name")}
        row |= {f"{label['name']}_{key}": value for key, value in measures.items()}
    return row | json_sidecar.read(layout.path(layout.MODEL_LABELS_SIDECAR, results, **wildcards))
