"""Rule import_fold: convert the published weights of one fold to the format that predict_fold reads."""

import logging
from pathlib import Path

from lesionflow.base.job_log import logged
from lesionflow.cards.fold_spec import FoldSpec
from lesionflow.networks.importing.import_fold import import_fold
from lesionflow.networks.weights.locate import Weights


def main(snakemake):
    """Check the hashes of the weights, convert them and compare the result with the published network."""
    with logged(snakemake):
        if not snakemake.input.get("weights"):
            # the plan found the fold complete: a run that was killed had imported it, and not yet recorded it
            logging.info("the fold is imported already")
            return
        folder, params = Path(snakemake.output.fold).parent, snakemake.params
        spec, weights = FoldSpec(**params.spec), Weights.at(snakemake.input.weights, params.spec)
        digest = snakemake.wildcards.digest
        import_fold(spec, weights, folder, digest, snakemake.threads, params.code)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (defined by Snakemake)
