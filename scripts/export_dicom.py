"""Rule export_dicom: write the lesions of a scan that came from DICOM as a DICOM segmentation."""

from pathlib import Path

import numpy as np

from lesionflow.base import json_sidecar
from lesionflow.base.digests import sha256_file
from lesionflow.base.job_log import logged
from lesionflow.imaging.nifti import load
from lesionflow.results.dicom_segmentation import on_slices, read_sources, write_segmentation


def main(snakemake):
    """Write the segmentation beside its sidecar, which says if there is nothing to write."""
    files, params = snakemake.input, snakemake.params
    path = Path(snakemake.output.sidecar).with_suffix(".dcm")
    with logged(snakemake):
        image = load(files.labels)
        sources, slices = read_sources(params.files, params.volume)
        frames = on_slices(np.asanyarray(image.dataobj), image.affine, slices)
        about = json_sidecar.read(files.sidecar)
        segments = write_segmentation(path, sources, slices, frames, params.labels, about)
        written = {"file": path.name, "sha256": sha256_file(path)} if segments else {"file": None}
        json_sidecar.write(snakemake.output.sidecar, {**written, "segments": segments})


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (defined by Snakemake)
