"""Rule evaluate: tables and HTML page of all scans compared with their reference segmentations."""

from pathlib import Path

from lesionflow.base import json_sidecar
from lesionflow.base.job_log import logged
from lesionflow.evaluation.evaluation_files import write_evaluation


def main(snakemake):
    """Write the table of scans (all of them, whatever their status), the table of thresholds, and the page."""
    params = snakemake.params
    results = Path(snakemake.output.evaluation).parent
    with logged(snakemake):
        plan = json_sidecar.read(params.plan)["records"]
        write_evaluation(plan, params.models, params.cards, results)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (defined by Snakemake)
