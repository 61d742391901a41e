"""Rule import_fold: turn a fold's published weights into the one kind of network that predicts."""

from pathlib import Path

from lesionflow.cards import import_part
from lesionflow.folds import write_fold
from lesionflow.jobs import logged
from lesionflow.weights import checked_digests, find_weights, unpacked


def main(snakemake):
    """Find the weights, check their hashes, and only then open them."""
    with logged(snakemake):
        folder = Path(snakemake.output.facts).parent
        models_dir = folder.parents[1]
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = import_part(snakemake.params.card, int(snakemake.wildcards.fold))
        weights = find_weights(part, part["fold"], models_dir)
        with unpacked(weights, folder.parent) as path:
            digests = checked_digests(part, part["fold"], weights, path)
            write_fold(part, path, digests, folder, snakemake.threads, snakemake.params.code)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (put here by Snakemake)
