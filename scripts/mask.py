"""Rule mask: bring a scan's brain mask, given or found, to the model's grid."""

import numpy as np

from lesionflow.base import json_sidecar
from lesionflow.base.errors import ScanError
from lesionflow.base.job_log import logged
from lesionflow.imaging.brain_mask import (
    brain_from_probability,
    brain_on_grid,
    edge_share,
    holes_in_brain,
)
from lesionflow.imaging.grids import Grid
from lesionflow.imaging.nifti import is_integer_image, load, read_scan, read_scan_grid, save
from lesionflow.imaging.resampling import field_of_view


def main(snakemake):
    """Resample the mask to the grid of the resampled image, and look for holes in the scan."""
    params = snakemake.params
    with logged(snakemake):
        image = load(snakemake.input.image[0])
        grid = Grid(image.affine, image.shape)
        paths = list(snakemake.input.scans)
        scan = read_scan_grid(paths[0], params.affine, params.echo)
        given, found = snakemake.input.get("mask"), snakemake.input.get("found")
        if found:
            brain = brain_from_probability(load(found), scan, grid, params.finder["threshold"])
        else:
            brain = brain_on_grid(read_scan(given, params.affine) if given else None, scan, grid)
        known = bool(given or found)
        for path in paths if known else []:
            if is_integer_image(path):
                continue
            channel = read_scan(path, params.affine, params.echo)
            if holes := holes_in_brain(channel, brain, grid):
                raise ScanError(
                    f"{path}: {holes} voxels inside the brain mask are not finite numbers; a hole "
                    "would look like a lesion"
                )
        save(snakemake.output.mask, brain.astype(np.uint8), grid.affine)
        json_sidecar.write(
            snakemake.output.facts,
            {
                "mask_source": "{name} {version}".format(**params.finder)
                if found
                else "provided"
                if given
                else "none",
                "brain_volume_ml": float(brain.sum() * grid.voxel_mm3 / 1000) if known else None,
                "brain_at_edge": edge_share(brain, field_of_view(scan.affine, scan.shape, grid))
                if known
                else None,
            },
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (put here by Snakemake)
