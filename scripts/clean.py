"""Rule clean: take out of the probabilities what belongs to no structure's largest piece."""

import numpy as np

from lesionflow.base.job_log import logged
from lesionflow.imaging.connected_components import keep_largest_components
from lesionflow.imaging.grids import Grid
from lesionflow.imaging.nifti import channels_last, load, read_scan_grid, save
from lesionflow.imaging.resampling import sampled
from lesionflow.networks.inference.ensemble import rounded, without_padding


def main(snakemake):
    """Keep the largest pieces and let the probabilities of a voxel sum to 1 again."""
    params = snakemake.params
    with logged(snakemake):
        image = load(snakemake.input.probability)
        maps = np.array(channels_last(image), np.float32)
        found = keep_largest_components(maps, params.labels, params.components)
        scan = read_scan_grid(snakemake.input.scan, params.affine, params.echo)
        scanned = sampled(scan, params.space, Grid(image.affine, image.shape[:3]))
        found = without_padding(found, scanned, "softmax")
        save(snakemake.output.probability, rounded(found), image.affine)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (put here by Snakemake)
