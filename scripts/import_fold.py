"""Rule import_fold: convert the published weights of one fold to the format that predict_fold reads."""

from pathlib import Path

from lesionflow.base.job_log import logged
from lesionflow.cards.fold_spec import FoldSpec
from lesionflow.networks.importing.import_fold import import_fold
from lesionflow.networks.weights.locate import Weights


def main(snakemake):
    """Locate the weights, check their hashes, convert them and compare the result with the published network."""
    with logged(snakemake):
        folder, params = Path(snakemake.output.fold).parent, snakemake.params
        spec, weights = FoldSpec(**params.spec), Weights.at(snakemake.input.weights, params.spec)
        digest = snakemake.wildcards.digest
        import_fold(spec, weights, folder, digest, snakemake.threads, params.code)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (defined by Snakemake)
