"""Rule find_brain: compute the probability of brain in a scan without a brain mask."""

from pathlib import Path

from lesionflow.base.errors import LesionflowError, ScanError
from lesionflow.base.job_log import logged


def main(snakemake):
    """Run the networks of the brain mask's card, and write the probability on the card's own grid."""
    params, source = snakemake.params, snakemake.input.image
    with logged(snakemake):
        from lesionflow.imaging.nifti import read_scan, save
        from lesionflow.networks.inference.find_brain import brain_probability

        scan = read_scan(source, params.affine, params.echo)
        folds = [Path(fold).parent for fold in snakemake.input.folds]
        try:
            probability, grid = brain_probability(scan, params.card, folds, snakemake.threads)
        except LesionflowError as error:
            raise ScanError(f"{source}: {error}") from error
        save(snakemake.output.probability, probability, grid.affine)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (defined by Snakemake)
