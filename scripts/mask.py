"""Rule mask: resample the brain mask of a scan, provided or computed, to the model grid."""

import numpy as np

from lesionflow.base import json_sidecar
from lesionflow.base.job_log import logged
from lesionflow.imaging.brain_mask import brain_from_mask, brain_from_probability, brain_measures
from lesionflow.imaging.grids import Grid
from lesionflow.imaging.image_checks import check_finite_in_brain
from lesionflow.imaging.nifti import is_integer_image, load, read_scan, read_scan_grid, save
from lesionflow.imaging.resampling import inside_image


def main(snakemake):
    """Resample the mask, and refuse scans with values inside the brain that are not finite."""
    files, params = snakemake.input, snakemake.params
    with logged(snakemake):
        image, scan = (
            load(files.image[0]),
            read_scan_grid(files.scans[0], params.affine, params.echo),
        )
        grid = Grid(image.affine, image.shape)
        measures = {"brain_volume_ml": None, "brain_at_edge": None}
        if files.get("probability"):
            source = "{name} {version}".format(**params.finder)
            probability, threshold = load(files.probability), params.finder["threshold"]
            brain = brain_from_probability(probability, scan, grid, threshold)
        elif files.get("mask"):
            source = "provided"
            brain = brain_from_mask(read_scan(files.mask, params.affine), scan, grid)
        else:
            source, brain = "none", inside_image(scan.affine, scan.shape, grid)
        if source != "none":
            measures = brain_measures(brain, scan, grid)
            for path in files.scans:
                if not is_integer_image(path):
                    channel = read_scan(path, params.affine, params.echo)
                    check_finite_in_brain(channel, path, brain, grid)
        save(snakemake.output.mask, brain.astype(np.uint8), grid.affine)
        json_sidecar.write(snakemake.output.sidecar, {"mask_source": source, **measures})


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (defined by Snakemake)
