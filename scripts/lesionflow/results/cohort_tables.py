"""The tables of a cohort: a row a scan, a row a lesion."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lesionflow.base import json_sidecar, layout
from lesionflow.results import columns
from lesionflow.results.scan_status import scan_status, scan_wildcards
from lesionflow.results.tables_io import AS_WRITTEN

WHOLE_NUMBERS = ("_count", "nonfinite_voxels", "lesions_dropped")


def lesion_rows(found: pd.DataFrame, voxels: np.ndarray, scan: str, model: str) -> pd.DataFrame:
    """A scan's lesions as rows of lesions.csv.

    Parameters
    ----------
    found
        Of ``lesions.measure`` and ``lesions.judge``.
    voxels : array (n, 3)
        Voxel of the source scan for each.
    scan, model
        For their columns.
    """
    table = found.assign(scan=scan, model=model, i=voxels[:, 0], j=voxels[:, 1], k=voxels[:, 2])
    return table[columns.names(columns.LESION)]


def scan_facts(gathered: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """What a scan's row says beside its lesions: quality, provenance and flags.

    Raises
    ------
    KeyError
        If a step did not tell a fact that the table has a column for.
    """
    known = {**gathered, **own}
    volume, edge = known["brain_volume_ml"], known["brain_at_edge"]
    if known["mask_source"] == "none":
        known["brain_outside_box"] = None
    found = {
        "no-brain-mask": known["mask_source"] == "none",
        "brain-cut-by-box": (known["brain_outside_box"] or 0) > 0,
        "brain-at-edge": edge is not None and edge > 0.02,
        "brain-volume": volume is not None and not 600 <= volume <= 2200,
        "nonfinite-voxels": known["nonfinite_voxels"] > 0,
        "channel-filled": known["filled"],
    }
    known["flags"] = ";".join(flag for flag in columns.FLAGS if found[flag])
    wanted = columns.names(columns.QUALITY + columns.PROVENANCE)
    return {name: known[name] for name in wanted}


def cohort_table(
    plan: list[dict[str, Any]],
    models: Mapping[str, Mapping[str, Any]],
    results: Path,
    logs: Path,
) -> pd.DataFrame:
    """One row a scan, in the order of the plan, whatever became of it.

    Parameters
    ----------
    plan
        Of ``plan.plan_run``.
    models
        By name: the names of its ``labels`` and ``channels`` (lists), the number of ``folds``, whether its
        probabilities are ``cleaned``, and ``soft``, the names of what has a soft volume.
    results, logs
        Folders of the run.
    """
    wanted = columns.names(columns.cohort_columns(models))
    rows = []
    for record in plan:
        row: dict[str, Any] = {key: record[key] for key in ("scan", "subject", "session", "run")}
        verdicts = {m: scan_status(record, m, models[m], results, logs) for m in models}
        bad = {m: v for m, v in verdicts.items() if v[0] != "ok"}
        row["status"] = next((status for status, _ in bad.values()), "ok")
        named = len(models) > 1
        row["reason"] = "; ".join(f"{m}: {why}" if named else why for m, (_, why) in bad.items())
        for model, (status, _) in verdicts.items():
            if status == "ok":
                prefix = f"{model}_" if len(models) > 1 else ""
                row |= {prefix + k: v for k, v in _measured(record, model, results).items()}
        rows.append(row)
    table = pd.DataFrame(rows, columns=wanted)
    counts = [name for name in wanted if name.endswith(WHOLE_NUMBERS)]
    return table.astype(dict.fromkeys(counts, "Int64"))  # a float would show 3 as 3.0 beside a gap


def lesions_table(plan: list[dict[str, Any]], models: Iterable[str], results: Path) -> pd.DataFrame:
    """The lesions of every scan that was run, in the order of the plan."""
    empty = pd.DataFrame(columns=columns.names(columns.LESION))
    parts = [
        part
        for record in plan
        for model in models
        if model not in record["problems"]
        and len(
            part := _read(
                layout.path(layout.SCAN_LESIONS, results, **scan_wildcards(record, model))
            )
        )
    ]
    return pd.concat(parts, ignore_index=True) if parts else empty


def _read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)


def _measured(record: Mapping[str, Any], model: str, results: Path) -> dict[str, Any]:
    wildcards = scan_wildcards(record, model)
    row: dict[str, Any] = {}
    path = layout.path(layout.SCAN_VOLUMES, results, **wildcards)
    volumes = pd.read_csv(path, sep="\t", **AS_WRITTEN)
    for line in volumes.to_dict("records"):
        row |= {
            f"{line['name']}_{key}": value
            for key, value in line.items()
            if key not in ("index", "name")
        }
    return row | json_sidecar.read(layout.path(layout.MODEL_LABELS_SIDECAR, results, **wildcards))
