"""Metrics of each scan, from the counts of ``compare``."""

from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from lesionflow.base import json_sidecar, layout
from lesionflow.base.job_log import outcome
from lesionflow.evaluation import other_conventions
from lesionflow.imaging.overlap import dice
from lesionflow.results import evaluation_columns
from lesionflow.results.columns import names
from lesionflow.results.scan_status import NOT_STARTED, Unfinished, scan_status, scan_wildcards

Array = np.ndarray


def ratio(numerator: Array, denominator: Array) -> Array:
    """``numerator / denominator``; NaN where the denominator is 0."""
    numerator, denominator = np.asarray(numerator, float), np.asarray(denominator, float)
    undefined = np.full(denominator.shape, np.nan)
    return np.divide(numerator, denominator, out=undefined, where=denominator > 0)


def detection(
    lesions: Array, found: Array, count: Array, true_detections: Array
) -> dict[str, Array]:
    """Sensitivity, precision and F1 from numbers of lesions; NaN where they are undefined.

    Parameters
    ----------
    lesions, found : arrays
        Reference lesions, and how many of them are detected.
    count, true_detections : arrays, same shape
        Predicted lesions, and how many of them overlap a reference lesion.

    Returns
    -------
    dict
        ``sensitivity`` = found / lesions; ``precision`` = true_detections / count; ``f1``, their
        harmonic mean, 0 where there are lesions, reference or predicted, and none overlaps.
    """
    sensitivity, precision = ratio(found, lesions), ratio(true_detections, count)
    total = np.nan_to_num(sensitivity) + np.nan_to_num(precision)
    f1 = ratio(2 * np.nan_to_num(sensitivity) * np.nan_to_num(precision), total)
    any_lesion = np.asarray(lesions, float) + np.asarray(count, float) > 0
    f1 = np.where((total == 0) & any_lesion, 0.0, f1)
    return {"sensitivity": sensitivity, "precision": precision, "f1": f1}


def scan_metrics(counts: pd.DataFrame) -> pd.DataFrame:
    """The metrics of evaluation.csv for rows of ``lesion_matching.label_counts``, other conventions included."""
    n = {key: counts[key].to_numpy() for key in counts.columns if key != "label"}
    volume_error = n["volume_mm3"] - n["truth_volume_mm3"]
    metrics = pd.DataFrame(
        {
            "truth_count": n["lesions"],
            "count": n["count"],
            "count_error": n["count"] - n["lesions"],
            "found": n["found"],
            "missed": n["lesions"] - n["found"],
            "true_detections": n["true_detections"],
            "false_positives": n["count"] - n["true_detections"],
            "outside_truth": n["outside_truth"],
            **detection(n["lesions"], n["found"], n["count"], n["true_detections"]),
            "dice": dice(n["voxels_both"], n["voxels"], n["truth_voxels"]),
            "truth_volume_mm3": n["truth_volume_mm3"],
            "volume_mm3": n["volume_mm3"],
            "volume_error_mm3": volume_error,
            "volume_error_relative": ratio(volume_error, n["truth_volume_mm3"]),
        },
        index=counts.index,
    )
    return metrics.join(other_conventions.shivai(counts))


FILES = {  # of a scan, by the step that writes them
    "compare": (layout.COMPARISON, layout.COMPARISON_SIDECAR),
    "show_errors": (layout.SCAN_ERRORS, layout.ERROR_PICTURES),
}
Evaluated = list[tuple[Mapping[str, Any], str]]  # records and models of the scans with status ok


def comparison_files(results: Path, record: Mapping[str, Any], model: str) -> list[Path]:
    """Paths of a scan's comparison: table and JSON sidecar."""
    wildcards = scan_wildcards(record, model)
    return [layout.path(pattern, results, **wildcards) for pattern in FILES["compare"]]


def evaluation_tables(
    plan: list[dict[str, Any]],
    models: Mapping[str, Mapping[str, Any]],
    results: Path,
    logs: Path | None = None,
    unfinished: Unfinished = MappingProxyType({}),
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, Evaluated]:
    """Collect the evaluation of every scan, model and label.

    Parameters
    ----------
    plan
        From ``plan.plan_run``, with the status of each reference image (``truth``).
    models
        By name, from ``columns.model_summary``: ``labels`` (names in order), ``channels``, number of
        ``folds``, ...
    results, logs, unfinished
        As in ``scan_status.scan_states``.

    Returns
    -------
    evaluation : DataFrame
        evaluation.csv: one row per scan, model and label, whatever its status.
    sweeps : DataFrame
        Tables of ``lesion_matching.sweep`` of all evaluated scans, with ``scan``, ``model`` and the name of
        the label.
    lesions : DataFrame
        One row per reference lesion: ``scan, model, label, volume_mm3, diameter_mm, found``.
    evaluated
        The scans and models that were compared.
    """
    rows, sweeps, lesions = [], [pd.DataFrame()], []
    evaluated: Evaluated = []
    for record in plan:
        for model, summary in models.items():
            steps = unfinished.get((record["scan"], model), ())
            status, reason, reference, sidecar = _state(
                record, model, summary, results, logs if steps else None, steps
            )
            keys = {"scan": record["scan"], "model": model}
            row = {**keys, "status": status, "reason": reason}
            if status != "ok":
                rows += [{**row, "label": label, "truth": reference} for label in summary["labels"]]
                continue
            table = pd.read_csv(comparison_files(results, record, model)[0], sep="\t")
            table["label"] = [summary["labels"][n - 1] for n in table.label]
            table = table.assign(**keys)
            sweeps.append(table)
            evaluated.append((record, model))
            lesions += [{**keys, **lesion} for lesion in sidecar["lesions"]]
            at_card = table[table.card].reset_index(drop=True)
            metrics: list[dict[str, Any]] = scan_metrics(at_card).to_dict("records")  # type: ignore
            ignored = ";".join(map(str, sidecar["ignored_values"]))
            for label, values in zip(at_card.label, metrics, strict=True):
                content = "lesions" if values["truth_count"] else "empty"
                row |= {"label": label, "truth": content, "ignored_values": ignored}
                rows.append({**row, **values, **sidecar["valdo"][label]})
    evaluation = pd.DataFrame(rows, columns=names(evaluation_columns.EVALUATION))
    integers = dict.fromkeys(evaluation_columns.INTEGERS, "Int64")
    lesion_columns = ["scan", "model", "label", "volume_mm3", "diameter_mm", "found"]
    return (
        evaluation.astype(integers),
        pd.concat(sweeps, ignore_index=True),
        pd.DataFrame(lesions, columns=lesion_columns),
        evaluated,
    )


def _state(
    record: Mapping[str, Any],
    model: str,
    summary: Mapping[str, Any],
    results: Path,
    logs: Path | None,
    unfinished: Collection[str],
) -> tuple[str, str, str, dict[str, Any]]:
    """Status, reason, state of the reference image, and sidecar of the comparison ({} if there is none)."""
    if model in record["problems"]:
        status, reason = record["problems"][model]
        return status, reason, "", {}
    status, reason = record["truth"]
    if status == "missing-input":
        return "truth-missing", reason, "missing", {}
    if status != "ok":
        return "truth-unusable", reason, "unusable", {}
    wildcards, missing = scan_wildcards(record, model), []
    for step, patterns in FILES.items():
        if logs and step in unfinished:
            log = layout.path(layout.log(step), logs=logs, **wildcards)
            if failure := outcome(log):
                return f"failed:{step}", failure, "", {}
        paths = [layout.path(pattern, results, **wildcards) for pattern in patterns]
        missing += [] if all(path.is_file() for path in paths) else [step]
    if not unfinished and not missing:
        sidecar = json_sidecar.read(comparison_files(results, record, model)[1])
        state = "" if sidecar["status"] == "ok" else "unusable"
        return sidecar["status"], sidecar["reason"], state, sidecar
    status, reason = scan_status(record, model, summary, results, logs, unfinished)
    if status == "ok":
        status, reason = f"failed:{missing[0] if missing else 'compare'}", NOT_STARTED
    return status, reason, "", {}
