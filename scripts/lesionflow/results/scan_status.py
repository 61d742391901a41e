"""Status of a scan under a model, from its results and its logs."""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lesionflow.base import layout
from lesionflow.base.job_log import outcome
from lesionflow.imaging.file_types import conversion

STEPS = (  # of one scan, in the order of the pipeline
    *("import_fold", "convert", "convert_dicom", "resample", "find_brain", "mask"),
    *("crop", "normalize"),
    *("predict_fold", "average_folds", "clean", "threshold", "count", "restore", "draw", "show"),
    "export_dicom",
)
FINAL_RESULTS = (  # without any of these a scan is not finished
    layout.SCAN_LESIONS,
    layout.SCAN_VOLUMES,
    layout.MODEL_LABELS_SIDECAR,
    layout.ORIG_LABELS,
    layout.ORIG_LESIONS_SIDECAR,
    layout.QC_FIGURE,
    layout.SCAN_PAGE_DATA,
    layout.QC_PAGES,
    layout.THUMBNAIL,
)
NOT_STARTED = "the run ended before this step started"


def scan_wildcards(record: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Values of the wildcards in the paths of one scan under one model (``layout.SCAN``)."""
    return {"model": model, "folder": record["folder"], "scan": record["scan"]}


Unfinished = Mapping[tuple[str, str], Collection[str]]  # steps by scan and model
States = dict[tuple[str, str], tuple[str, str]]  # status and reason by scan and model


def scan_states(
    plan: Iterable[Mapping[str, Any]],
    models: Mapping[str, Mapping[str, Any]],
    results: Path,
    logs: Path | None = None,
    unfinished: Unfinished = MappingProxyType({}),
) -> States:
    """``scan_status`` of every scan of a plan under every model.

    Parameters
    ----------
    plan
        One record per scan.
    models
        Summary of each model by name (``columns.model_summary``).
    results
        Folder of the results.
    logs
        Folder of the logs; None if the run has finished all steps.
    unfinished
        Steps that the run had to do for a scan and has not finished; results that they would have replaced do not
        count. The logs of other scans are not read: they tell of earlier runs.
    """
    return {
        (record["scan"], model): scan_status(
            record, model, summary, results, logs if steps else None, steps
        )
        for record in plan
        for model, summary in models.items()
        for steps in [unfinished.get((record["scan"], model), ())]
    }


def scan_status(
    record: Mapping[str, Any],
    model: str,
    summary: Mapping[str, Any],
    results: Path,
    logs: Path | None = None,
    unfinished: Collection[str] = (),
) -> tuple[str, str]:
    """Status and reason of one scan under one model.

    Parameters
    ----------
    record
        The scan in the plan of the run.
    model
        Name of the model.
    summary
        Of the model (``columns.model_summary``).
    results
        Folder of the results.
    logs
        Folder of the logs; None if the run has finished all steps of the scan.
    unfinished
        Steps that the run has not finished for the scan: only their logs are read. All are read if this is empty.

    Returns
    -------
    status, reason : str
        The problem that the plan names; else ``failed:STEP`` for the first step of the pipeline with a job that
        failed, or, where results are missing without that, for the first step that has not started; else ``ok``
        without a reason.
    """
    if model in record["problems"]:
        status, reason = record["problems"][model]
        return status, reason
    step_logs = _step_logs(record, model, summary, logs) if logs else {}
    for step, paths in step_logs.items():
        is_read = not unfinished or step in unfinished
        for path in paths if is_read else ():
            if reason := outcome(path):
                return f"failed:{step}", reason
    if step := next((step for step in STEPS if step in unfinished), ""):
        return f"failed:{step}", NOT_STARTED
    wildcards = scan_wildcards(record, model)
    if all(layout.path(pattern, results, **wildcards).is_file() for pattern in FINAL_RESULTS):
        return "ok", ""
    not_started = (
        step for step, paths in step_logs.items() if not any(path.is_file() for path in paths)
    )
    return f"failed:{next(not_started, 'show')}", NOT_STARTED


def _step_logs(
    record: Mapping[str, Any], model: str, summary: Mapping[str, Any], logs: Path
) -> dict[str, list[Path]]:
    """The logs of a scan's jobs by step, whether they exist or not.

    The jobs follow from the plan and the model, not from the files in the folder: an earlier run may have left logs
    of jobs that this one does not have.
    """
    files, finder = record["files"].items(), record["finder"]
    converted: dict[str, list[str]] = {"convert": [], "convert_dicom": []}
    for kind, path in files:
        if kind != "truth" and conversion(path):
            converted[conversion(path)].append(kind)
    skipped = {step: not kinds for step, kinds in converted.items()}
    skipped |= {"find_brain": not finder, "clean": not summary["cleaned"]}
    skipped["export_dicom"] = not converted["convert_dicom"]
    wildcards = scan_wildcards(record, model)
    suffixes = list(map(layout.suffix, summary["channels"]))
    step_logs = {"import_fold": _import_logs(model, summary["imports"], logs)}
    for step in STEPS[1:]:
        if skipped.get(step):
            continue
        pattern = layout.log(step)
        step_logs[step] = [
            layout.path(pattern, logs=logs, **wildcards, fold=fold, suffix=suffix, kind=kind)
            for fold in (range(1, summary["folds"] + 1) if "{fold}" in pattern else [0])
            for suffix in (suffixes if "{suffix}" in pattern else [""])
            for kind in converted.get(step, [""])
        ]
    if finder:
        step_logs["import_fold"] += _import_logs(finder["name"], finder["imports"], logs)
    return step_logs


def _import_logs(model: str, digests: Iterable[str], logs: Path) -> list[Path]:
    """The logs of the imports of a model's folds, which have these digests."""
    return [
        layout.path(layout.log("import_fold"), logs=logs, model=model, fold=fold, digest=digest)
        for fold, digest in enumerate(digests, start=1)
    ]
