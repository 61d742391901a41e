"""Rule evaluate: tables and HTML page of all scans compared with their reference segmentations."""

from pathlib import Path

from lesionflow.base import json_sidecar
from lesionflow.base.job_log import logged
from lesionflow.cohort.plan import join_references
from lesionflow.evaluation.evaluation_files import write_evaluation


def main(snakemake):
    """Write the table of scans (all of them, whatever their status), the table of thresholds, and the page."""
    files, params = snakemake.input, snakemake.params
    results, logs = Path(snakemake.output.evaluation).parent, Path(snakemake.log[0]).parent
    with logged(snakemake):
        plan = join_references(json_sidecar.read(files.plan), json_sidecar.read(files.references))
        write_evaluation(plan, params.models, params.cards, results, logs)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (defined by Snakemake)
