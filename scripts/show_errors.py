"""Rule show_errors: list a scan's missed and false lesions at the card's operating point, and show each in three planes."""

from pathlib import Path

import numpy as np

from lesionflow.base import json_sidecar
from lesionflow.base.job_log import logged
from lesionflow.evaluation.error_pictures import error_pictures, write_pictures
from lesionflow.evaluation.lesion_errors import NO_ERRORS, error_table
from lesionflow.evaluation.reference_lesions import reference_lesions
from lesionflow.imaging.grids import Grid
from lesionflow.imaging.nifti import load, read_scan, read_scan_grid
from lesionflow.imaging.other_formats import read_image
from lesionflow.imaging.resampling import resample
from lesionflow.results.tables_io import read_lesions, write_table


def main(snakemake):
    """Write the table of errors and their pictures; none for a reference image that cannot be used."""
    files, params, wildcards = snakemake.input, snakemake.params, snakemake.wildcards
    key = f"{wildcards.model}/{wildcards.scan}"
    with logged(snakemake):
        comparison = json_sidecar.read(files.comparison)
        grid = read_scan_grid(files.scan, params.affine, params.echo)
        errors, pictures = NO_ERRORS, []
        if comparison["status"] == "ok":
            image = read_image(Path(files.reference), params.affine, params.matlab)
            connectivity = params.connectivity
            reference = reference_lesions(image, params.labels, connectivity, files.reference)
            lesions = read_lesions(files.table)
            errors = error_table(comparison, reference, lesions, grid)
        if len(errors):
            scan, mask = read_scan(files.scan, params.affine, params.echo), load(files.mask)
            stored_brain = np.asanyarray(mask.dataobj) > 0
            brain = resample(stored_brain, mask.affine, Grid(scan.affine, scan.shape), "nearest")
            lesion_map = np.asanyarray(load(files.lesions).dataobj)
            pictures = error_pictures(errors, scan, brain, lesion_map, lesions, reference)
        columns = {"scan": wildcards.scan, "model": wildcards.model}
        table = errors.drop(columns=["number", "i", "j", "k"]).assign(**columns)
        write_table(snakemake.output.table, table[[*columns, *table.columns[:-2]]])
        write_pictures(snakemake.output.pictures, key, errors, pictures)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (defined by Snakemake)
