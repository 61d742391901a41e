"""What ``make benchmark`` measured, as a table and as a page."""

import re
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

from lesionflow.images import load
from lesionflow.tables import STEPS

ONCE = ("import_fold",)  # steps that a cohort does not pay for again


def cpu_name() -> str:
    """What the system calls its processor."""
    found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    return found[1] if found else "unknown"


def steps(folder: Path, scans: int) -> dict[str, dict[str, float]]:
    """Seconds, core-seconds and peak memory of each step of a run.

    Parameters
    ----------
    folder
        A working directory, with ``benchmarks/`` and ``logs/``.
    scans
        How many were run.

    Returns
    -------
    dict
        By step: ``jobs``, ``seconds`` (of all jobs) and ``seconds_a_scan``, ``peak_mb`` (the largest
        job's, and of steps with a warm worker the worker's, as the jobs' logs have it).
    """
    found: dict[str, dict[str, float]] = {}
    for path in sorted((folder / "benchmarks").rglob("*.tsv")):
        step = path.relative_to(folder / "benchmarks").parts[0].removesuffix(".tsv")
        row = pd.read_csv(path, sep="\t").iloc[0]
        told = found.setdefault(step, {"jobs": 0, "seconds": 0.0, "peak_mb": 0.0})
        told["jobs"] += 1
        told["seconds"] += float(row["s"])
        peak = pd.to_numeric(row["max_rss"], errors="coerce")  # "NA": shorter than a look at it
        told["peak_mb"] = max(told["peak_mb"], 0.0 if np.isnan(peak) else float(peak))
    for step, told in found.items():
        logs = (folder / "logs" / step).rglob("*.log")
        peaks = [re.findall(r"by the worker, .* peak (\d+) MB", log.read_text()) for log in logs]
        told["peak_mb"] = max([told["peak_mb"], *(float(p) for each in peaks for p in each)])
        told["seconds_a_scan"] = told["seconds"] / scans
    return found


def compared(one: Path, other: Path) -> dict[str, Any]:
    """How far the results of two working directories are apart.

    Returns
    -------
    dict
        ``probability``: the largest difference of any stored map of a fold; ``lesions``: how many the
        tables have; ``apart``: rows of lesions.csv that differ in anything but probabilities.
    """
    largest = 0.0
    for path in sorted((one / "results").rglob("*_probseg.nii.gz")):
        maps = [np.asanyarray(load(p).dataobj) for p in (path, other / path.relative_to(one))]
        largest = max(largest, float(np.abs(maps[0] - maps[1]).max()))
    tables = [pd.read_csv(folder / "results/lesions.csv", dtype=str) for folder in (one, other)]
    same = [t[[c for c in t.columns if "probability" not in c]].fillna("") for t in tables]
    rows = [set(map(tuple, table.to_numpy())) for table in same]
    return {"probability": largest, "lesions": len(tables[0]), "apart": len(rows[0] ^ rows[1])}


def ratios(figures: Mapping[str, Any]) -> dict[str, float]:
    """The figures that the goals are about: medians over the rounds of what was measured in one round.

    Returns
    -------
    dict
        ``plain`` (a) and ``processes`` side by side at which it is best; by backend ``road`` (b),
        ``floor`` (c), ``road_to_plain``, ``road_to_floor`` and ``predict_to_floor`` (the seconds of a
        scan's prediction jobs, of one thread each, by the cores that they share, against the calls).
    """
    rounds, found = figures["rounds"], {}
    plain = {n: median(r["plain"][n] for r in rounds) for n in rounds[0]["plain"]}
    best = min(plain, key=lambda n: plain[n])
    found["plain"], found["processes"] = plain[best], int(best)
    for backend in rounds[0]["road"]:
        found[f"road {backend}"] = median(r["road"][backend] for r in rounds)
        found[f"floor {backend}"] = median(r["floor"][backend] for r in rounds)
        found[f"road_to_plain {backend}"] = median(
            r["road"][backend] / r["plain"][best] for r in rounds
        )
        found[f"road_to_floor {backend}"] = median(
            r["road"][backend] / r["floor"][backend] for r in rounds
        )
        found[f"predict_to_floor {backend}"] = median(
            r["steps"][backend]["predict_fold"]["seconds_a_scan"]
            / figures["cores"]
            / r["floor"][backend]
            for r in rounds
        )
    return found


def step_table(figures: Mapping[str, Any], backend: str) -> str:
    """Rows of a Markdown table: each step's jobs, seconds a scan and peak memory, in the road's order."""
    rounds = [r["steps"][backend] for r in figures["rounds"]]
    lines = ["| step | jobs | seconds a scan | peak MB |", "|---|---|---|---|"]
    for step in [*STEPS, *sorted(set(rounds[0]) - set(STEPS))]:
        if step in rounds[0] and step not in ONCE:
            seconds = median(r[step]["seconds_a_scan"] for r in rounds)
            peak = max(r[step]["peak_mb"] for r in rounds)
            lines.append(f"| {step} | {rounds[0][step]['jobs']:.0f} | {seconds:.2f} | {peak:.0f} |")
    return "\n".join(lines)


GOALS = (  # of the ratios, by the figure that they are about
    ("road_to_plain", 0.5, "the whole road (b) by the plain way's inference alone (a)"),
    ("road_to_floor", 3.0, "the whole road (b) by the floor (c)"),
    ("predict_to_floor", 1.3, "the prediction jobs of a scan, by core, by the floor (c)"),
)
PAGE = """\
# Speed

Written by `make benchmark`; do not edit. Medians of {rounds} rounds, in which everything was measured in turns
(machines are noisy: trust the ratios). {scans} simulated scans without masks, {folds} residual 3-D U-Nets of the
published size (first filters 8, growth 1.5, nine levels, input 160x214x176) with random weights, float32.
Machine: {cpu}, {cores} cores; no GPU.

- **(a) the plain way**: for every scan a process that imports TensorFlow, loads the folds, calls each and averages,
  on images that are already prepared; at its best number of processes side by side ({processes} of 1 to {cores}).
- **(b) the road**: from raw scans to cohort.csv, pictures and report, Snakemake's start included; the brain masks are
  computed. Importing the folds, once for all cohorts, is not in it: {imports:.0f} s for {folds}.
- **(c) the floor**: the same folds called in one warm process, images in memory.

| seconds a scan | OpenVINO | TensorFlow |
|---|---|---|
| (a) plain way | - | {plain:.1f} |
| (b) road | {road_openvino:.1f} | {road_tensorflow:.1f} |
| (c) floor | {floor_openvino:.1f} | {floor_tensorflow:.1f} |

| ratio | goal | OpenVINO | TensorFlow |
|---|---|---|---|
{goals}

The two backends' maps of a fold differ by at most {probability:.1e}; of {lesions} lesions, {apart} rows of lesions.csv
differ in anything but probabilities.

## Each step, OpenVINO

Seconds are those of the jobs' processes, start and end included, of one thread each: {cores} run side by side, and
predictions wait for their turn in it. Peak is the largest job's; that of find_brain and predict_fold is their warm worker's, all folds loaded.

{steps_openvino}

## Each step, TensorFlow

{steps_tensorflow}

## On a GPU

{gpu}
"""
NO_GPU = """\
No GPU was at hand when this page was written, so there are no figures. The code is that of TensorFlow above, and
is tested on the CPU: the warm worker, memory growth, the choice of the device, XLA and mixed precision."""


def page(figures: Mapping[str, Any]) -> str:
    """The page of a benchmark, in Markdown."""
    found = ratios(figures)
    rows = [
        f"| {about} | {goal:g} | {found[f'{key} openvino']:.2f} | {found[f'{key} tensorflow']:.2f} |"
        for key, goal, about in GOALS
    ]
    return PAGE.format(
        rounds=len(figures["rounds"]),
        scans=figures["scans"],
        folds=figures["folds"],
        cpu=figures["cpu"],
        cores=figures["cores"],
        processes=found["processes"],
        imports=figures["import_s"],
        plain=found["plain"],
        goals="\n".join(rows),
        gpu=NO_GPU,
        **{
            key.replace(" ", "_"): value
            for key, value in found.items()
            if key.startswith(("road ", "floor "))
        },
        **figures["same"],
        steps_openvino=step_table(figures, "openvino"),
        steps_tensorflow=step_table(figures, "tensorflow"),
    )
