"""Rule crop: cut the model's box out of the resampled channels and the mask."""

import numpy as np

from lesionflow.base import json_sidecar
from lesionflow.base.job_log import logged
from lesionflow.imaging.cropping import crop_and_pad
from lesionflow.imaging.grids import Grid
from lesionflow.imaging.nifti import load, save
from lesionflow.imaging.resampling import field_of_view


def main(snakemake):
    """Lay the box, and bring every channel and the mask into it."""
    with logged(snakemake):
        mask = load(snakemake.input.mask)
        brain = np.asanyarray(mask.dataobj) > 0
        channels = [np.asanyarray(load(path).dataobj) for path in snakemake.input.images]
        stack, inside, box = crop_and_pad(
            np.stack(channels, axis=-1), brain, mask.affine, snakemake.params.space
        )
        save(snakemake.output.image, stack, box.affine)
        save(snakemake.output.mask, inside.astype(np.uint8), box.affine)
        seen = field_of_view(box.affine, box.shape, Grid(mask.affine, brain.shape))
        outside = np.count_nonzero(brain & ~seen) / np.count_nonzero(brain)
        json_sidecar.write(snakemake.output.facts, {"brain_outside_box": round(outside, 6)})


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (put here by Snakemake)
