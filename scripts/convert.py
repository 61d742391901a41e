"""Rule convert: give a MATLAB image the geometry that its model's card tells."""

from pathlib import Path

import nibabel as nib

from lesionflow.base.atomic_write import write_atomically
from lesionflow.base.errors import ScanError
from lesionflow.base.job_log import logged
from lesionflow.imaging.matlab import read_matlab


def main(snakemake):
    """Write the array as a NIfTI image, voxel by voxel."""
    with logged(snakemake):
        image, reference = (
            read_matlab(Path(path), snakemake.params.matlab)
            for path in (snakemake.input.image, snakemake.input.reference)
        )
        if image.shape != reference.shape:
            raise ScanError(
                f"{snakemake.input.image} has the shape {image.shape}, {snakemake.input.reference} "
                f"{reference.shape}: MATLAB files tell no place in space, so that they must share their voxels",
                "header-conflict",
            )
        with write_atomically(snakemake.output.image) as partial:
            nib.save(image, partial)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (put here by Snakemake)
