"""Rule report: the HTML page of the cohort."""

from pathlib import Path

from lesionflow.base.atomic_write import write_atomically
from lesionflow.base.job_log import logged
from lesionflow.results.cohort_page import cohort_page, figures_by_scan
from lesionflow.results.tables_io import read_as_text


def main(snakemake):
    """Write the page beside the tables, with links to the quality-control figures."""
    files, output = snakemake.input, Path(snakemake.output.page)
    with logged(snakemake):
        figures = figures_by_scan(map(Path, files.get("pictures", [])), output.parent)
        page = cohort_page(read_as_text(files.cohort), figures, snakemake.params.models)
        with write_atomically(output) as partial:
            partial.write_text(page, "utf-8")


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (defined by Snakemake)
