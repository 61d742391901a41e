"""What became of a scan, by its results and its logs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lesionflow.base.job_log import outcome
from lesionflow.imaging.file_types import MATLAB

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


def _folder(results: Path, model: str, record: Mapping[str, Any]) -> Path:
    return results / model / record["folder"]


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
