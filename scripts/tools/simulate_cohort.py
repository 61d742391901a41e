"""Write a small BIDS directory of simulated SWI-like scans with known microbleeds; see ``make demo``."""

import library_path  # noqa: F401  # isort: skip

import argparse
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from lesionflow.simulation.bids_files import describe, write_scan
from lesionflow.simulation.scan import simulated_head, simulated_scan


@dataclass(frozen=True)
class Job:
    """One scan of the cohort, with the seeds of its head and of the scan."""

    subject: str
    session: str | None
    head_seed: int
    microbleeds: int
    scan_seed: int
    broken: bool = False

    @property
    def name(self) -> str:
        """Name of the scan, as in the cohort table."""
        return self.subject + (f"_{self.session}" if self.session else "")


def cohort_jobs(seed: int, scans: int) -> list[Job]:
    """Jobs of the cohort.

    The first scans are a head in two sessions, with a new microbleed in the second, a head with many microbleeds, one
    with none, and a broken file. The others have a random number of microbleeds.
    """
    rng = np.random.default_rng([seed, 10])
    seeds = [100 * seed + n for n in range(scans)]
    fixed = [
        Job("sub-01", "ses-1", seeds[0], 4, 1),
        Job("sub-01", "ses-2", seeds[0], 5, 2),
        Job("sub-02", None, seeds[1], 9, 1),
        Job("sub-03", None, seeds[2], 0, 1),
        Job("sub-04", None, seeds[3], 3, 1, broken=True),
    ]
    random = [
        Job(f"sub-{n:02d}", None, seeds[n - 1], int(rng.integers(1, 8)), 1) for n in range(5, scans)
    ]
    return (fixed + random)[:scans]


def simulate(job: Job, out: Path) -> str:
    """Simulate one scan, write it with its brain mask and reference segmentation, and return its name."""
    folder = out / job.subject / (job.session or "") / "anat"
    scan = simulated_scan(simulated_head(job.head_seed, job.microbleeds), job.scan_seed)
    path = write_scan(scan, folder, job.name, "swi")["image"]
    if job.broken:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return job.name


def main() -> None:
    """Simulate and write the cohort."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder of the BIDS directory")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--scans", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2, help="processes")
    args = parser.parse_args()
    jobs = cohort_jobs(args.seed, args.scans)
    broken = ", ".join(job.name for job in jobs if job.broken) or "None"
    note = f"{broken} is broken on purpose: the file is truncated to half its size."
    describe(args.out, "the MNI152 template", "scripts/tools/simulate_cohort.py", note)
    with ProcessPoolExecutor(args.workers, mp_context=get_context("spawn")) as pool:
        names = list(pool.map(simulate, jobs, [args.out] * len(jobs)))
    print(f"{len(names)} simulated scans in {args.out}: {', '.join(names)}")


if __name__ == "__main__":
    main()
