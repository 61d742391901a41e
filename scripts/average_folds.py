"""Rule average_folds: mean and standard deviation over the folds of an ensemble."""

import numpy as np

from lesionflow import facts
from lesionflow.ensemble import average, combined_facts, disagreement
from lesionflow.images import load, save
from lesionflow.jobs import logged


def main(snakemake):
    """Average every fold of the card, no fewer."""
    params = snakemake.params
    with logged(snakemake):
        images = [load(path) for path in snakemake.input.folds]
        mean, spread = average(images, params.n_folds)
        affine = images[0].affine
        brain = np.asanyarray(load(snakemake.input.mask).dataobj) > 0
        save(snakemake.output.probability, mean, affine)
        save(snakemake.output.spread, spread, affine)
        facts.write(
            snakemake.output.facts,
            {
                "LabelMap": list(params.labels.values()),
                "fold_disagreement": disagreement(mean, spread, brain),
                **combined_facts([facts.read(path) for path in snakemake.input.facts]),
            },
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (put here by Snakemake)
