"""The tables of a cohort: a row a scan, a row a lesion."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lesionflow import columns, facts
from lesionflow.cohort import MATLAB
from lesionflow.jobs import outcome
from lesionflow.whole import whole

STEPS = {  # the road in its order, and where a job of each step logs
    "import_fold": "{model}/fold-{fold}.log",
    "convert": "{model}/{folder}/{scan}_{kind}.log",
    "resample": "{model}/{folder}/{scan}_channel-{channel}.log",
    "find_brain": "{model}/{folder}/{scan}.log",
    "mask": "{model}/{folder}/{scan}.log",
    "crop": "{model}/{folder}/{scan}.log",
    "normalize": "{model}/{folder}/{scan}_channel-{channel}.log",
    "predict_fold": "{model}/{folder}/{scan}_fold-{fold}.log",
    "average_folds": "{model}/{folder}/{scan}.log",
    "clean": "{model}/{folder}/{scan}.log",
    "threshold": "{model}/{folder}/{scan}.log",
    "count": "{model}/{folder}/{scan}.log",
    "restore": "{model}/{folder}/{scan}.log",
    "draw": "{model}/{folder}/{scan}.log",
}
RESULTS = (  # what stands at the end of a scan's road
    "{scan}_lesions.tsv",
    "{scan}_volumes.tsv",
    "{scan}_space-model_dseg.json",
    "{scan}_space-orig_dseg.nii.gz",
    "{scan}_qc.png",
)
DECIMALS = 4
AS_WRITTEN: dict[str, Any] = {
    "keep_default_na": False,
    "na_values": [""],
}  # a label may be called NA
WHOLE_NUMBERS = ("_count", "nonfinite_voxels", "lesions_dropped")


def write_table(path: Path | str, table: pd.DataFrame) -> None:
    """Write a table whole or not at all: tabs for ``.tsv``, else commas; empty for what is missing.

    Truth values are ``true`` and ``false``; numbers have at most four decimals, small ones (under 0.1,
    as intensities of some scanners are) four digits.
    """
    separator = "\t" if str(path).endswith(".tsv") else ","
    shown = table.copy()
    for name in shown.columns:
        if pd.api.types.is_float_dtype(shown[name]):
            shown[name] = shown[name].map(_short)
        elif shown[name].map(lambda v: isinstance(v, bool | np.bool_)).any():
            shown[name] = shown[name].map({True: "true", False: "false"})
    with whole(path) as partial:
        shown.to_csv(partial, sep=separator, index=False, lineterminator="\n")


def _short(value: float) -> float:
    return float(f"{value:.{DECIMALS}g}") if abs(value) < 0.1 else round(value, DECIMALS)


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
        verdicts = {m: verdict(record, m, models[m], results, logs) for m in models}
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
        and len(part := _read(_folder(results, model, record) / f"{record['scan']}_lesions.tsv"))
    ]
    return pd.concat(parts, ignore_index=True) if parts else empty


def _folder(results: Path, model: str, record: Mapping[str, Any]) -> Path:
    return results / model / record["folder"]


def _read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)


def verdict(
    record: Mapping[str, Any], model: str, parts: Mapping[str, Any], results: Path, logs: Path
) -> tuple[str, str]:
    """Status and reason of one scan under one model, by its results and its logs (see ``cohort_table``)."""
    if model in record["problems"]:
        status, reason = record["problems"][model]
        return status, reason
    names = {"model": model, "folder": record["folder"], "scan": record["scan"]}
    files = record["files"].items()
    matlab = [kind for kind, path in files if path.endswith(MATLAB) and kind != "truth"]
    off_road = {"find_brain": not record["finder"], "clean": not parts["cleaned"]}
    off_road["convert"] = not matlab
    jobs = {  # by name, not by what lies there: a step that is no more may have left a log
        step: [
            logs / step / pattern.format(**names, fold=fold, channel=channel, kind=kind)
            for fold in (range(1, parts["folds"] + 1) if "{fold}" in pattern else [0])
            for channel in (parts["channels"] if "{channel}" in pattern else [""])
            for kind in (matlab if "{kind}" in pattern else [""])
        ]
        for step, pattern in STEPS.items()
        if not off_road.get(step)
    }
    if finder := record["finder"]:
        own = [
            STEPS["import_fold"].format(model=finder["name"], fold=fold + 1)
            for fold in range(finder["folds"])
        ]
        jobs["import_fold"] += [logs / "import_fold" / log for log in own]
    for step, paths in jobs.items():
        for log in paths:
            if reason := outcome(log):
                return f"failed:{step}", reason
    missing = [
        name
        for name in (pattern.format(**names) for pattern in RESULTS)
        if not (_folder(results, model, record) / name).is_file()
    ]
    if missing:
        after = [s for s, paths in jobs.items() if not any(path.is_file() for path in paths)]
        step = after[0] if after else "draw"
        return f"failed:{step}", "the run ended before this step was begun"
    return "ok", ""


def _measured(record: Mapping[str, Any], model: str, results: Path) -> dict[str, Any]:
    folder = _folder(results, model, record)
    row: dict[str, Any] = {}
    volumes = pd.read_csv(folder / f"{record['scan']}_volumes.tsv", sep="\t", **AS_WRITTEN)
    for line in volumes.to_dict("records"):
        row |= {
            f"{line['name']}_{key}": value
            for key, value in line.items()
            if key not in ("index", "name")
        }
    return row | facts.read(folder / f"{record['scan']}_space-model_dseg.json")
