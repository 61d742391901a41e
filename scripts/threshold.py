"""Rule threshold: from probabilities to a label map."""

from lesionflow.base.job_log import logged
from lesionflow.imaging.nifti import channels_last, load, save
from lesionflow.results.lesions import label_map


def main(snakemake):
    """Label every voxel, before any lesion is told from another."""
    params = snakemake.params
    with logged(snakemake):
        image = load(snakemake.input.probability)
        labels = label_map(channels_last(image), params.activation, params.threshold)
        save(snakemake.output.labels, labels, image.affine)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (put here by Snakemake)
