"""Rule count: from a label map to lesions, each one measured."""

from lesionflow.base import json_sidecar
from lesionflow.base.job_log import logged
from lesionflow.imaging.nifti import load, read_label_image, read_scan_grid, save
from lesionflow.results.derivatives_dataset import lesion_names
from lesionflow.results.scan_results import lesion_rows, scan_results
from lesionflow.results.scan_sidecar import scan_sidecar
from lesionflow.results.tables_io import write_table


def main(snakemake):
    """Number, measure and filter the lesions; write their maps, their tables and the sidecar of the scan."""
    files, output, params = snakemake.input, snakemake.output, snakemake.params
    scan, model = snakemake.wildcards.scan, snakemake.wildcards.model
    with logged(snakemake):
        labels, probability, brain = map(load, (files.labels, files.probability, files.mask))
        folds = map(load, files.folds)
        scan_grid = read_scan_grid(files.scan, params.affine, params.echo)
        regions = read_label_image(files.regions, params.affine) if files.get("regions") else None
        sidecars = list(map(json_sidecar.read, files.sidecars))
        has_mask = all(sidecar.get("mask_source") != "none" for sidecar in sidecars)
        results = scan_results(
            labels,
            probability,
            folds,
            brain,
            regions,
            scan_grid,
            params.output,
            params.postprocess,
            has_mask,
        )
        channel_sidecars = map(json_sidecar.read, files.channel_sidecars)
        sidecar = scan_sidecar(sidecars, channel_sidecars, results.lesions, model, params.version)
        save(output.lesions, results.lesion_map, labels.affine)
        save(output.labels, results.labels, labels.affine)
        write_table(output.table, lesion_rows(results.lesions, scan, model))
        write_table(output.volumes, results.volumes)
        write_table(output.names, lesion_names(results.lesions))
        metadata = {"Description": "Number of each lesion, dropped ones included", "Manual": False}
        json_sidecar.write(output.lesions_sidecar, {**metadata, **params.images["lesions"]})
        metadata = {"Description": "Labels of the lesions that are kept", "Manual": False}
        json_sidecar.write(output.sidecar, {**metadata, **params.images["labels"], **sidecar})


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (defined by Snakemake)
