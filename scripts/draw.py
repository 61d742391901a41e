"""Rule draw: the quality-control figure of a scan, on the scan's own voxels, and a thumbnail."""

from pathlib import Path

import numpy as np

from lesionflow.base import json_sidecar
from lesionflow.base.job_log import logged
from lesionflow.imaging.grids import Grid
from lesionflow.imaging.nifti import load, read_scan
from lesionflow.imaging.resampling import resample
from lesionflow.results.pictures.picture_files import write_pdf, write_png, write_webp
from lesionflow.results.pictures.qc_figure import lesion_pages
from lesionflow.results.pictures.structure_figure import shows_structures, structure_figure
from lesionflow.results.pictures.thumbnail import lesion_thumbnail, structure_thumbnail
from lesionflow.results.pictures.viewed_scan import ViewedScan, grey_window, in_ras
from lesionflow.results.tables_io import read_lesions


def main(snakemake):
    """Draw the reference channel with the brain mask and every lesion, or with the structures."""
    files, output, params = snakemake.input, snakemake.output, snakemake.params
    name = f"{snakemake.wildcards.scan}, {snakemake.wildcards.model}"
    with logged(snakemake):
        scan, flags = (
            read_scan(files.scan, params.affine, params.echo),
            json_sidecar.read(files.sidecar)["flags"],
        )
        image, affine = np.asanyarray(scan.dataobj), scan.affine
        if shows_structures(params.output):
            labels, names = np.asanyarray(load(files.labels).dataobj), params.output["labels"]
            window = grey_window(image, labels > 0)
            viewed = ViewedScan.from_stored(image, labels, affine, window)
            pages = [structure_figure(name, viewed, names, flags)]
            thumbnail = structure_thumbnail(viewed, names)
        else:
            mask, lesions = load(files.mask), read_lesions(files.table).to_dict("records")
            stored_brain = np.asanyarray(mask.dataobj) > 0
            brain = resample(stored_brain, mask.affine, Grid(affine, image.shape), "nearest")
            lesion_map = np.asanyarray(load(files.lesions).dataobj)
            window = grey_window(image, brain)
            viewed = ViewedScan.from_stored(image, lesion_map, affine, window)
            brain, pages_file = in_ras(brain, affine), Path(output.pages).name
            pages = lesion_pages(name, viewed, brain, lesions, flags, pages_file)
            thumbnail = lesion_thumbnail(viewed, brain, lesions)
        write_png(output.picture, pages[0])
        write_pdf(output.pages, pages, name)
        write_webp(output.thumbnail, thumbnail)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (defined by Snakemake)
