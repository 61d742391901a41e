"""Measure the road against the plain way and the floor, and write docs/speed.md; see ``make benchmark``.

On one machine, in one run, in turns: (a) the plain way (``benchmark_plain``) on prepared images, at its best
number of processes side by side; (b) the road from raw scans to cohort.csv, both backends; (c) the floor
(``benchmark_floor``), both backends. Then dry runs of large cohorts (``benchmark_graph``). The networks are
three residual U-Nets of the published size with random weights; the scans are simulated and bring no masks.
"""

from library_path import REPOSITORY  # isort: skip

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from operator import itemgetter
from pathlib import Path

import nibabel as nib
import numpy as np
import yaml

import benchmark_page
from lesionflow.networks.inference.backends import nvidia_device
from lesionflow.simulation.bids_files import write_scan
from lesionflow.simulation.scan import simulated_head, simulated_scan
from lesionflow.training.microbleed_examples import HeadJob, simulated_example

NAME = "benchmark"
FOLDS = 3
DRY_RUNS = 3
WAYS = {"OpenVINO": ("openvino", "cpu"), "TensorFlow": ("tensorflow", "cpu")}
GPU_WAY = {"GPU": ("tensorflow", "gpu")}  # where there is one


def simulate(number: int, folder: Path) -> None:
    """One raw scan, without its mask."""
    name = f"sub-{number:02d}"
    scan = simulated_scan(simulated_head(7000 + number, 6, 1.0), number)
    paths = write_scan(scan, folder / name / "anat", name, "swi")
    for kind, path in paths.items():
        if kind != "image":
            path.unlink()


def small_cohort(folder: Path, scans: int) -> None:
    """Scans that are only listed."""
    image = nib.Nifti1Image(np.zeros((24, 24, 24), np.int16), np.eye(4))
    image.set_sform(np.eye(4), 1)
    for name in (f"sub-{number:05d}" for number in range(1, scans + 1)):
        path = folder / name / "anat" / f"{name}_swi.nii"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(image.to_bytes())


def build_folds(folder: Path) -> None:
    """Networks of the published size whose few highest voxels are lesions, as SavedModels."""
    from lesionflow.networks.inference.backends import tensorflow

    tensorflow(os.cpu_count() or 1)
    from support import stand_ins  # of the tests

    example = simulated_example(HeadJob(7000, 6))
    image = example.image.astype(np.float32)[None, ..., None]
    for number in range(1, FOLDS + 1):
        model = stand_ins.v2_like(stand_ins.FULL, 9)
        rng = np.random.default_rng(number)
        model.set_weights(
            [w + 0.02 * w.std() * rng.normal(size=w.shape) for w in model.get_weights()]
        )
        head = model.layers[-2]
        kernel, bias = head.get_weights()
        logits = stand_ins.head_outputs(model, head, image).numpy()[0, ..., 0]
        low, high = np.quantile(logits[example.brain], [0.5, 0.9998])
        scale = 8 / (high - low)  # the middle of the brain far below the threshold
        head.set_weights([kernel * scale, (bias - high) * scale])
        model.export(str(folder / f"fold-{number}"), verbose=False)


def write_card(folder: Path) -> Path:
    """The demo's card with the folds of the benchmark."""
    card = yaml.safe_load((REPOSITORY / "config/models/demo-cmb.yaml").read_text("utf-8"))
    card |= {
        "name": NAME,
        "description": "For measurements: random weights.",
        "format": "savedmodel",
    }
    card["folds"] = [{"path": f"fold-{n}"} for n in range(1, FOLDS + 1)]
    path = folder / f"{NAME}.yaml"
    path.write_text(yaml.safe_dump(card, sort_keys=False), encoding="utf-8")
    return path


class Bench:
    """What is measured, in a folder."""

    def __init__(self, folder: Path, scans: int, cores: int) -> None:
        self.folder, self.cores = folder, cores
        self.scans = [f"sub-{n:02d}" for n in range(1, scans + 1)]
        self.cohort, self.card = folder / "bids", folder / "weights" / f"{NAME}.yaml"

    def prepare(self) -> float:
        """Scans, networks, imported folds and prepared images; the seconds that the imports took."""
        (self.folder / "weights").mkdir(parents=True, exist_ok=True)
        for number, name in enumerate(self.scans, start=1):
            if not (self.cohort / name).is_dir():
                simulate(number, self.cohort)
        if not self.card.is_file():
            build_folds(self.folder / "weights")
            write_card(self.folder / "weights")
        shutil.rmtree(self.folder / "models", ignore_errors=True)  # or nothing would be imported
        begun = time.perf_counter()
        self.snakemake("prepared", "auto", "cpu", "--until", "import_fold")
        imports = time.perf_counter() - begun
        self.snakemake("prepared", "auto", "cpu")
        paths = [self.folder / "prepared/results" / NAME / s / "anat" for s in self.scans]
        self.images = [next(path.glob("*_desc-preproc_swi.nii.gz")) for path in paths]
        (self.folder / "images.txt").write_text("\n".join(map(str, self.images)))
        return imports

    def snakemake(self, where: str, backend: str, device: str, *more: str) -> None:
        """The workflow on the cohort; its own output goes to a file."""
        folder = self.folder / where
        folder.mkdir(exist_ok=True)
        with (folder / "snakemake.txt").open("a") as log:
            command = self.command(folder, self.cohort, backend, device, *more)
            subprocess.run(command, stdout=log, stderr=log, check=True)

    def command(
        self, folder: Path, cohort: Path, backend: str, device: str, *more: str
    ) -> list[str]:
        """What is typed for the workflow on a cohort."""
        config = [
            f"cohort={cohort}",
            f"models={self.card}",
            f"models_dir={self.folder / 'models'}",
            f"backend={backend}",
            f"device={device}",
        ]
        command = [sys.executable, "-m", "snakemake", "--snakefile", REPOSITORY / "Snakefile"]
        command += ["--directory", folder, "--cores", self.cores, *more, "--config", *config]
        return [str(c) for c in command]

    def plain(self, processes: int, device: str) -> float:
        """Seconds a scan of the plain way, so many processes side by side."""
        hidden = {"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {}
        folds = [str(self.folder / "weights" / f"fold-{n}") for n in range(1, FOLDS + 1)]
        threads = max(1, self.cores // processes)

        def one(path: Path) -> None:
            out = self.folder / "plain" / path.name
            command = [
                sys.executable,
                REPOSITORY / "scripts/tools/benchmark_plain.py",
                path,
                out,
                threads,
            ]
            subprocess.run(
                [str(c) for c in [*command, *folds]],
                env={**os.environ, **hidden},
                check=True,
                capture_output=True,
            )

        (self.folder / "plain").mkdir(exist_ok=True)
        begun = time.perf_counter()
        with ThreadPoolExecutor(processes) as pool:
            list(pool.map(one, self.images))
        return (time.perf_counter() - begun) / len(self.images)

    def road(
        self, name: str, backend: str, device: str
    ) -> tuple[float, dict[str, dict[str, float]], dict[str, float]]:
        """Seconds a scan of the whole road, what each step took, and MB of the scan that took most."""
        where = self.folder / name
        shutil.rmtree(where, ignore_errors=True)
        begun = time.perf_counter()
        with benchmark_page.watched(where / "work", self.scans) as temporary:
            self.snakemake(name, backend, device)
        taken = (time.perf_counter() - begun) / len(self.scans)
        kept = benchmark_page.sizes(where / "results", self.scans)
        disk = {"temporary": max(temporary.values()), "kept": max(kept.values())}
        return taken, benchmark_page.steps(where, len(self.scans)), disk

    def graph(self, scans: int) -> dict[str, float]:
        """What a dry run of so many small scans takes, the middle one of several by its time.

        By a small process: the peaks of its children are not its own.
        """
        where = self.folder / f"graph-{scans}"
        small_cohort(where / "bids", scans)
        dry_run = self.command(where, where / "bids", "auto", "cpu", "--dry-run")
        command = [
            sys.executable,
            REPOSITORY / "scripts/tools/benchmark_graph.py",
            where / "snakemake.txt",
        ]
        both = [str(c) for c in [*command, *dry_run]]
        runs = []
        for _ in range(DRY_RUNS):
            done = subprocess.run(both, capture_output=True, text=True, check=True)
            runs.append(json.loads(done.stdout))
        middle = sorted(runs, key=itemgetter("seconds"))[DRY_RUNS // 2]
        return {"scans": scans, **middle}

    def floor(self, backend: str, device: str) -> float:
        """Seconds a scan of warm calls."""
        folds = [self.folder / "models" / NAME / f"fold-{n}" for n in range(1, FOLDS + 1)]
        command = [sys.executable, REPOSITORY / "scripts/tools/benchmark_floor.py", backend, device]
        command += [self.cores, self.folder / "images.txt", *folds]
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=True)
        return float(done.stdout.split()[-1])


def main() -> None:
    """Measure in turns, keep every figure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where to work; what is there is used again")
    parser.add_argument("--scans", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument(
        "--graphs", type=int, nargs="*", default=[100, 1000], help="scans of dry runs"
    )
    parser.add_argument("--page", type=Path, default=REPOSITORY / "docs/speed.md")
    args = parser.parse_args()
    bench = Bench(args.folder.resolve(), args.scans, args.cores)
    figures = {
        "cpu": benchmark_page.cpu_name(),
        "cores": args.cores,
        "scans": args.scans,
        "folds": FOLDS,
        "import_s": bench.prepare(),
        "rounds": [],
    }
    ways = WAYS | (GPU_WAY if nvidia_device() else {})
    for _ in range(args.rounds):
        found: dict = {"plain": {}, "road": {}, "steps": {}, "disk": {}, "floor": {}}
        for device in dict.fromkeys(device for _, device in ways.values()):
            counts = range(1, args.cores + 1) if device == "cpu" else [1]
            found["plain"][device] = {str(n): bench.plain(n, device) for n in counts}
        for name, way in ways.items():
            found["road"][name], found["steps"][name], found["disk"][name] = bench.road(name, *way)
            found["floor"][name] = bench.floor(*way)
        figures["rounds"].append(found)
        print(json.dumps(found), flush=True)
    figures["graphs"] = [bench.graph(scans) for scans in args.graphs]
    figures["same"] = benchmark_page.compared(*(bench.folder / name for name in WAYS))
    (bench.folder / "figures.json").write_text(json.dumps(figures, indent=1))
    args.page.write_text(benchmark_page.page(figures), encoding="utf-8")


if __name__ == "__main__":
    main()
