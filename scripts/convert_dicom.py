"""Rule convert_dicom: convert a volume of a DICOM series to NIfTI."""

from pathlib import Path

from lesionflow.base import json_sidecar
from lesionflow.base.job_log import logged
from lesionflow.imaging.dicom import convert_volume


def main(snakemake):
    """Write the volume, and what the DICOM files say of its acquisition."""
    params, output = snakemake.params, snakemake.output
    with logged(snakemake):
        sidecar = convert_volume(params.files, params.volume, Path(output.image))
        json_sidecar.write(output.sidecar, sidecar)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (defined by Snakemake)
