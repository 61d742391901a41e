"""Rule resample: bring one channel of a scan to the model's grid."""

import logging

import numpy as np

from lesionflow.base import json_sidecar
from lesionflow.base.digests import sha256_file
from lesionflow.base.errors import ScanError
from lesionflow.base.job_log import logged
from lesionflow.imaging.grids import reach
from lesionflow.imaging.nifti import read_scan, read_scan_grid, save
from lesionflow.imaging.resampling import field_of_view, on_grid, whole_grid


def main(snakemake):
    """Read the scan under the chosen affine, replace what is not finite by 0, and resample."""
    params = snakemake.params
    with logged(snakemake):
        scan = read_scan(snakemake.input.image, params.affine, params.echo)
        reference = read_scan_grid(snakemake.input.reference, params.affine, params.echo)
        grid = whole_grid(reference.affine, reference.shape, params.space)
        if not field_of_view(scan.affine, scan.shape, grid).any():
            raise ScanError(
                f"{snakemake.input.image} and {snakemake.input.reference} do not overlap in space: "
                f"one reaches {reach(scan.affine, scan.shape)}, the other "
                f"{reach(reference.affine, reference.shape)}"
            )
        data = np.asanyarray(scan.dataobj)
        finite = np.isfinite(data)
        holes = data.size - int(np.count_nonzero(finite))
        known = finite if holes else True  # which takes NumPy a quarter of the time
        low = data.min(where=known, initial=np.inf)
        if low >= data.max(where=known, initial=-np.inf):
            value = f"{low:g}" if holes < data.size else "not a number"
            raise ScanError(f"{snakemake.input.image} holds no image: every voxel is {value}")
        if holes:
            data = np.where(finite, data, 0)
        sampled = on_grid(data, scan.affine, grid, params.space)
        save(snakemake.output.image, sampled, grid.affine)
        json_sidecar.write(
            snakemake.output.facts,
            {
                "input_sha256": sha256_file(snakemake.input.own),
                "nonfinite_voxels": holes,
                "filled": params.filled,
            },
        )
        logging.info("%s voxels to %s, %s", scan.shape, grid.shape, params.space["interpolation"])


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (put here by Snakemake)
