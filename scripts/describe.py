"""Rule describe: describe a model's results as a BIDS derivatives dataset, with their provenance."""

from lesionflow.base import json_sidecar
from lesionflow.base.job_log import logged
from lesionflow.results.derivatives_dataset import dataset_description, label_names
from lesionflow.results.tables_io import write_table


def main(snakemake):
    """Write dataset_description.json and the table of label values."""
    files, output, params = snakemake.input, snakemake.output, snakemake.params
    with logged(snakemake):
        folds = [json_sidecar.read(path) for path in files.folds]
        json_sidecar.write(output.description, dataset_description(params.card, folds))
        write_table(output.labels, label_names(params.labels))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (defined by Snakemake)
