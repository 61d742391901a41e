"""Rule predict_fold: run one fold of a network on one scan."""

from functools import partial
from pathlib import Path

import numpy as np

from lesionflow import facts, views
from lesionflow.ensemble import rounded
from lesionflow.images import load, save
from lesionflow.jobs import logged
from lesionflow.network import predict


def main(snakemake):
    """Stack the channels, call the fold, and write its probabilities and what computed them."""
    params = snakemake.params
    with logged(snakemake):
        images = [load(path) for path in snakemake.input.images]
        stack = np.stack([np.asanyarray(i.dataobj, np.float32) for i in images], axis=-1)
        brain = np.asanyarray(load(snakemake.input.mask).dataobj) > 0
        fold, output = Path(snakemake.input.fold), params.card["output"]
        probability, how = predict(
            fold.parent,
            stack,
            params.backend,
            params.device,
            params.precision,
            snakemake.threads,
            partial(views.probability, card=params.card, brain=brain),
        )
        probability[probability < output["floor"]] = 0
        if output["mask"] == "brain":
            probability *= brain[..., None]
        save(snakemake.output.probability, rounded(probability), images[0].affine)
        facts.write(
            snakemake.output.facts,
            {**how, "weights_sha256": facts.read(fold)["weights_sha256"]},
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (put here by Snakemake)
