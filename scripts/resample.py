"""Rule resample: resample one channel of a scan to the model grid."""

import logging

from lesionflow.base import json_sidecar
from lesionflow.base.digests import sha256_files
from lesionflow.base.job_log import logged
from lesionflow.imaging.image_checks import check_overlap, finite_values
from lesionflow.imaging.nifti import read_scan, read_scan_grid, save
from lesionflow.imaging.resampling import full_grid, resample_channel


def main(snakemake):
    """Read a channel, replace values that are not finite by 0, and resample it to the grid of the reference channel."""
    files, output, params = snakemake.input, snakemake.output, snakemake.params
    with logged(snakemake):
        scan = read_scan(files.image, params.affine, params.echo)
        reference = read_scan_grid(files.reference, params.affine, params.echo)
        grid = full_grid(reference.affine, reference.shape, params.space)
        check_overlap(scan, files.image, reference, files.reference, grid)
        data, n_nonfinite = finite_values(scan, files.image)
        resampled = resample_channel(data, scan.affine, grid, params.space)
        save(output.image, resampled, grid.affine)
        digest = sha256_files(params.source_files)
        sidecar = {"input_sha256": digest, "nonfinite_voxels": n_nonfinite, "filled": params.filled}
        json_sidecar.write(output.sidecar, sidecar)
        if output.get("image_sidecar"):  # the image is kept
            metadata = {"Description": "Scan on the grid of the model", "SkullStripped": False}
            json_sidecar.write(output.image_sidecar, {**metadata, **params.images["image"]})
        logging.info("%s voxels to %s, %s", scan.shape, grid.shape, params.space["interpolation"])


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (defined by Snakemake)
