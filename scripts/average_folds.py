"""Rule average_folds: mean and standard deviation over the folds of an ensemble."""

import numpy as np

from lesionflow.base import json_sidecar
from lesionflow.base.job_log import logged
from lesionflow.imaging.grids import Grid
from lesionflow.imaging.nifti import load, read_scan_grid, save
from lesionflow.imaging.resampling import inside_scan
from lesionflow.networks.inference.ensemble import (
    average,
    ensemble_sidecar,
    rounded,
    without_padding,
)


def main(snakemake):
    """Average all folds of the card."""
    files, output, params = snakemake.input, snakemake.output, snakemake.params
    with logged(snakemake):
        images = [load(path) for path in files.folds]
        mean, spread = average(images, params.n_folds)
        affine = images[0].affine
        # Otherwise the step clean removes the padding, after it has selected the largest components.
        if not params.cleaned:
            scan = read_scan_grid(files.scan, params.affine, params.echo)
            inside = inside_scan(scan, params.space, Grid(affine, mean.shape[:3]))
            mean = without_padding(mean, inside, params.activation)
        brain = np.asanyarray(load(files.mask).dataobj) > 0
        save(output.probability, mean, affine)
        save(output.spread, rounded(spread), affine)
        folds = [json_sidecar.read(path) for path in files.sidecars]
        sidecar = ensemble_sidecar(mean, spread, brain, params.labels, params.activation, folds)
        metadata = {"Description": "Mean probabilities of the ensemble", "Manual": False}
        metadata |= params.images["probability"]
        json_sidecar.write(output.sidecar, {**metadata, **sidecar})


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (defined by Snakemake)
