"""Rule describe: make a model's results a BIDS derivatives dataset that says where it comes from."""

import pandas as pd

from lesionflow import __version__
from lesionflow.base import json_sidecar
from lesionflow.base.job_log import logged
from lesionflow.results.tables_io import write_table


def main(snakemake):
    """Write dataset_description.json and the table of label values."""
    card = snakemake.params.card
    with logged(snakemake):
        json_sidecar.write(
            snakemake.output.description,
            {
                "Name": f"Lesions by {card['name']}",
                "BIDSVersion": "1.10.0",
                "DatasetType": "derivative",
                "License": "the scans' own; no clinical use",
                "GeneratedBy": [
                    {"Name": "lesionflow", "Version": __version__},
                    {
                        "Name": card["name"],
                        "Version": card["version"],
                        "Description": card["description"],
                        "Source": card["source"],
                        "Folds": [json_sidecar.read(path) for path in snakemake.input.folds],
                    },
                ],
            },
        )
        labels = snakemake.params.labels
        write_table(
            snakemake.output.labels,
            pd.DataFrame({"index": [0, *labels], "name": ["background", *labels.values()]}),
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (put here by Snakemake)
