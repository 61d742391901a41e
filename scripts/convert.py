"""Rule convert: convert a MATLAB image to NIfTI, with the geometry that the model card states."""

from pathlib import Path

import nibabel as nib

from lesionflow.base.atomic_write import write_atomically
from lesionflow.base.errors import ScanError
from lesionflow.base.job_log import logged
from lesionflow.imaging.matlab import read_matlab


def main(snakemake):
    """Write the array as a NIfTI image of the same voxels."""
    with logged(snakemake):
        image, reference = (
            read_matlab(Path(path), snakemake.params.matlab)
            for path in (snakemake.input.image, snakemake.input.reference)
        )
        if image.shape != reference.shape:
            raise ScanError(
                f"{snakemake.input.image} has the shape {image.shape}, {snakemake.input.reference} "
                f"{reference.shape}: MATLAB files have no position in space, so their shapes must be equal",
                "header-conflict",
            )
        with write_atomically(snakemake.output.image) as partial:
            nib.save(image, partial)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (defined by Snakemake)
