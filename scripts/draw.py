"""Rule draw: the quality-control picture of a scan."""

import nibabel as nib
import numpy as np
import pandas as pd

from lesionflow import facts
from lesionflow.images import load
from lesionflow.jobs import logged
from lesionflow.pictures import draw_scan
from lesionflow.whole import whole


def main(snakemake):
    """Draw the first channel with the mask and the lesions, in RAS order."""
    wildcards = snakemake.wildcards
    with logged(snakemake):
        paths = (
            snakemake.input.images[0],
            snakemake.input.mask,
            snakemake.input.lesions,
        )
        image, mask, lesions = (nib.as_closest_canonical(load(path)) for path in paths)
        table = pd.read_csv(snakemake.input.table, sep="\t", keep_default_na=False)
        known = facts.read(snakemake.input.facts)
        kept = int(table.kept.sum()) if len(table) else 0
        title = (
            f"{wildcards.scan}, {wildcards.model}: {kept} lesions kept, {len(table) - kept} dropped"
        )
        if known["flags"]:
            title += f" [{known['flags']}]"
        figure = draw_scan(
            np.asanyarray(image.dataobj),
            np.asanyarray(mask.dataobj) > 0,
            np.asanyarray(lesions.dataobj),
            table,
            image.header.get_zooms()[:3],
            title,
        )
        with whole(snakemake.output.picture) as partial:
            figure.savefig(partial, dpi=100)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (put here by Snakemake)
