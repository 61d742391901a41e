"""Rule crop: crop and pad the resampled channels and the brain mask to the input box of the model."""

import numpy as np

from lesionflow.base import json_sidecar
from lesionflow.base.job_log import logged
from lesionflow.imaging.cropping import crop_and_pad
from lesionflow.imaging.grids import Grid
from lesionflow.imaging.nifti import load, save
from lesionflow.imaging.resampling import inside_image


def main(snakemake):
    """Crop all channels together, and measure the share of the brain outside the box."""
    with logged(snakemake):
        mask = load(snakemake.input.mask)
        brain = np.asanyarray(mask.dataobj) > 0
        channels = [np.asanyarray(load(path).dataobj) for path in snakemake.input.images]
        stack, cropped_brain, box = crop_and_pad(
            np.stack(channels, axis=-1), brain, mask.affine, snakemake.params.space
        )
        save(snakemake.output.image, stack, box.affine)
        save(snakemake.output.mask, cropped_brain.astype(np.uint8), box.affine)
        inside = inside_image(box.affine, box.shape, Grid(mask.affine, brain.shape))
        share_outside = np.count_nonzero(brain & ~inside) / np.count_nonzero(brain)
        metadata = {"Description": "Brain mask in the box of the model", "Type": "Brain"}
        metadata |= snakemake.params.images["mask"]
        measures = {"brain_outside_box": round(share_outside, 6)}
        json_sidecar.write(snakemake.output.sidecar, {**metadata, **measures})


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (defined by Snakemake)
