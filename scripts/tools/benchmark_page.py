"""Figures of ``make benchmark`` from the files of a run, and the page docs/speed.md."""

import library_path  # noqa: F401  # isort: skip

import os
import platform
import re
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

from lesionflow.imaging.nifti import load
from lesionflow.results.scan_status import STEPS

ONCE = ("import_fold",)  # steps that run once, not for every cohort


def cpu_name() -> str:
    """Name of the processor."""
    described = Path("/proc/cpuinfo")  # of Linux
    text = described.read_text(encoding="utf-8") if described.is_file() else ""
    name = re.search(r"model name\s*:\s*(.+)", text)
    return name[1] if name else platform.processor() or "unknown"


def steps(folder: Path, scans: int) -> dict[str, dict[str, float]]:
    """Time and peak memory of each step of a run.

    Parameters
    ----------
    folder
        Working directory with ``benchmarks/`` and ``logs/``.
    scans
        Number of scans of the run.

    Returns
    -------
    dict
        For each step: ``jobs``, ``seconds`` (sum over jobs), ``seconds_per_scan`` and ``peak_mb`` (largest job; if
        the logs of the jobs have a peak memory, as for jobs in a process with loaded networks, the largest of those).
    """
    figures: dict[str, dict[str, float]] = {}
    for path in sorted((folder / "benchmarks").rglob("*.tsv")):
        step = path.relative_to(folder / "benchmarks").parts[0].removesuffix(".tsv")
        row = pd.read_csv(path, sep="\t").iloc[0]
        figure = figures.setdefault(step, {"jobs": 0, "seconds": 0.0, "peak_mb": 0.0})
        figure["jobs"] += 1
        figure["seconds"] += float(row["s"])
        peak = pd.to_numeric(
            row["max_rss"], errors="coerce"
        )  # "NA": the job was too short to be sampled
        figure["peak_mb"] = max(figure["peak_mb"], 0.0 if np.isnan(peak) else float(peak))
    for step, figure in figures.items():
        logs = (folder / "logs" / step).rglob("*.log")
        peaks = [re.findall(r"peak memory (\d+) MB", log.read_text()) for log in logs]
        logged = [float(peak) for in_log in peaks for peak in in_log]
        figure["peak_mb"] = max(logged, default=figure["peak_mb"])
        figure["seconds_per_scan"] = figure["seconds"] / scans
    return figures


def sizes(folder: Path, scans: Collection[str]) -> dict[str, float]:
    """Size (MB) of the files of each scan, which are below a folder with its name.

    Files that are removed during the count are left out.
    """
    megabytes = dict.fromkeys(scans, 0.0)
    for parent, _, names in os.walk(folder):
        for scan in megabytes.keys() & set(Path(parent).relative_to(folder).parts):
            for name in names:
                with suppress(FileNotFoundError):
                    megabytes[scan] += Path(parent, name).stat().st_size / 1e6
    return megabytes


@contextmanager
def largest_sizes(
    folder: Path, scans: Collection[str], interval_s: float = 0.1
) -> Iterator[dict[str, float]]:
    """Largest ``sizes`` of each scan while the context lasts; the dict is updated in place."""
    largest, finished = dict.fromkeys(scans, 0.0), threading.Event()

    def sample() -> None:
        while not finished.wait(interval_s):
            for scan, size in sizes(folder, scans).items():
                largest[scan] = max(largest[scan], size)

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        yield largest
    finally:
        finished.set()
        sampler.join()


def difference(first: Path, second: Path) -> dict[str, Any]:
    """Difference between the results in two working directories.

    Returns
    -------
    dict
        ``probability``: largest difference of any stored probability map; ``lesions``: rows of lesions.csv;
        ``rows``: rows of lesions.csv that differ in anything but probabilities.
    """
    largest = 0.0
    for path in sorted((first / "results").rglob("*_probseg.nii.gz")):
        maps = [np.asanyarray(load(p).dataobj) for p in (path, second / path.relative_to(first))]
        largest = max(largest, float(np.abs(maps[0] - maps[1]).max()))
    tables = [pd.read_csv(folder / "results/lesions.csv", dtype=str) for folder in (first, second)]
    compared = [t[[c for c in t.columns if "probability" not in c]].fillna("") for t in tables]
    rows = [set(map(tuple, table.to_numpy())) for table in compared]
    return {"probability": largest, "lesions": len(tables[0]), "rows": len(rows[0] ^ rows[1])}


def ratios(figures: Mapping[str, Any], backend: str) -> dict[str, float]:
    """Times and ratios of one backend: medians over the rounds.

    Parameters
    ----------
    figures
        The measurements of ``make benchmark``.
    backend
        ``OpenVINO``, ``TensorFlow`` or ``GPU``.

    Returns
    -------
    dict
        Seconds per scan: ``baseline`` (a) at its best number of ``processes`` at a time, ``workflow`` (b) and
        ``lower_bound`` (c). Ratios, each within one round: ``workflow_to_baseline``, ``workflow_to_lower_bound`` and
        ``predict_to_lower_bound`` (seconds of a scan's prediction jobs, divided by the number of jobs that run at a
        time, to those of the calls).
    """
    rounds, device = figures["rounds"], "gpu" if backend == "GPU" else "cpu"
    jobs_at_a_time = figures["cores"] if device == "cpu" else 1
    baselines = {
        n: median(r["baseline"][device][n] for r in rounds) for n in rounds[0]["baseline"][device]
    }
    best = min(baselines, key=lambda n: baselines[n])
    times = [
        (
            r["baseline"][device][best],
            r["workflow"][backend],
            r["lower_bound"][backend],
            r["steps"][backend]["predict_fold"]["seconds_per_scan"] / jobs_at_a_time,
        )
        for r in rounds
    ]
    return {
        "baseline": baselines[best],
        "processes": int(best),
        "workflow": median(workflow for _, workflow, _, _ in times),
        "lower_bound": median(bound for _, _, bound, _ in times),
        "workflow_to_baseline": median(workflow / base for base, workflow, _, _ in times),
        "workflow_to_lower_bound": median(workflow / bound for _, workflow, bound, _ in times),
        "predict_to_lower_bound": median(predict / bound for _, _, bound, predict in times),
    }


def step_table(figures: Mapping[str, Any], backend: str) -> str:
    """Markdown table of each step's jobs, seconds per scan and peak memory, in the order of the workflow."""
    rounds = [r["steps"][backend] for r in figures["rounds"]]
    lines = ["| step | jobs | seconds per scan | peak MB |", "|---|---|---|---|"]
    for step in [*STEPS, *sorted(set(rounds[0]) - set(STEPS))]:
        if step in rounds[0] and step not in ONCE:
            seconds = median(r[step]["seconds_per_scan"] for r in rounds)
            peak = max(r[step]["peak_mb"] for r in rounds)
            lines.append(f"| {step} | {rounds[0][step]['jobs']:.0f} | {seconds:.2f} | {peak:.0f} |")
    return "\n".join(lines)


GOALS = (  # ratio, largest value, description
    ("workflow_to_baseline", 0.5, "whole workflow (b) to the inference alone of the baseline (a)"),
    ("workflow_to_lower_bound", 3.0, "whole workflow (b) to the lower bound (c)"),
    ("predict_to_lower_bound", 1.3, "prediction jobs of a scan to the lower bound (c)"),
)
PAGE = """\
# Speed

Written by `make benchmark`; do not edit. Figures are medians over {rounds} rounds, each of which measured everything in turn
(machines are noisy: trust the ratios). {scans} simulated scans without masks, {folds} residual 3-D U-Nets of the
published size (first filters 8, growth 1.5, nine levels, input 160x214x176) with random weights, float32.
Machine: {cpu}, {cores} cores.

- **(a) baseline**: for every scan a process that imports TensorFlow, loads the folds, calls each and averages,
  on images that are already prepared; with the best number of processes at a time (on the CPU {processes} of 1 to
  {cores}).
- **(b) whole workflow**: from raw scans to cohort.csv, figures and report, including the start of Snakemake; brain masks are
  computed. The import of the folds, once for all cohorts, is not included: {import_s:.0f} s.
- **(c) lower bound**: calls of the same folds, loaded in one process, on images in memory.

| seconds per scan |{backends}
|---|{rule}
{seconds}

| ratio | goal |{backends}
|---|---|{rule}
{goals}

Probability maps of OpenVINO and TensorFlow differ by at most {probability:.1e}; of {lesions} lesions, {rows} rows of
lesions.csv differ in anything but probabilities.

## Each step

Seconds are those of the jobs' processes with one thread each, including start and end: {cores} run at a time, and
those of predictions include waiting for their turn. Peak memory is that of the largest job; for find_brain and predict_fold, that of
the process that holds the networks, with all folds loaded.
{steps}
## Disk

| largest MB of a scan |{backends}
|---|{rule}
{disk}

Temporaries are the files under work/ at one time, sampled ten times per second. The maps of random networks are noise
everywhere, which does not compress; those of trained networks do.

## Large cohorts

A dry run with small scans and these three folds, including the start of Snakemake; of three runs, the one with the median time.

| scans | jobs | seconds | CPU seconds | peak MB |
|---|---|---|---|---|
{graphs}

## On a GPU

{gpu}
"""
NO_GPU = """\
No GPU was available when this page was written, so there are no figures. The code is that of TensorFlow above, and is
tested on the CPU: loaded networks, memory growth, the choice of the device, XLA and mixed precision."""
WITH_GPU = (
    "Column GPU above: TensorFlow in float32, one prediction at a time; (a) one process at a time."
)


def page(figures: Mapping[str, Any]) -> str:
    """The page in Markdown."""
    backends = list(figures["rounds"][0]["workflow"])
    by_backend = {backend: ratios(figures, backend) for backend in backends}

    def row(*start: str, key: str, digits: int) -> str:
        values = [f"{by_backend[backend][key]:.{digits}f}" for backend in backends]
        return "| " + " | ".join([*start, *values]) + " |"

    def largest(backend: str, kind: str) -> float:
        return max(r["disk"][backend][kind] for r in figures["rounds"])

    times = {
        "baseline": "(a) baseline",
        "workflow": "(b) whole workflow",
        "lower_bound": "(c) lower bound",
    }
    return PAGE.format(
        rounds=len(figures["rounds"]),
        scans=figures["scans"],
        folds=figures["folds"],
        cpu=figures["cpu"],
        cores=figures["cores"],
        processes=by_backend[backends[0]]["processes"],
        import_s=figures["import_s"],
        backends="".join(f" {backend} |" for backend in backends),
        rule="---|" * len(backends),
        seconds="\n".join(row(text, key=key, digits=1) for key, text in times.items()),
        goals="\n".join(row(text, f"{goal:g}", key=key, digits=2) for key, goal, text in GOALS),
        steps="".join(f"\n### {b}\n\n{step_table(figures, b)}\n" for b in backends),
        disk="\n".join(
            f"| {text} | " + " | ".join(f"{largest(b, key):.0f}" for b in backends) + " |"
            for key, text in (("temporary", "temporaries"), ("kept", "kept results"))
        ),
        graphs="\n".join(
            "| {scans} | {jobs} | {seconds:.1f} | {cpu_seconds:.1f} | {peak_mb:.0f} |".format(**g)
            for g in figures["graphs"]
        ),
        gpu=WITH_GPU if "GPU" in backends else NO_GPU,
        **figures["difference"],
    )
