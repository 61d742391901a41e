"""Rule crop: cut the model's box out of the resampled channels and the mask."""

import numpy as np

from lesionflow import facts
from lesionflow.geometry import crop_grid, paste
from lesionflow.images import load, save
from lesionflow.jobs import logged


def main(snakemake):
    """Place the box on the brain and paste every channel and the mask into it."""
    with logged(snakemake):
        mask = load(snakemake.input.mask)
        brain = np.asanyarray(mask.dataobj)
        box = crop_grid(brain > 0, mask.affine, tuple(snakemake.params.shape))
        channels = [load(path) for path in snakemake.input.images]
        stack = np.stack(
            [paste(np.asanyarray(c.dataobj), c.affine, box) for c in channels], axis=-1
        )
        inside = paste(brain, mask.affine, box)
        save(snakemake.output.image, stack, box.affine)
        save(snakemake.output.mask, inside, box.affine)
        outside = 1 - np.count_nonzero(inside) / np.count_nonzero(brain)
        facts.write(snakemake.output.facts, {"brain_outside_box": round(outside, 6)})


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (put here by Snakemake)
