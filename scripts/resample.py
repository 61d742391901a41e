"""Rule resample: resample one channel of a scan to the model grid."""

import logging

import numpy as np

from lesionflow.base import json_sidecar
from lesionflow.base.digests import sha256_file
from lesionflow.base.errors import ScanError
from lesionflow.base.job_log import logged
from lesionflow.imaging.grids import format_extent
from lesionflow.imaging.nifti import read_scan, read_scan_grid, save
from lesionflow.imaging.resampling import full_grid, inside_image, resample_channel


def main(snakemake):
    """Read a channel, replace values that are not finite by 0, and resample it to the grid of the reference channel."""
    params = snakemake.params
    with logged(snakemake):
        scan = read_scan(snakemake.input.image, params.affine, params.echo)
        reference = read_scan_grid(snakemake.input.reference, params.affine, params.echo)
        grid = full_grid(reference.affine, reference.shape, params.space)
        if not inside_image(scan.affine, scan.shape, grid).any():
            raise ScanError(
                f"{snakemake.input.image} and {snakemake.input.reference} do not overlap in space: "
                f"the first extends over {format_extent(scan.affine, scan.shape)}, the second over "
                f"{format_extent(reference.affine, reference.shape)}"
            )
        data = np.asanyarray(scan.dataobj)
        finite = np.isfinite(data)
        n_nonfinite = data.size - int(np.count_nonzero(finite))
        where = finite if n_nonfinite else True  # NumPy is four times faster with True
        lowest = data.min(where=where, initial=np.inf)
        if lowest >= data.max(where=where, initial=-np.inf):
            value = f"{lowest:g}" if n_nonfinite < data.size else "not a number"
            raise ScanError(f"{snakemake.input.image} is not an image: every voxel is {value}")
        if n_nonfinite:
            data = np.where(finite, data, 0)
        resampled = resample_channel(data, scan.affine, grid, params.space)
        save(snakemake.output.image, resampled, grid.affine)
        json_sidecar.write(
            snakemake.output.sidecar,
            {
                "input_sha256": sha256_file(snakemake.input.source),
                "nonfinite_voxels": n_nonfinite,
                "filled": params.filled,
            },
        )
        logging.info("%s voxels to %s, %s", scan.shape, grid.shape, params.space["interpolation"])


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (defined by Snakemake)
