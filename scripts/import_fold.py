"""Rule import_fold: convert the published weights of one fold to the format that predict_fold reads."""

from pathlib import Path

from lesionflow.base.job_log import logged
from lesionflow.cards.fold_spec import FoldSpec
from lesionflow.networks.importing.import_fold import import_fold


def main(snakemake):
    """Locate the weights, check their hashes, convert them and compare the result with the published network."""
    with logged(snakemake):
        folder, params = Path(snakemake.output.fold).parent, snakemake.params
        import_fold(FoldSpec(**params.card), folder, snakemake.threads, params.code)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (defined by Snakemake)
