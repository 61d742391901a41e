"""Rule predict_fold: run one fold of a network on one scan."""

from pathlib import Path

from lesionflow.base import json_sidecar
from lesionflow.base.atomic_write import whole
from lesionflow.base.job_log import logged
from lesionflow.workflow.workers import call, threads


def work(**arguments):
    """Predict; in the run's worker, which has imported and loaded before."""
    from lesionflow.networks.inference.predict_scan import predict_scan

    return predict_scan(**arguments)


def main(snakemake):
    """Have the fold's probabilities written, and write what computed them."""
    params, fold = snakemake.params, Path(snakemake.input.fold)
    with logged(snakemake):
        with whole(snakemake.output.probability) as partial:
            used = call(
                work,
                snakemake,
                images=list(snakemake.input.images),
                mask=str(snakemake.input.mask),
                fold=fold.parent,
                probability=partial,
                card=params.card,
                backend=params.backend,
                device=params.device,
                precision=params.precision,
                xla=params.xla,
                threads=threads(snakemake),
                memory_mb=snakemake.resources.get("mem_mb"),
            )
        json_sidecar.write(
            snakemake.output.facts,
            {**used, "weights_sha256": json_sidecar.read(fold)["weights_sha256"]},
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (put here by Snakemake)
