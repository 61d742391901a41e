"""Rule compare: compare a scan's probabilities with its reference lesions, at every threshold and minimum size."""

from pathlib import Path

import numpy as np

from lesionflow.base import json_sidecar
from lesionflow.base.errors import ScanError
from lesionflow.base.job_log import logged
from lesionflow.base.label_channels import background_channels
from lesionflow.evaluation.lesion_matching import sweep
from lesionflow.evaluation.reference_lesions import reference_lesions
from lesionflow.evaluation.scan_comparison import EMPTY_TABLE, comparison_summary, unusable_summary
from lesionflow.imaging.grids import Grid
from lesionflow.imaging.nifti import channels_last, load
from lesionflow.imaging.other_formats import read_image
from lesionflow.results.tables_io import write_table


def main(snakemake):
    """Count detected and missed lesions; record an unusable reference image without failing."""
    params, path = snakemake.params, snakemake.input.reference
    labels, rules = params.output["labels"], params.postprocess
    with logged(snakemake):
        image = load(snakemake.input.probability)
        brain = np.asanyarray(load(snakemake.input.mask).dataobj) > 0
        grid = Grid(image.affine, image.shape[:3])
        try:
            reference_image = read_image(Path(path), params.affine, params.matlab)
            reference = reference_lesions(reference_image, labels, rules["connectivity"], path)
            maps = channels_last(image)
            table, at_card = sweep(maps, brain, grid, reference, params.output, rules, name=path)
            names = list(labels.values())
            foreground = maps[..., background_channels(params.output["activation"]) :]
            summary = comparison_summary(at_card, reference, grid, names, rules, foreground)
        except ScanError as error:
            table, summary = EMPTY_TABLE, unusable_summary(error)
        write_table(snakemake.output.table, table)
        json_sidecar.write(snakemake.output.sidecar, summary)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (defined by Snakemake)
