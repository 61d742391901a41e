"""Rule predict_fold: run one fold of a network on one scan."""

from pathlib import Path

from lesionflow.base import json_sidecar
from lesionflow.base.atomic_write import write_atomically
from lesionflow.base.job_log import logged


def main(snakemake):
    """Write the fold's probabilities, and what computed them."""
    params, fold = snakemake.params, Path(snakemake.input.fold)
    with logged(snakemake):
        from lesionflow.networks.inference.predict_scan import predict_scan

        with write_atomically(snakemake.output.probability) as partial:
            used = predict_scan(
                images=list(snakemake.input.images),
                mask=str(snakemake.input.mask),
                fold=fold.parent,
                probability=partial,
                card=params.card,
                backend=params.backend,
                device=params.device,
                precision=params.precision,
                xla=params.xla,
                threads=snakemake.threads,
                memory_mb=snakemake.resources.get("mem_mb"),
            )
        weights_sha256 = json_sidecar.read(fold)["weights_sha256"]
        metadata = {"Description": "Probabilities of one fold of the ensemble", "Manual": False}
        metadata |= params.images["probability"]
        used = {**used, "weights_sha256": weights_sha256}
        json_sidecar.write(snakemake.output.sidecar, {**metadata, **used})


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (defined by Snakemake)
