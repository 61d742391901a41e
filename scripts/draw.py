"""Rule draw: the quality-control figure of a scan."""

from lesionflow.base import json_sidecar
from lesionflow.base.atomic_write import write_atomically
from lesionflow.base.job_log import logged
from lesionflow.imaging.nifti import load
from lesionflow.results.pictures.qc_figure import lesion_figure, shows_structures, structure_figure
from lesionflow.results.tables_io import read_lesions

# Level of zlib: a third of the time of Pillow's default, 6, for files a twelfth larger.
COMPRESSION = 2


def main(snakemake):
    """Draw the reference channel with the brain mask and the lesions, or with the structures."""
    files, output = snakemake.input, snakemake.params.output
    name = f"{snakemake.wildcards.scan}, {snakemake.wildcards.model}"
    with logged(snakemake):
        image, flags = load(files.image[0]), json_sidecar.read(files.sidecar)["flags"]
        if shows_structures(output):
            figure = structure_figure(name, image, load(files.labels), output["labels"], flags)
        else:
            brain, lesion_map = load(files.mask), load(files.lesions)
            lesions = read_lesions(files.table).to_dict("records")
            figure = lesion_figure(name, image, brain, lesion_map, lesions, flags)
        with write_atomically(snakemake.output.picture) as partial:
            figure.save(partial, format="PNG", compress_level=COMPRESSION)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (defined by Snakemake)
