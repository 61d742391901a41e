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
    """One scan of the cohort: seed of its head, number of microbleeds, and seed of the acquisition."""

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
    """Jobs of the first ``scans`` scans of the cohort.

    A head in two sessions, with a new microbleed in the second; one head with many and one without; a broken file;
    then heads with 1 to 7 microbleeds.
    """
    rng = np.random.default_rng([seed, 10])
    heads = [100 * seed + n for n in range(scans)]
    fixed = [
        Job("sub-01", "ses-1", heads[0], 4, 1),
        Job("sub-01", "ses-2", heads[0], 5, 2),
        Job("sub-02", None, heads[1], 9, 1),
        Job("sub-03", None, heads[2], 0, 1),
        Job("sub-04", None, heads[3], 3, 1, broken=True),
    ]
    random = [
        Job(f"sub-{n:02d}", None, heads[n - 1], int(rng.integers(1, 8)), 1) for n in range(5, scans)
    ]
    return (fixed + random)[:scans]


def simulate(job: Job, out: Path) -> str:
    """Simulate one scan, write it with its mask and reference, and return its name."""
    folder = out / job.subject / (job.session or "") / "anat"
    scan = simulated_scan(simulated_head(job.head_seed, job.microbleeds), job.scan_seed)
    path = write_scan(scan, folder, job.name, "swi")["image"]
    if job.broken:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return job.name


def main() -> None:
    """Simulate and write the cohort."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="BIDS directory to write")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--scans", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2, help="processes")
    args = parser.parse_args()
    jobs = cohort_jobs(args.seed, args.scans)
    broken = ", ".join(job.name for job in jobs if job.broken) or "None"
    note = f"{broken} is broken on purpose: the file is cut off halfway."
    describe(args.out, "the MNI152 template", "scripts/tools/simulate_cohort.py", note)
    with ProcessPoolExecutor(args.workers, mp_context=get_context("spawn")) as pool:
        names = list(pool.map(simulate, jobs, [args.out] * len(jobs)))
    print(f"{len(names)} simulated scans in {args.out}: {', '.join(names)}")


if __name__ == "__main__":
    main()
