"""Rule compare: hold a scan's probabilities against its truth, at every threshold and smallest size."""

from pathlib import Path

import numpy as np

from lesionflow import facts
from lesionflow.cohort import MATLAB
from lesionflow.comparison import TABLE, known_of, unusable
from lesionflow.geometry import Grid
from lesionflow.images import ScanError, channels_last, load, read_scan
from lesionflow.jobs import logged
from lesionflow.matching import sweep
from lesionflow.matlab import read_matlab
from lesionflow.tables import write_table
from lesionflow.truths import true_lesions


def main(snakemake):
    """Count what was found and what not; a truth that cannot be used is told, and costs its scan only."""
    params, path = snakemake.params, snakemake.input.truth
    labels, rules = params.output["labels"], params.postprocess
    with logged(snakemake):
        image = load(snakemake.input.probability)
        brain = np.asanyarray(load(snakemake.input.mask).dataobj) > 0
        grid = Grid(image.affine, image.shape[:3])
        try:
            matlab = path.endswith(MATLAB)
            drawn = (
                read_matlab(Path(path), params.matlab) if matlab else read_scan(path, params.affine)
            )
            truth = true_lesions(drawn, labels, rules["connectivity"], path)
            maps = channels_last(image)
            table, found = sweep(maps, brain, grid, truth, params.output, rules, name=path)
            known = known_of(found, truth, grid, list(labels.values()), rules)
        except ScanError as error:
            table, known = TABLE, unusable(error)
        write_table(snakemake.output.table, table)
        facts.write(snakemake.output.facts, known)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (put here by Snakemake)
