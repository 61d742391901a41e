"""Rule describe_cohort: describe the tables of a cohort as a BIDS derivatives dataset beside those of the models."""

from lesionflow.base import json_sidecar
from lesionflow.base.atomic_write import write_text
from lesionflow.base.job_log import logged
from lesionflow.results import derivatives_dataset as dataset


def main(snakemake):
    """Write description, README and .bidsignore."""
    output, models = snakemake.output, snakemake.params.models
    with logged(snakemake):
        json_sidecar.write(output.description, dataset.cohort_description())
        write_text(output.readme, dataset.cohort_readme(models))
        write_text(output.ignored, dataset.cohort_ignored_files(models))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (defined by Snakemake)
