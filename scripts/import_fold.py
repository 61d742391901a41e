"""Rule import_fold: turn a fold's published weights into the one kind of network that predicts."""

from pathlib import Path

from lesionflow.importing import import_fold
from lesionflow.jobs import logged


def main(snakemake):
    """Find the weights, check their hashes, and only then open them."""
    with logged(snakemake):
        folder = Path(snakemake.output.facts).parent
        fold, params = int(snakemake.wildcards.fold), snakemake.params
        import_fold(params.card, fold, folder, snakemake.threads, params.code)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (put here by Snakemake)
