"""Rule report: one page for the cohort."""

import os
from pathlib import Path

import pandas as pd

from lesionflow.base.atomic_write import whole
from lesionflow.base.job_log import logged
from lesionflow.results.cohort_page import cohort_page


def main(snakemake):
    """Write the page beside the tables, with links to the pictures."""
    page = Path(snakemake.output.page)
    with logged(snakemake):
        cohort = pd.read_csv(snakemake.input.cohort, dtype=str, keep_default_na=False)
        pictures: dict[str, list[str]] = {}
        for path in map(Path, snakemake.input.get("pictures", [])):
            scan = path.name.removesuffix("_qc.png")
            pictures.setdefault(scan, []).append(os.path.relpath(path, page.parent))
        with whole(page) as partial:
            partial.write_text(cohort_page(cohort, pictures, snakemake.params.models), "utf-8")


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (put here by Snakemake)
