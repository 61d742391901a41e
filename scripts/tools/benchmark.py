"""Compare the workflow with a baseline and a lower bound, and write docs/speed.md; see ``make benchmark``.

Each round measures in turn: (a) the baseline (``benchmark_baseline``) on prepared images, with its best number of
processes at a time; (b) the whole workflow from raw scans to cohort.csv, with both backends; (c) the lower bound
(``benchmark_lower_bound``), with both backends. Then dry runs of large cohorts (``benchmark_dry_run``). The networks are
three residual U-Nets of the published size with random weights; the scans are simulated and have no masks.
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
from snakemake.utils import available_cpu_count

import benchmark_page
from lesionflow.networks.inference.backends import nvidia_device
from lesionflow.simulation.bids_files import write_scan
from lesionflow.simulation.scan import simulated_head, simulated_scan
from lesionflow.training.microbleed_examples import HeadJob, simulated_example

MODEL = "benchmark"
FOLDS = 3
DRY_RUNS = 3
BACKENDS = {"OpenVINO": ("openvino", "cpu"), "TensorFlow": ("tensorflow", "cpu")}
GPU_BACKEND = {"GPU": ("tensorflow", "gpu")}  # if there is a GPU
TOOLS = REPOSITORY / "scripts/tools"


def simulate(number: int, folder: Path) -> None:
    """Write one simulated scan without its mask and reference."""
    name = f"sub-{number:02d}"
    scan = simulated_scan(simulated_head(7000 + number, 6, 1.0), number)
    paths = write_scan(scan, folder / name / "anat", name, "swi")
    for kind, path in paths.items():
        if kind != "image":
            path.unlink()


def write_small_cohort(folder: Path, scans: int) -> None:
    """Write small scans for a dry run."""
    image = nib.Nifti1Image(np.zeros((24, 24, 24), np.int16), np.eye(4))
    image.set_sform(np.eye(4), 1)
    for name in (f"sub-{number:05d}" for number in range(1, scans + 1)):
        path = folder / name / "anat" / f"{name}_swi.nii"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(image.to_bytes())


def build_folds(folder: Path) -> None:
    """Write SavedModels of the published size, scaled so that only their highest outputs exceed the threshold."""
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
        median, high = np.quantile(logits[example.brain], [0.5, 0.9998])
        scale = 8 / (high - median)  # the median voxel of the brain gets a logit of -8
        head.set_weights([kernel * scale, (bias - high) * scale])
        model.export(str(folder / f"fold-{number}"), verbose=False)


def write_card(folder: Path) -> Path:
    """Write the card of the demo with the folds of the benchmark."""
    card = yaml.safe_load((REPOSITORY / "config/models/demo-cmb.yaml").read_text("utf-8"))
    card |= {
        "name": MODEL,
        "description": "For measurements: random weights.",
        "format": "savedmodel",
    }
    card["folds"] = [{"path": f"fold-{n}"} for n in range(1, FOLDS + 1)]
    path = folder / f"{MODEL}.yaml"
    path.write_text(yaml.safe_dump(card, sort_keys=False), encoding="utf-8")
    return path


class Benchmark:
    """The measurements, with their scans, networks and results in one folder."""

    def __init__(self, folder: Path, scans: int, cores: int) -> None:
        self.folder, self.cores = folder, cores
        self.scans = [f"sub-{n:02d}" for n in range(1, scans + 1)]
        self.cohort, self.card = folder / "bids", folder / "weights" / f"{MODEL}.yaml"

    def prepare(self) -> float:
        """Make scans, networks, imported folds and prepared images; return the time of the import in seconds."""
        (self.folder / "weights").mkdir(parents=True, exist_ok=True)
        for number, name in enumerate(self.scans, start=1):
            if not (self.cohort / name).is_dir():
                simulate(number, self.cohort)
        if not self.card.is_file():
            build_folds(self.folder / "weights")
            write_card(self.folder / "weights")
        # without these folders, folds are imported, and compiled by the first predictions
        for name in ("models", "prepared"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        start = time.perf_counter()
        self.snakemake("prepared", "auto", "cpu", "--until", "import_fold")
        import_s = time.perf_counter() - start
        self.snakemake("prepared", "auto", "cpu")
        folders = [self.folder / "prepared/results" / MODEL / s / "anat" for s in self.scans]
        self.images = [next(folder.glob("*_desc-preproc_swi.nii.gz")) for folder in folders]
        (self.folder / "images.txt").write_text("\n".join(map(str, self.images)))
        return import_s

    def snakemake(self, name: str, backend: str, device: str, *options: str) -> None:
        """Run the workflow on the cohort, with its output in ``snakemake.txt``."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        with (folder / "snakemake.txt").open("a") as log:
            command = self.command(folder, self.cohort, backend, device, *options)
            subprocess.run(command, stdout=log, stderr=log, check=True)

    def command(
        self, folder: Path, cohort: Path, backend: str, device: str, *options: str
    ) -> list[str]:
        """Command line that runs the workflow on a cohort."""
        config = [
            f"cohort={cohort}",
            f"models={self.card}",
            f"models_dir={self.folder / 'models'}",
            f"backend={backend}",
            f"device={device}",
        ]
        command = [sys.executable, "-m", "snakemake", "--snakefile", REPOSITORY / "Snakefile"]
        command += ["--directory", folder, "--cores", self.cores, *options, "--config", *config]
        return [str(word) for word in command]

    def baseline(self, processes: int, device: str) -> float:
        """Seconds per scan of the baseline, with a number of processes at a time."""
        hidden_gpu = {"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {}
        folds = [str(self.folder / "weights" / f"fold-{n}") for n in range(1, FOLDS + 1)]
        threads = max(1, self.cores // processes)

        def predict(image: Path) -> None:
            output = self.folder / "baseline" / image.name
            command = [sys.executable, TOOLS / "benchmark_baseline.py", image, output, threads]
            subprocess.run(
                [str(word) for word in [*command, *folds]],
                env={**os.environ, **hidden_gpu},
                check=True,
                capture_output=True,
            )

        (self.folder / "baseline").mkdir(exist_ok=True)
        start = time.perf_counter()
        with ThreadPoolExecutor(processes) as pool:
            list(pool.map(predict, self.images))
        return (time.perf_counter() - start) / len(self.images)

    def workflow(
        self, name: str, backend: str, device: str
    ) -> tuple[float, dict[str, dict[str, float]], dict[str, float]]:
        """Seconds per scan of the whole workflow, figures of each step, and the largest MB of a scan."""
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        start = time.perf_counter()
        with benchmark_page.largest_sizes(folder / "work", self.scans) as temporary:
            self.snakemake(name, backend, device)
        seconds = (time.perf_counter() - start) / len(self.scans)
        kept = benchmark_page.sizes(folder / "results", self.scans)
        disk = {"temporary": max(temporary.values()), "kept": max(kept.values())}
        return seconds, benchmark_page.steps(folder, len(self.scans)), disk

    def dry_run(self, scans: int) -> dict[str, float]:
        """Figures of a dry run with small scans: of ``DRY_RUNS`` runs, the one with the median time.

        Each run is the only child of a small process, since the system reports the peak memory over all children.
        """
        folder = self.folder / f"graph-{scans}"
        write_small_cohort(folder / "bids", scans)
        options = "--dry-run", "--printshellcmds"  # which prints the number of jobs
        dry_run = self.command(folder, folder / "bids", "auto", "cpu", *options)
        program = [sys.executable, TOOLS / "benchmark_dry_run.py", folder / "snakemake.txt"]
        command = [str(word) for word in [*program, *dry_run]]
        runs = []
        for _ in range(DRY_RUNS):
            process = subprocess.run(command, capture_output=True, text=True, check=True)
            runs.append(json.loads(process.stdout))
        median_run = sorted(runs, key=itemgetter("seconds"))[DRY_RUNS // 2]
        return {"scans": scans, **median_run}

    def lower_bound(self, backend: str, device: str) -> float:
        """Seconds per scan of the calls of loaded folds."""
        folds = [self.folder / "models" / MODEL / f"fold-{n}" for n in range(1, FOLDS + 1)]
        command = [sys.executable, TOOLS / "benchmark_lower_bound.py", backend, device]
        command += [self.cores, self.folder / "images.txt", *folds]
        words = [str(word) for word in command]
        process = subprocess.run(words, capture_output=True, text=True, check=True)
        return float(process.stdout.split()[-1])


def main() -> None:
    """Measure in rounds, save all figures, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "folder", type=Path, help="working folder; scans and networks in it are reused"
    )
    parser.add_argument("--scans", type=int, default=16, help="number of simulated scans")
    parser.add_argument("--rounds", type=int, default=3, help="number of rounds")
    parser.add_argument("--cores", type=int, default=available_cpu_count())
    parser.add_argument(
        "--graphs",
        type=int,
        nargs="*",
        default=[100, 1000],
        help="numbers of scans of the dry runs",
    )
    parser.add_argument("--page", type=Path, default=REPOSITORY / "docs/speed.md")
    args = parser.parse_args()
    benchmark = Benchmark(args.folder.resolve(), args.scans, args.cores)
    figures = {
        "cpu": benchmark_page.cpu_name(),
        "cores": args.cores,
        "scans": args.scans,
        "folds": FOLDS,
        "import_s": benchmark.prepare(),
        "rounds": [],
    }
    backends = BACKENDS | (GPU_BACKEND if nvidia_device() else {})
    for _ in range(args.rounds):
        measurements: dict = {
            "baseline": {},
            "workflow": {},
            "steps": {},
            "disk": {},
            "lower_bound": {},
        }
        for device in dict.fromkeys(device for _, device in backends.values()):
            counts = range(1, args.cores + 1) if device == "cpu" else [1]
            measurements["baseline"][device] = {
                str(n): benchmark.baseline(n, device) for n in counts
            }
        for name, backend in backends.items():
            seconds, steps, disk = benchmark.workflow(name, *backend)
            measurements["workflow"][name] = seconds
            measurements["steps"][name], measurements["disk"][name] = steps, disk
            measurements["lower_bound"][name] = benchmark.lower_bound(*backend)
        figures["rounds"].append(measurements)
        print(json.dumps(measurements), flush=True)
    figures["graphs"] = [benchmark.dry_run(scans) for scans in args.graphs]
    figures["difference"] = benchmark_page.difference(
        *(benchmark.folder / name for name in BACKENDS)
    )
    (benchmark.folder / "figures.json").write_text(json.dumps(figures, indent=1))
    args.page.write_text(benchmark_page.page(figures), encoding="utf-8")


if __name__ == "__main__":
    main()
