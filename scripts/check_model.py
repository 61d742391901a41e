"""Rule check_model: run a dummy volume through a model's folds, and tell what the model is."""

import logging
from pathlib import Path

from lesionflow.base.job_log import logged
from lesionflow.networks.inference.model_check import described, tried


def main(snakemake):
    """Print what each card expects and returns, and what its folds cost and hash to."""
    params = snakemake.params
    folds = (Path(fold).parent for fold in snakemake.input.folds)  # card by card
    how = params.backend, params.device, params.precision, snakemake.threads
    with logged(snakemake):
        for card in params.cards:
            text = described(card)
            for _ in card["folds"]:
                text += tried(card, next(folds), *how)
            logging.info("\n%s", text)
            print(text, flush=True)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (put here by Snakemake)
