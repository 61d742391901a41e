"""Rule evaluate: tables and HTML page of all scans compared with their reference segmentations."""

from pathlib import Path

from lesionflow.base import json_sidecar
from lesionflow.base.atomic_write import write_atomically
from lesionflow.base.job_log import logged
from lesionflow.cohort.plan import join_references
from lesionflow.evaluation.cohort_metrics import threshold_table
from lesionflow.evaluation.page import evaluation_page
from lesionflow.evaluation.scan_metrics import evaluation_tables
from lesionflow.results.columns import dictionary
from lesionflow.results.evaluation_columns import EVALUATION, THRESHOLDS
from lesionflow.results.tables_io import write_table


def main(snakemake):
    """Write the table of scans (all of them, whatever their status), the table of thresholds, and the page."""
    files, output, params = snakemake.input, snakemake.output, snakemake.params
    results, logs = Path(output.evaluation).parent, Path(snakemake.log[0]).parent
    with logged(snakemake):
        plan = join_references(json_sidecar.read(files.plan), json_sidecar.read(files.references))
        evaluation, sweeps, lesions = evaluation_tables(plan, params.models, results, logs)
        thresholds = threshold_table(sweeps)
        write_table(output.evaluation, evaluation)
        write_table(output.thresholds, thresholds)
        json_sidecar.write(output.evaluation_dictionary, dictionary(EVALUATION))
        json_sidecar.write(output.thresholds_dictionary, dictionary(THRESHOLDS))
        page = evaluation_page(evaluation, thresholds, lesions, params.cards)
        with write_atomically(output.page) as partial:
            partial.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (defined by Snakemake)
