"""Rule draw: the quality-control picture of a scan."""

import nibabel as nib
import numpy as np
import pandas as pd

from lesionflow import facts
from lesionflow.images import load
from lesionflow.jobs import logged
from lesionflow.pictures import draw_scan, draw_structures
from lesionflow.whole import whole


def main(snakemake):
    """Draw the reference channel with the mask and the lesions, or with the structures, in RAS order."""
    wildcards = snakemake.wildcards
    with logged(snakemake):
        files, output = snakemake.input, snakemake.params.output
        paths = files.image[0], files.mask, files.lesions, files.labels
        image, mask, lesions, labels = (nib.as_closest_canonical(load(path)) for path in paths)
        table = pd.read_csv(snakemake.input.table, sep="\t", keep_default_na=False)
        known = facts.read(snakemake.input.facts)
        head, spacing = np.asanyarray(image.dataobj), image.header.get_zooms()[:3]
        title = f"{wildcards.scan}, {wildcards.model}: "
        flags = f" [{known['flags']}]" if known["flags"] else ""
        if output["activation"] == "softmax" and len(output["labels"]) > 1:
            found = np.asanyarray(labels.dataobj)
            there = np.count_nonzero(np.unique(found))
            title += f"{there} of {len(output['labels'])} structures found{flags}"
            figure = draw_structures(head, found, output["labels"], spacing, title)
        else:
            brain, numbers = np.asanyarray(mask.dataobj) > 0, np.asanyarray(lesions.dataobj)
            kept = int(table.kept.sum()) if len(table) else 0
            title += f"{kept} lesions kept, {len(table) - kept} dropped{flags}"
            figure = draw_scan(head, brain, numbers, table, spacing, title)
        with whole(snakemake.output.picture) as partial:
            figure.savefig(partial, dpi=100)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (put here by Snakemake)
