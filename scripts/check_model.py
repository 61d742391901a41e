"""Rule check_model: describe a model, and run its folds on a random volume."""

import logging
from pathlib import Path

from lesionflow.base.job_log import logged
from lesionflow.networks.inference.model_check import describe_card, describe_fold


def main(snakemake):
    """Print the input and output of each card, and the hashes, run time and memory of its folds."""
    params = snakemake.params
    folds = (Path(fold).parent for fold in snakemake.input.folds)  # grouped by card
    settings = params.backend, params.device, params.precision, snakemake.threads
    with logged(snakemake):
        for card in params.cards:
            text = describe_card(card)
            for _ in card["folds"]:
                text += describe_fold(card, next(folds), *settings)
            logging.info("\n%s", text)
            print(text, flush=True)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (defined by Snakemake)
