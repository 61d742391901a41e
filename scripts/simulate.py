"""Rule simulate: simulate a scan, and write it with its reference brain mask and lesions."""

from pathlib import Path

from lesionflow.base.job_log import logged
from lesionflow.simulation.bids_files import describe, write_scan
from lesionflow.simulation.scan import simulated_head, simulated_scan


def main(snakemake):
    """Simulate a head and a scan of it, and write the scan to a BIDS directory."""
    job = snakemake.params.job
    with logged(snakemake):
        path = Path(snakemake.output.image)
        label_map = Path(job["anatomy"][0]) if job["anatomy"] else None
        head = simulated_head(job["head_seed"], job["microbleeds"], label_map=label_map)
        options = {key: job[key] for key in ("sequence", "spacing_mm", "orientation", "whole_head")}
        scan = simulated_scan(head, job["scan_seed"], **options)
        source = "whole-head label maps" if label_map else "the MNI152 template"
        describe(path.parents[2], source, "rules/simulate.smk")
        write_scan(scan, path.parent, f"sub-{snakemake.wildcards.subject}", job["sequence"])


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (defined by Snakemake)
