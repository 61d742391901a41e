"""Rule report: the HTML page of the cohort."""

from pathlib import Path

from lesionflow.base.job_log import logged
from lesionflow.results.pages.cohort_page import write_cohort_page
from lesionflow.results.tables_io import read_as_text


def main(snakemake):
    """Write the page beside the tables, with links to the quality-control figures."""
    files, params = snakemake.input, snakemake.params
    with logged(snakemake):
        figures = map(Path, files.get("pictures", []))
        cohort = read_as_text(files.cohort)
        write_cohort_page(Path(snakemake.output.page), cohort, figures, params.run)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (defined by Snakemake)
