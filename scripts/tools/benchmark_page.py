"""What ``make benchmark`` measured, as a table and as a page."""

import library_path  # noqa: F401  # isort: skip

import os
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
        job's, or that of the process that worked for it, as the jobs' logs have it).
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
        peaks = [re.findall(r"peak (?:memory )?(\d+) MB", log.read_text()) for log in logs]
        known = [float(peak) for each in peaks for peak in each]
        told["peak_mb"] = max(known, default=told["peak_mb"])
        told["seconds_a_scan"] = told["seconds"] / scans
    return found


def sizes(folder: Path, scans: Collection[str]) -> dict[str, float]:
    """MB of the files below a folder that belong to a scan, by scan: those in a folder of its name.

    Files that go while they are counted do not count.
    """
    found = dict.fromkeys(scans, 0.0)
    for where, _, names in os.walk(folder):
        for scan in found.keys() & set(Path(where).relative_to(folder).parts):
            for name in names:
                with suppress(FileNotFoundError):
                    found[scan] += Path(where, name).stat().st_size / 1e6
    return found


@contextmanager
def watched(
    folder: Path, scans: Collection[str], every_s: float = 0.1
) -> Iterator[dict[str, float]]:
    """The largest ``sizes`` that each scan has while the context lasts; they grow in the dict that is given."""
    largest, over = dict.fromkeys(scans, 0.0), threading.Event()

    def watch() -> None:
        while not over.wait(every_s):
            for scan, size in sizes(folder, scans).items():
                largest[scan] = max(largest[scan], size)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield largest
    finally:
        over.set()
        watcher.join()


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


def ratios(figures: Mapping[str, Any], way: str) -> dict[str, float]:
    """The figures that the goals are about, for one way to predict: medians over the rounds.

    Parameters
    ----------
    figures
        What ``make benchmark`` measured.
    way
        ``OpenVINO``, ``TensorFlow`` or ``GPU``.

    Returns
    -------
    dict
        ``plain`` (a) at its best number of ``processes`` side by side, ``road`` (b), ``floor`` (c), and of
        these, each measured in one round, ``road_to_plain``, ``road_to_floor`` and ``predict_to_floor``
        (the seconds of a scan's prediction jobs, by how many of them run side by side, against the calls).
    """
    rounds, device = figures["rounds"], "gpu" if way == "GPU" else "cpu"
    side_by_side = figures["cores"] if device == "cpu" else 1
    plain = {n: median(r["plain"][device][n] for r in rounds) for n in rounds[0]["plain"][device]}
    best = min(plain, key=lambda n: plain[n])
    each = [
        (
            r["plain"][device][best],
            r["road"][way],
            r["floor"][way],
            r["steps"][way]["predict_fold"]["seconds_a_scan"] / side_by_side,
        )
        for r in rounds
    ]
    return {
        "plain": plain[best],
        "processes": int(best),
        "road": median(road for _, road, _, _ in each),
        "floor": median(floor for _, _, floor, _ in each),
        "road_to_plain": median(road / a for a, road, _, _ in each),
        "road_to_floor": median(road / floor for _, road, floor, _ in each),
        "predict_to_floor": median(predict / floor for _, _, floor, predict in each),
    }


def step_table(figures: Mapping[str, Any], way: str) -> str:
    """Rows of a Markdown table: each step's jobs, seconds a scan and peak memory, in the road's order."""
    rounds = [r["steps"][way] for r in figures["rounds"]]
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
    ("predict_to_floor", 1.3, "the prediction jobs of a scan by the floor (c)"),
)
PAGE = """\
# Speed

Written by `make benchmark`; do not edit. Rounds in which everything was measured in turns: {rounds}; figures are their
medians (machines are noisy: trust the ratios). {scans} simulated scans without masks, {folds} residual 3-D U-Nets of the
published size (first filters 8, growth 1.5, nine levels, input 160x214x176) with random weights, float32.
Machine: {cpu}, {cores} cores.

- **(a) the plain way**: for every scan a process that imports TensorFlow, loads the folds, calls each and averages,
  on images that are already prepared; at its best number of processes side by side (on the CPU {processes} of 1 to
  {cores}).
- **(b) the road**: from raw scans to cohort.csv, pictures and report, Snakemake's start included; the brain masks are
  computed. Importing the folds, once for all cohorts, is not in it: {imports:.0f} s.
- **(c) the floor**: the same folds called in one warm process, images in memory.

| seconds a scan |{ways}
|---|{rule}
{seconds}

| ratio | goal |{ways}
|---|---|{rule}
{goals}

OpenVINO's and TensorFlow's maps of a fold differ by at most {probability:.1e}; of {lesions} lesions, {apart} rows of
lesions.csv differ in anything but probabilities.

## Each step

Seconds are those of the jobs' processes, start and end included, of one thread each: {cores} run side by side, and
predictions wait in it for their turn. Peak memory is the largest job's; that of find_brain and predict_fold is their
warm worker's, all folds loaded.
{steps}
## Disk

| MB of a scan, at most |{ways}
|---|{rule}
{disk}

Temporaries are those under work/ at one time, looked at ten times a second. Of what is kept, the maps of random networks
are noise all over, which does not pack; those of trained ones do.

## The graph

A dry run of small scans with these three folds, Snakemake's start included; the middle one of three by its time.

| scans | jobs | seconds | CPU seconds | peak MB |
|---|---|---|---|---|
{graphs}

## On a GPU

{gpu}
"""
NO_GPU = """\
No GPU was at hand when this page was written, so there are no figures. The code is that of TensorFlow above, and is
tested on the CPU: the warm worker, memory growth, the choice of the device, XLA and mixed precision."""
WITH_GPU = "The column GPU above: TensorFlow in float32, one prediction at a time; (a) in one process at a time."


def page(figures: Mapping[str, Any]) -> str:
    """The page of a benchmark, in Markdown."""
    ways = list(figures["rounds"][0]["road"])
    found = {way: ratios(figures, way) for way in ways}

    def row(*start: str, key: str, digits: int) -> str:
        return "| " + " | ".join([*start, *(f"{found[w][key]:.{digits}f}" for w in ways)]) + " |"

    def most(way: str, kind: str) -> float:
        return max(r["disk"][way][kind] for r in figures["rounds"])

    seconds = {"plain": "(a) plain way", "road": "(b) road", "floor": "(c) floor"}
    return PAGE.format(
        rounds=len(figures["rounds"]),
        scans=figures["scans"],
        folds=figures["folds"],
        cpu=figures["cpu"],
        cores=figures["cores"],
        processes=found[ways[0]]["processes"],
        imports=figures["import_s"],
        ways="".join(f" {way} |" for way in ways),
        rule="---|" * len(ways),
        seconds="\n".join(row(about, key=key, digits=1) for key, about in seconds.items()),
        goals="\n".join(row(about, f"{goal:g}", key=key, digits=2) for key, goal, about in GOALS),
        steps="".join(f"\n### {way}\n\n{step_table(figures, way)}\n" for way in ways),
        disk="\n".join(
            f"| {about} | " + " | ".join(f"{most(way, key):.0f}" for way in ways) + " |"
            for key, about in (("temporary", "temporaries"), ("kept", "kept results"))
        ),
        graphs="\n".join(
            "| {scans} | {jobs} | {seconds:.1f} | {cpu_seconds:.1f} | {peak_mb:.0f} |".format(**g)
            for g in figures["graphs"]
        ),
        gpu=WITH_GPU if "GPU" in ways else NO_GPU,
        **figures["same"],
    )
