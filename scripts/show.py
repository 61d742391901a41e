"""Rule show: the page of a scan."""

from pathlib import Path

from lesionflow.base import json_sidecar, layout
from lesionflow.base.job_log import logged
from lesionflow.imaging.nifti import load, read_scan
from lesionflow.results.pages.scan_page import scan_data, scan_images, write_scan_page
from lesionflow.results.pictures.structure_figure import shows_structures
from lesionflow.results.tables_io import read_lesions


def main(snakemake):
    """Write the page and its data: lesions, pictures, and images for the volume viewer."""
    files, output, params = snakemake.input, snakemake.output, snakemake.params
    with logged(snakemake):
        scan = read_scan(files.scan, params.affine, params.echo)
        images = scan_images(
            scan,
            *map(load, (files.lesions, files.probability, files.mask)),
            params.output["activation"],
        )
        sidecar = json_sidecar.read(files.sidecar)
        about = {
            "scan": snakemake.wildcards.scan,
            "model": snakemake.wildcards.model,
            "labels": list(params.output["labels"].values()),
            "flags": sidecar["flags"],
            "scan_sha256": sidecar["input_sha256"],
            "figure": layout.path(layout.QC_FIGURE, **snakemake.wildcards).name,
            "pages": layout.path(layout.QC_PAGES, **snakemake.wildcards).name,
        }
        structures = shows_structures(params.output)
        lesions = read_lesions(files.table)
        lesion_map = json_sidecar.read(files.lesion_sidecar)
        data = scan_data(
            about, images, lesions, lesion_map, params.threshold, structures, params.volumes
        )
        depth = len(Path(snakemake.wildcards.model, snakemake.wildcards.folder).parts)
        write_scan_page(data, Path(output.data), Path(output.page), "/".join([".."] * depth))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (defined by Snakemake)
