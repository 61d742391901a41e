"""Rule count: from a label map to lesions, each one measured."""

import numpy as np
from nibabel.affines import apply_affine

from lesionflow import __version__
from lesionflow.base import json_sidecar
from lesionflow.base.job_log import logged
from lesionflow.imaging.connected_components import components, with_values
from lesionflow.imaging.grids import Grid
from lesionflow.imaging.nifti import channels_last, load, read_scan, read_scan_grid, save
from lesionflow.imaging.resampling import resample
from lesionflow.results.cohort_tables import lesion_rows, scan_facts
from lesionflow.results.lesions import claim_voxels, judge, label_map, measure, summarize
from lesionflow.results.tables_io import write_table


def main(snakemake):
    """Number the lesions, measure and judge them, and gather what is known of the scan."""
    params = snakemake.params
    rules, output = params.postprocess, params.output
    names = dict(enumerate(output["labels"].values(), start=1))
    with logged(snakemake):
        image = load(snakemake.input.labels)
        labels, grid = np.asanyarray(image.dataobj), Grid(image.affine, image.shape)
        first = 1 if output["activation"] == "softmax" else 0  # a background channel goes before
        probability = channels_last(load(snakemake.input.probability))[..., first:]
        brain = np.asanyarray(load(snakemake.input.mask).dataobj) > 0
        folds = [
            label_map(channels_last(load(path)), output["activation"], rules["threshold"])
            for path in (snakemake.input.folds if labels.any() else [])  # else nothing to agree on
        ]
        regions = None
        if given := snakemake.input.get("regions"):
            atlas = read_scan(given, params.affine)
            numbers = np.rint(np.asanyarray(atlas.dataobj)).astype(np.int32)
            regions = resample(numbers, atlas.affine, grid, "nearest")
        lesions = components(labels, rules["connectivity"], image.affine)
        found = measure(lesions, labels, probability, folds, image.affine, brain, names, regions)
        found = judge(found, rules)
        scan = read_scan_grid(snakemake.input.scan, params.affine, params.echo)
        peaks = apply_affine(image.affine, np.array(found.peak.tolist()).reshape(-1, 3))
        voxels = claim_voxels(peaks, found.max_probability.to_numpy(), scan.affine, scan.shape)
        table = lesion_rows(found, voxels, snakemake.wildcards.scan, snakemake.wildcards.model)
        value_of = {name: value for value, name in output["labels"].items()}
        kept = zip(found.label, found.kept, strict=True)
        values = np.array([0, *(value_of[label] if keep else 0 for label, keep in kept)], np.int16)
        save(snakemake.output.lesions, lesions, image.affine)
        save(snakemake.output.labels, with_values(lesions, values), image.affine)
        write_table(snakemake.output.table, table)
        soft = (grid.voxel_mm3, output["total"]) if output["soft_volumes"] else ()
        write_table(
            snakemake.output.volumes, summarize(found, probability, output["labels"], *soft)
        )
        gathered = {}
        # the reference comes first among the channels: it has the last word
        for path in [*snakemake.input.facts, *reversed(snakemake.input.channel_facts)]:
            gathered.update(json_sidecar.read(path))
        of_channels = [json_sidecar.read(path) for path in snakemake.input.channel_facts]
        gathered["nonfinite_voxels"] = sum(f.get("nonfinite_voxels", 0) for f in of_channels)
        gathered["filled"] = any(f.get("filled") for f in of_channels)
        json_sidecar.write(
            snakemake.output.facts,
            scan_facts(
                gathered,
                {
                    "lesions_dropped": int((~found.kept.astype(bool)).sum()),
                    "model": snakemake.wildcards.model,
                    "model_version": params.version,
                    "lesionflow_version": __version__,
                },
            ),
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (put here by Snakemake)
