"""Rule convert: convert an image of another format to NIfTI, with its geometry or that which the model card states."""

from pathlib import Path

from lesionflow.base.job_log import logged
from lesionflow.imaging.matlab import check_same_shape
from lesionflow.imaging.other_formats import convert_image


def main(snakemake):
    """Write the image as a NIfTI file of the same voxels."""
    files, matlab = snakemake.input, snakemake.params.matlab
    with logged(snakemake):
        if files.get("reference"):
            check_same_shape(Path(files.image), Path(files.reference), matlab)
        convert_image(Path(files.image), Path(snakemake.output.image), matlab)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (defined by Snakemake)
