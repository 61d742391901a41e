"""Rule import_fold: turn a fold's published weights into the one kind of network that predicts."""

from pathlib import Path

from lesionflow.base.job_log import logged
from lesionflow.networks.importing.import_fold import import_fold


def main(snakemake):
    """Find the weights, check their hashes, and only then open them."""
    with logged(snakemake):
        folder = Path(snakemake.output.facts).parent
        fold, params = int(snakemake.wildcards.fold), snakemake.params
        import_fold(params.card, fold, folder, snakemake.threads, params.code)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (put here by Snakemake)
