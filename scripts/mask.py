"""Rule mask: resample the brain mask of a scan, provided or computed, to the model grid."""

import numpy as np

from lesionflow.base import json_sidecar
from lesionflow.base.errors import ScanError
from lesionflow.base.job_log import logged
from lesionflow.imaging.brain_mask import (
    brain_from_mask,
    brain_from_probability,
    edge_share,
    nonfinite_in_brain,
)
from lesionflow.imaging.grids import Grid
from lesionflow.imaging.nifti import is_integer_image, load, read_scan, read_scan_grid, save
from lesionflow.imaging.resampling import inside_image


def main(snakemake):
    """Resample the mask, and refuse scans with values inside the brain that are not finite."""
    params = snakemake.params
    with logged(snakemake):
        image = load(snakemake.input.image[0])
        grid = Grid(image.affine, image.shape)
        paths = list(snakemake.input.scans)
        scan = read_scan_grid(paths[0], params.affine, params.echo)
        mask, probability = snakemake.input.get("mask"), snakemake.input.get("probability")
        if probability:
            threshold = params.finder["threshold"]
            brain = brain_from_probability(load(probability), scan, grid, threshold)
        else:
            brain = brain_from_mask(read_scan(mask, params.affine) if mask else None, scan, grid)
        has_brain = bool(mask or probability)
        for path in paths if has_brain else []:
            if is_integer_image(path):
                continue
            channel = read_scan(path, params.affine, params.echo)
            if n_nonfinite := nonfinite_in_brain(channel, brain, grid):
                raise ScanError(
                    f"{path}: {n_nonfinite} voxels inside the brain mask are not finite numbers and would look "
                    "like lesions"
                )
        save(snakemake.output.mask, brain.astype(np.uint8), grid.affine)
        json_sidecar.write(
            snakemake.output.sidecar,
            {
                "mask_source": "{name} {version}".format(**params.finder)
                if probability
                else "provided"
                if mask
                else "none",
                "brain_volume_ml": float(brain.sum() * grid.voxel_mm3 / 1000)
                if has_brain
                else None,
                "brain_at_edge": edge_share(brain, inside_image(scan.affine, scan.shape, grid))
                if has_brain
                else None,
            },
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (defined by Snakemake)
