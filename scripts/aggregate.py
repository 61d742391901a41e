"""Rule aggregate: the tables of the cohort, with their data dictionaries."""

from pathlib import Path

from lesionflow.base import json_sidecar
from lesionflow.base.job_log import logged
from lesionflow.results.cohort_tables import write_cohort_tables
from lesionflow.results.scan_status import scan_states


def main(snakemake):
    """Write one row per scan, whatever its status, one row per lesion, and what the reviews say of them."""
    models = snakemake.params.models
    results = Path(snakemake.output.cohort).parent
    with logged(snakemake):
        plan = json_sidecar.read(snakemake.params.plan)["records"]
        states = scan_states(plan, models, results)
        reviews = snakemake.input.get("reviews", [])
        write_cohort_tables(plan, models, states, results, reviews)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (defined by Snakemake)
