"""Metrics of each scan against its reference lesions, from the counts of ``compare``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lesionflow.base import json_sidecar, layout
from lesionflow.base.job_log import outcome
from lesionflow.evaluation import other_conventions
from lesionflow.imaging.overlap import dice
from lesionflow.results import evaluation_columns
from lesionflow.results.columns import names
from lesionflow.results.scan_status import NOT_STARTED, scan_status, scan_wildcards

Array = np.ndarray


def ratio(part: Array, whole: Array) -> Array:
    """``part / whole``, NaN where ``whole`` is 0."""
    part, whole = np.asarray(part, float), np.asarray(whole, float)
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)


def detection(lesions: Array, found: Array, count: Array, right: Array) -> dict[str, Array]:
    """Sensitivity, precision and F1 of numbers of lesions, missing where they are not defined.

    Parameters
    ----------
    lesions, found : arrays
        True lesions, and those of them that were found.
    count, right : arrays, same shape
        Predicted lesions, and those of them that overlap a true one.

    Returns
    -------
    dict
        ``sensitivity`` = found / lesions; ``precision`` = right / count; ``f1``, their harmonic
        mean, 0 where there are lesions, true or predicted, and none overlaps.
    """
    sensitivity, precision = ratio(found, lesions), ratio(right, count)
    both = np.nan_to_num(sensitivity) + np.nan_to_num(precision)
    f1 = ratio(2 * np.nan_to_num(sensitivity) * np.nan_to_num(precision), both)
    something = np.asarray(lesions, float) + np.asarray(count, float) > 0
    f1 = np.where((both == 0) & something, 0.0, f1)
    return {"sensitivity": sensitivity, "precision": precision, "f1": f1}


def scan_figures(rows: pd.DataFrame) -> pd.DataFrame:
    """The figures of evaluation.csv for rows of ``lesion_matching.counted``, other conventions included."""
    n = {key: rows[key].to_numpy() for key in rows.columns if key != "label"}
    known = detection(n["lesions"], n["found"], n["count"], n["true_detections"])
    error = n["volume_mm3"] - n["truth_volume_mm3"]
    own = pd.DataFrame(
        {
            "truth_count": n["lesions"],
            "count": n["count"],
            "count_error": n["count"] - n["lesions"],
            "found": n["found"],
            "missed": n["lesions"] - n["found"],
            "true_detections": n["true_detections"],
            "false_positives": n["count"] - n["true_detections"],
            "outside_truth": n["outside_truth"],
            **known,
            "dice": dice(n["voxels_both"], n["voxels"], n["truth_voxels"]),
            "truth_volume_mm3": n["truth_volume_mm3"],
            "volume_mm3": n["volume_mm3"],
            "volume_error_mm3": error,
            "volume_error_relative": ratio(error, n["truth_volume_mm3"]),
        },
        index=rows.index,
    )
    return own.join(other_conventions.shivai(rows))


def comparison_files(results: Path, record: Mapping[str, Any], model: str) -> tuple[Path, Path]:
    """Paths of a scan's comparison: table and summary."""
    wildcards = scan_wildcards(record, model)
    return (
        layout.path(layout.COMPARISON, results, **wildcards),
        layout.path(layout.COMPARISON_SIDECAR, results, **wildcards),
    )


def evaluation_tables(
    plan: list[dict[str, Any]],
    cards: Mapping[str, Mapping[str, Any]],
    results: Path,
    logs: Path,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Collect the evaluation of every scan, model and label.

    Parameters
    ----------
    plan
        Of ``plan.plan_run``, with its ``truth``.
    cards
        By model: ``labels`` (names in their order), ``channels`` and number of ``folds``.
    results, logs
        Folders of the run.

    Returns
    -------
    evaluation : DataFrame
        evaluation.csv: one row per scan, model and label, whatever its status.
    sweeps : DataFrame
        ``lesion_matching.sweep`` of every scan that could be evaluated, with ``scan``, ``model`` and the
        label's name.
    lesions : DataFrame
        One row per reference lesion: ``scan, model, label, volume_mm3, diameter_mm, found``.
    """
    rows, sweeps, lesions = [], [pd.DataFrame()], []
    for record in plan:
        for model, parts in cards.items():
            status, reason, reference, known = _state(record, model, parts, results, logs)
            head = {"scan": record["scan"], "model": model, "status": status, "reason": reason}
            if status != "ok":
                rows += [{**head, "label": label, "truth": reference} for label in parts["labels"]]
                continue
            table = pd.read_csv(comparison_files(results, record, model)[0], sep="\t")
            table = table.assign(scan=record["scan"], model=model, place=table.label)
            table["label"] = [parts["labels"][n - 1] for n in table.place]
            sweeps.append(table)
            lesions += [{"scan": record["scan"], "model": model, **one} for one in known["lesions"]]
            at_card = table[table.card].reset_index(drop=True)
            found: list[dict[str, Any]] = scan_figures(at_card).to_dict("records")  # type: ignore
            ignored = ";".join(map(str, known["ignored_values"]))
            for label, figures in zip(at_card.label, found, strict=True):
                state = "lesions" if figures["truth_count"] else "empty"
                more = {"label": label, "truth": state, "ignored_values": ignored}
                rows.append({**head, **more, **figures, **known["valdo"][label]})
    evaluation = pd.DataFrame(rows, columns=names(evaluation_columns.EVALUATION))
    whole = dict.fromkeys(evaluation_columns.INTEGERS, "Int64")
    truth_lesions = ["scan", "model", "label", "volume_mm3", "diameter_mm", "found"]
    return (
        evaluation.astype(whole),
        pd.concat(sweeps, ignore_index=True),
        pd.DataFrame(lesions, columns=truth_lesions),
    )


def _state(
    record: Mapping[str, Any], model: str, parts: Mapping[str, Any], results: Path, logs: Path
) -> tuple[str, str, str, dict[str, Any]]:
    """Status, reason, state of the reference image, and the comparison if there is one."""
    if model in record["problems"]:
        status, reason = record["problems"][model]
        return status, reason, "", {}
    status, reason = record["truth"]
    if status == "missing-input":
        return "truth-missing", reason, "missing", {}
    if status != "ok":
        return "truth-unusable", reason, "unusable", {}
    log = layout.path(layout.log("compare"), logs=logs, **scan_wildcards(record, model))
    if why := outcome(log):
        return "failed:compare", why, "", {}
    table, known = comparison_files(results, record, model)
    if table.is_file() and known.is_file():
        found = json_sidecar.read(known)
        return (
            found["status"],
            found["reason"],
            "" if found["status"] == "ok" else "unusable",
            found,
        )
    status, reason = scan_status(record, model, parts, results, logs)
    if status == "ok":
        status, reason = "failed:compare", NOT_STARTED
    return status, reason, "", {}
