"""Rule describe: describe a model's results as a BIDS derivatives dataset, with their provenance."""

from lesionflow.base import json_sidecar
from lesionflow.base.atomic_write import write_text
from lesionflow.base.job_log import logged
from lesionflow.results import derivatives_dataset as dataset
from lesionflow.results.tables_io import write_table


def main(snakemake):
    """Write the files of the dataset as a whole: description, README, .bidsignore, and the meaning of values and names."""
    files, output, params = snakemake.input, snakemake.output, snakemake.params
    with logged(snakemake):
        folds = [json_sidecar.read(path) for path in files.folds]
        description = dataset.dataset_description(params.card, folds, params.links)
        json_sidecar.write(output.description, description)
        write_text(output.readme, dataset.readme(params.card))
        write_text(output.ignored, dataset.ignored_files(params.channels))
        write_table(output.labels, dataset.label_names(params.labels))
        write_table(output.descriptions, dataset.description_labels(len(folds)))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (defined by Snakemake)
