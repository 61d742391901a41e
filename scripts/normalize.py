"""Rule normalize: scale the intensities as the model expects them."""

import numpy as np

from lesionflow.base import json_sidecar
from lesionflow.base.job_log import logged
from lesionflow.imaging.intensity import normalize, storable
from lesionflow.imaging.nifti import channels_last, load, save


def main(snakemake):
    """Normalize the channels together and write the one that is asked for."""
    with logged(snakemake):
        image = load(snakemake.input.image)
        stack = channels_last(image)
        brain = np.asanyarray(load(snakemake.input.mask).dataobj) > 0
        channel = snakemake.params.channels.index(snakemake.wildcards.channel)
        normal = normalize(stack, snakemake.params.steps, brain, channel)[..., 0]
        if snakemake.params.mask == "brain":
            normal = normal * brain
        save(snakemake.output.image, storable(normal), image.affine)
        inside = stack[..., channel].T[brain.T]  # in the order of the file
        inside = inside[np.isfinite(inside)]  # the mask may not meet the box at all
        p99 = float(np.percentile(inside, 99)) if inside.size else None
        json_sidecar.write(snakemake.output.facts, {"intensity_p99": p99})


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (put here by Snakemake)
