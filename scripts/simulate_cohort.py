"""Make a small BIDS directory of simulated SWI-like scans with known microbleeds; see ``make demo``."""

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import nibabel as nib
import numpy as np

from lesionflow.swi import simulated_head, simulated_swi
from lesionflow.whole import whole

README = """\
SIMULATED SCANS. No person was scanned: a program of lesionflow (scripts/simulate_cohort.py) made these
SWI-like images from the MNI152 template, randomly deformed, with simulated veins and microbleeds. They
show how lesionflow works and serve for nothing else.

{broken} is broken on purpose: its file ends halfway.

Beside each scan lie its brain mask and the truth: *_desc-truth_lesions.tsv has each microbleed's number,
place (world mm, RAS+), volume and diameter; *_desc-truth_dseg.nii.gz has the numbers on the scan's grid.
"""


@dataclass(frozen=True)
class Job:
    """One scan of the cohort."""

    subject: str
    session: str | None
    head: int
    bleeds: int
    scan: int
    broken: bool = False

    @property
    def name(self) -> str:
        """Of the scan, as the cohort table has it."""
        return self.subject + (f"_{self.session}" if self.session else "")


def cohort_jobs(seed: int, scans: int) -> list[Job]:
    """Two sessions of one head (with a new microbleed), one with many, with none, a broken one, more."""
    rng = np.random.default_rng([seed, 10])
    heads = [100 * seed + n for n in range(scans)]
    first = [
        Job("sub-01", "ses-1", heads[0], 4, 1),
        Job("sub-01", "ses-2", heads[0], 5, 2),
        Job("sub-02", None, heads[1], 9, 1),
        Job("sub-03", None, heads[2], 0, 1),
        Job("sub-04", None, heads[3], 3, 1, broken=True),
    ]
    more = [
        Job(f"sub-{n:02d}", None, heads[n - 1], int(rng.integers(1, 8)), 1) for n in range(5, scans)
    ]
    return (first + more)[:scans]


def write_scan(job: Job, out: Path) -> str:
    """Simulate one scan and write it with its mask and truth; the name of the scan."""
    nib.openers.Opener.default_compresslevel = 1
    folder = out / job.subject / (job.session or "") / "anat"
    folder.mkdir(parents=True, exist_ok=True)
    scan = simulated_swi(simulated_head(job.head, job.bleeds), job.scan)
    affine, header = scan.image.affine, scan.image.header
    label = nib.Nifti1Image(scan.lesions, affine, header)
    brain = nib.Nifti1Image(scan.brain.astype(np.uint8), affine, header)
    brain.set_data_dtype(np.uint8)
    parts = {"swi": scan.image, "desc-brain_mask": brain, "desc-truth_dseg": label}
    for suffix, image in parts.items():
        with whole(folder / f"{job.name}_{suffix}.nii.gz") as partial:
            nib.save(image, partial)
    with whole(folder / f"{job.name}_desc-truth_lesions.tsv") as partial:
        scan.truth.to_csv(partial, sep="\t", index=False)
    if job.broken:
        path = folder / f"{job.name}_swi.nii.gz"
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return job.name


def describe(out: Path, jobs: list[Job]) -> None:
    """Write the data set's description and README, which say that everything is simulated."""
    description = {
        "Name": "Simulated SWI-like scans with microbleeds (demonstration, no person was scanned)",
        "BIDSVersion": "1.10.0",
        "DatasetType": "raw",
        "License": "CC0",
        "GeneratedBy": [{"Name": "lesionflow", "Description": "scripts/simulate_cohort.py"}],
    }
    broken = ", ".join(job.name for job in jobs if job.broken) or "None"
    texts = {
        "dataset_description.json": json.dumps(description, indent=2) + "\n",
        "README": README.format(broken=broken),
    }
    for name, text in texts.items():
        with whole(out / name) as partial:
            partial.write_text(text)


def main() -> None:
    """Write the cohort with two processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--scans", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    jobs = cohort_jobs(args.seed, args.scans)
    describe(args.out, jobs)
    with ProcessPoolExecutor(args.workers, mp_context=get_context("spawn")) as pool:
        names = list(pool.map(write_scan, jobs, [args.out] * len(jobs)))
    print(f"{len(names)} simulated scans in {args.out}: {', '.join(names)}")


if __name__ == "__main__":
    main()
