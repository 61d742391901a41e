"""Rule find_brain: compute where the brain is in a scan that brings no mask."""

from pathlib import Path

from lesionflow.images import ScanError, read_scan, save
from lesionflow.jobs import logged
from lesionflow.skull_stripping import brain_probability


def main(snakemake):
    """Run the mask's card on the scan, and write the probability of brain on the card's grid."""
    params = snakemake.params
    with logged(snakemake):
        scan = read_scan(snakemake.input.image, params.affine, params.echo)
        folds = [Path(fold).parent for fold in snakemake.input.folds]
        try:
            probability, grid = brain_probability(
                scan, params.card, folds, params.backend, snakemake.threads
            )
        except ValueError as error:
            raise ScanError(f"{snakemake.input.image}: {error}") from error
        save(snakemake.output.probability, probability, grid.affine)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (put here by Snakemake)
