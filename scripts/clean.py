"""Rule clean: keep the largest connected component of each structure in the probabilities of the ensemble."""

import numpy as np

from lesionflow.base import json_sidecar
from lesionflow.base.job_log import logged
from lesionflow.imaging.connected_components import keep_largest_components
from lesionflow.imaging.grids import Grid
from lesionflow.imaging.nifti import channels_last, load, read_scan_grid, save
from lesionflow.imaging.resampling import inside_scan
from lesionflow.networks.inference.ensemble import rounded, without_padding


def main(snakemake):
    """Keep the largest components, renormalize the probabilities of each voxel, and remove the padding."""
    params = snakemake.params
    with logged(snakemake):
        image = load(snakemake.input.probability)
        maps = np.array(channels_last(image), np.float32)
        cleaned = keep_largest_components(maps, params.labels, params.components)
        scan = read_scan_grid(snakemake.input.scan, params.affine, params.echo)
        inside = inside_scan(scan, params.space, Grid(image.affine, image.shape[:3]))
        cleaned = without_padding(cleaned, inside, "softmax")
        save(snakemake.output.probability, rounded(cleaned), image.affine)
        description = "Probabilities of the ensemble, without smaller connected components"
        metadata = {"Description": description, "Manual": False, **params.images["probability"]}
        json_sidecar.write(snakemake.output.sidecar, metadata)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (defined by Snakemake)
