"""Rule report: the HTML page of the cohort."""

from pathlib import Path

from lesionflow.base.job_log import logged
from lesionflow.results.pages.cohort_page import write_report


def main(snakemake):
    """Write the page beside the tables, with the scripts and styles of all pages."""
    with logged(snakemake):
        scripts = map(Path, snakemake.input.get("scans", []))
        results, params = Path(snakemake.output.page).parent, snakemake.params
        write_report(results, scripts, params.run, params.has_references)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (defined by Snakemake)
