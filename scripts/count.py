"""Rule count: from a label map to lesions, each one measured."""

from lesionflow import __version__
from lesionflow.base import json_sidecar
from lesionflow.base.job_log import logged
from lesionflow.imaging.nifti import load, read_scan, read_scan_grid, save
from lesionflow.results.scan_results import (
    lesion_rows,
    merge_sidecars,
    quality_and_provenance,
    scan_results,
)
from lesionflow.results.tables_io import write_table


def main(snakemake):
    """Number, measure and filter the lesions; write their maps, their tables and the sidecar of the scan."""
    files, output, params = snakemake.input, snakemake.output, snakemake.params
    scan, model = snakemake.wildcards.scan, snakemake.wildcards.model
    with logged(snakemake):
        labels, regions = load(files.labels), files.get("regions")
        results = scan_results(
            labels=labels,
            probability=load(files.probability),
            folds=map(load, files.folds),
            brain=load(files.mask),
            regions=read_scan(regions, params.affine) if regions else None,
            scan_grid=read_scan_grid(files.scan, params.affine, params.echo),
            output=params.output,
            postprocess=params.postprocess,
        )
        sidecar = merge_sidecars(
            [json_sidecar.read(path) for path in files.facts],
            [json_sidecar.read(path) for path in files.channel_facts],
        ) | {
            "lesions_dropped": int((~results.lesions.kept).sum()),
            "model": model,
            "model_version": params.version,
            "lesionflow_version": __version__,
        }
        save(output.lesions, results.lesion_map, labels.affine)
        save(output.labels, results.labels, labels.affine)
        write_table(output.table, lesion_rows(results.lesions, scan, model))
        write_table(output.volumes, results.volumes)
        json_sidecar.write(output.facts, quality_and_provenance(sidecar))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (put here by Snakemake)
