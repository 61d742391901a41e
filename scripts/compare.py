"""Rule compare: compare a scan's probabilities with its reference lesions, at every threshold and minimum size."""

from pathlib import Path

import numpy as np

from lesionflow.base import json_sidecar
from lesionflow.base.errors import ScanError
from lesionflow.base.job_log import logged
from lesionflow.evaluation.lesion_matching import sweep
from lesionflow.evaluation.reference_lesions import reference_lesions
from lesionflow.evaluation.scan_comparison import TABLE, comparison_summary, unusable
from lesionflow.imaging.file_types import MATLAB
from lesionflow.imaging.grids import Grid
from lesionflow.imaging.matlab import read_matlab
from lesionflow.imaging.nifti import channels_last, load, read_scan
from lesionflow.results.tables_io import write_table


def main(snakemake):
    """Count detected and missed lesions; an unusable reference image is recorded for its scan only."""
    params, path = snakemake.params, snakemake.input.reference
    labels, rules = params.output["labels"], params.postprocess
    with logged(snakemake):
        image = load(snakemake.input.probability)
        brain = np.asanyarray(load(snakemake.input.mask).dataobj) > 0
        grid = Grid(image.affine, image.shape[:3])
        try:
            matlab = path.endswith(MATLAB)
            image_of_reference = (
                read_matlab(Path(path), params.matlab) if matlab else read_scan(path, params.affine)
            )
            truth = reference_lesions(image_of_reference, labels, rules["connectivity"], path)
            maps = channels_last(image)
            table, matched = sweep(maps, brain, grid, truth, params.output, rules, name=path)
            summary = comparison_summary(matched, truth, grid, list(labels.values()), rules)
        except ScanError as error:
            table, summary = TABLE, unusable(error)
        write_table(snakemake.output.table, table)
        json_sidecar.write(snakemake.output.sidecar, summary)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (put here by Snakemake)
