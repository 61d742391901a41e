"""Rule normalize: apply the intensity normalization of the model."""

import numpy as np

from lesionflow.base import json_sidecar
from lesionflow.base.job_log import logged
from lesionflow.imaging.intensity import normalize, quantized
from lesionflow.imaging.nifti import channels_last, load, save


def main(snakemake):
    """Normalize all channels together, and write the one of this job."""
    params = snakemake.params
    with logged(snakemake):
        image = load(snakemake.input.image)
        stack = channels_last(image)
        brain = np.asanyarray(load(snakemake.input.mask).dataobj) > 0
        channel = params.channels.index(params.channel)
        normalized = normalize(stack, params.steps, brain, channel)[..., 0]
        if params.mask == "brain":
            normalized = normalized * brain
        save(snakemake.output.image, quantized(normalized), image.affine)
        intensities = stack[..., channel].T[brain.T]  # in the order of the file, which is faster
        intensities = intensities[np.isfinite(intensities)]
        # the mask can lie entirely outside the box
        p99 = float(np.percentile(intensities, 99)) if intensities.size else None
        metadata = {"Description": "Input of the network", "SkullStripped": params.mask == "brain"}
        metadata |= params.images["image"]
        json_sidecar.write(snakemake.output.sidecar, {**metadata, "intensity_p99": p99})


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (defined by Snakemake)
