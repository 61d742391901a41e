"""Rule draw: the quality-control picture of a scan."""

import nibabel as nib
import numpy as np

from lesionflow.base import json_sidecar
from lesionflow.base.atomic_write import whole
from lesionflow.base.job_log import logged
from lesionflow.imaging.nifti import load
from lesionflow.results.lesion_rows import read_lesions
from lesionflow.results.qc_figure import draw_scan, draw_structures

LEVEL = 2  # of zlib: a third of the time of Pillow's own level, 6, for files a twelfth larger


def main(snakemake):
    """Draw the reference channel with the mask and the lesions, or with the structures, in RAS order."""
    wildcards = snakemake.wildcards
    with logged(snakemake):
        files, output = snakemake.input, snakemake.params.output
        image = nib.as_closest_canonical(load(files.image[0]))
        known = json_sidecar.read(files.facts)
        head, spacing = np.asanyarray(image.dataobj), image.header.get_zooms()[:3]
        title = f"{wildcards.scan}, {wildcards.model}: "
        flags = f" [{known['flags']}]" if known["flags"] else ""
        if output["activation"] == "softmax" and len(output["labels"]) > 1:
            found = upright(files.labels)
            there = np.count_nonzero(np.bincount(found.ravel("K"))[1:])
            title += f"{there} of {len(output['labels'])} structures found{flags}"
            picture = draw_structures(head, found, output["labels"], spacing, title)
        else:
            brain, numbers, table = (
                upright(files.mask) > 0,
                upright(files.lesions),
                read_lesions(files.table),
            )
            kept = sum(row["kept"] for row in table)
            title += f"{kept} lesions kept, {len(table) - kept} dropped{flags}"
            picture = draw_scan(head, brain, numbers, table, spacing, title)
        with whole(snakemake.output.picture) as partial:
            picture.save(partial, format="PNG", compress_level=LEVEL)


def upright(path):
    """An image's data in RAS order."""
    return np.asanyarray(nib.as_closest_canonical(load(path)).dataobj)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (put here by Snakemake)
