"""Rule restore: bring maps back to the scan's own grid."""

import numpy as np

from lesionflow.base.job_log import logged
from lesionflow.imaging.connected_components import with_values
from lesionflow.imaging.nifti import channels_last, load, read_scan_grid, save_like
from lesionflow.imaging.resampling import field_of_view, resample
from lesionflow.networks.inference.ensemble import rounded
from lesionflow.results.lesion_rows import read_lesions


def main(snakemake):
    """Sample the maps at the scan's voxels; every lesion of the table has its own voxel at least."""
    params, source = snakemake.params, snakemake.input.scan
    with logged(snakemake):
        scan = read_scan_grid(source, params.affine, params.echo)
        image = load(snakemake.input.probability)
        maps = channels_last(image)
        probability = np.empty((*scan.shape, maps.shape[3]), np.float32, order="F")
        for n in range(maps.shape[3]):
            rounded(resample(maps[..., n], image.affine, scan, "linear"), out=probability[..., n])
        if params.activation == "softmax":  # what the model did not see is background
            probability[~field_of_view(image.affine, image.shape, scan), 0] = 1
        save_like(
            snakemake.output.probability,
            np.squeeze(probability, 3) if probability.shape[3] == 1 else probability,
            source,
        )
        del probability  # the largest array of all, before the next ones
        numbers = np.asanyarray(load(snakemake.input.lesions).dataobj)
        lesions = resample(numbers, image.affine, scan, "nearest")
        found = read_lesions(snakemake.input.table)
        for row in found:
            lesions[row["i"], row["j"], row["k"]] = row["lesion"]
        value_of = {name: value for value, name in params.labels.items()}
        kept = (value_of[row["label"]] if row["kept"] else 0 for row in found)
        values = np.array([0, *kept], np.int16)
        save_like(snakemake.output.lesions, lesions, source)
        save_like(snakemake.output.labels, with_values(lesions, values), source)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (put here by Snakemake)
