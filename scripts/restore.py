"""Rule restore: bring maps back to the scan's own grid."""

import numpy as np
import pandas as pd

from lesionflow.images import channels_last, load, read_scan_grid, save_like
from lesionflow.jobs import logged
from lesionflow.resampling import field_of_view, resample


def main(snakemake):
    """Sample the maps at the scan's voxels; every lesion of the table has its own voxel at least."""
    params, source = snakemake.params, snakemake.input.scan
    with logged(snakemake):
        scan = read_scan_grid(source, params.affine, params.echo)
        image = load(snakemake.input.probability)
        maps = channels_last(image)
        probability = np.empty((*scan.shape, maps.shape[3]), np.float32)
        for n in range(maps.shape[3]):
            probability[..., n] = resample(maps[..., n], image.affine, scan, "linear")
        if params.activation == "softmax":  # what the model did not see is background
            probability[~field_of_view(image.affine, image.shape, scan), 0] = 1
        numbers = np.asanyarray(load(snakemake.input.lesions).dataobj)
        lesions = resample(numbers, image.affine, scan, "nearest")
        table = pd.read_csv(snakemake.input.table, sep="\t", keep_default_na=False)
        lesions[table.i, table.j, table.k] = table.lesion
        value_of = {name: value for value, name in params.labels.items()}
        values = [0, *(value_of[r.label] if r.kept else 0 for r in table.itertuples())]
        save_like(
            snakemake.output.probability,
            np.squeeze(probability, 3) if probability.shape[3] == 1 else probability,
            source,
        )
        save_like(snakemake.output.lesions, lesions, source)
        save_like(snakemake.output.labels, np.array(values, np.int16)[lesions], source)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (put here by Snakemake)
