"""Rule threshold: probabilities to a label map."""

from lesionflow.base import json_sidecar
from lesionflow.base.job_log import logged
from lesionflow.imaging.nifti import channels_last, load, save
from lesionflow.results.lesions import label_map


def main(snakemake):
    """Assign a label to each voxel; lesions are separated in a later step."""
    params = snakemake.params
    with logged(snakemake):
        image = load(snakemake.input.probability)
        labels = label_map(channels_last(image), params.activation, params.threshold)
        save(snakemake.output.labels, labels, image.affine)
        description = {
            "Description": "Labels of the voxels, before lesions are counted and filtered"
        }
        metadata = {**description, "Manual": False, **params.images["labels"]}
        json_sidecar.write(snakemake.output.sidecar, metadata)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (defined by Snakemake)
