"""Rule find_brain: compute where the brain is, for a scan that brings no mask."""

from pathlib import Path

from lesionflow.base.atomic_write import whole
from lesionflow.base.job_log import logged
from lesionflow.workflow.workers import call, threads


def work(image, affine, echo, probability, **how):
    """Run the mask's card on the scan, and write the probability of brain on the card's grid."""
    from lesionflow.base.errors import LesionflowError, ScanError
    from lesionflow.imaging.nifti import read_scan, save
    from lesionflow.networks.inference.find_brain import brain_probability

    scan = read_scan(image, affine, echo)
    try:
        found, grid = brain_probability(scan, **how)
    except LesionflowError as error:
        raise ScanError(f"{image}: {error}") from error
    save(probability, found, grid.affine)


def main(snakemake):
    """Have the scan's brain found."""
    params = snakemake.params
    with logged(snakemake), whole(snakemake.output.probability) as partial:
        call(
            work,
            snakemake,
            image=str(snakemake.input.image),
            affine=params.affine,
            echo=params.echo,
            probability=partial,
            card=params.card,
            folds=[Path(fold).parent for fold in snakemake.input.folds],
            threads=threads(snakemake),
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (put here by Snakemake)
