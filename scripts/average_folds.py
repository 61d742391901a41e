"""Rule average_folds: mean and standard deviation over the folds of an ensemble."""

import numpy as np

from lesionflow.base import json_sidecar
from lesionflow.base.job_log import logged
from lesionflow.base.label_channels import background_channels
from lesionflow.imaging.grids import Grid
from lesionflow.imaging.nifti import load, read_scan_grid, save, with_channel_axis
from lesionflow.imaging.resampling import inside_scan
from lesionflow.networks.inference.ensemble import (
    average,
    combined_metadata,
    disagreement,
    rounded,
    without_padding,
)


def main(snakemake):
    """Average all folds of the card."""
    params = snakemake.params
    with logged(snakemake):
        images = [load(path) for path in snakemake.input.folds]
        mean, spread = average(images, params.n_folds)
        affine = images[0].affine
        # Otherwise the step clean removes the padding, after it has selected the largest components.
        if not params.cleaned:
            scan = read_scan_grid(snakemake.input.scan, params.affine, params.echo)
            inside = inside_scan(scan, params.space, Grid(affine, mean.shape[:3]))
            mean = without_padding(mean, inside, params.activation)
        first = background_channels(params.activation)
        labels = [
            array[..., first:] for array in (with_channel_axis(mean), with_channel_axis(spread))
        ]
        brain = np.asanyarray(load(snakemake.input.mask).dataobj) > 0
        save(snakemake.output.probability, mean, affine)
        save(snakemake.output.spread, rounded(spread), affine)
        json_sidecar.write(
            snakemake.output.sidecar,
            {
                "LabelMap": ["background"] * first + list(params.labels.values()),
                "fold_disagreement": disagreement(*labels, brain),
                **combined_metadata([json_sidecar.read(path) for path in snakemake.input.sidecars]),
            },
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (defined by Snakemake)
