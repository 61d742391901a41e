"""Rule evaluate: the tables and the page of all scans against their truth."""

from pathlib import Path

from lesionflow.base import json_sidecar
from lesionflow.base.atomic_write import whole
from lesionflow.base.job_log import logged
from lesionflow.cohort.plan import join_references
from lesionflow.evaluation.cohort_metrics import threshold_table
from lesionflow.evaluation.page import evaluation_page
from lesionflow.evaluation.scan_metrics import gathered
from lesionflow.results import columns, evaluation_columns
from lesionflow.results.tables_io import write_table


def main(snakemake):
    """Write a row a scan, model and label, whatever its status, the sums over scans, and the page."""
    params, output = snakemake.params, snakemake.output
    results, logs = Path(output.evaluation).parent, Path(snakemake.log[0]).parent
    with logged(snakemake):
        plan = join_references(
            json_sidecar.read(snakemake.input.plan), json_sidecar.read(snakemake.input.truths)
        )
        evaluation, sweeps, lesions = gathered(plan, params.models, results, logs)
        thresholds = threshold_table(sweeps)
        write_table(output.evaluation, evaluation)
        write_table(output.thresholds, thresholds)
        known = columns.dictionary(evaluation_columns.EVALUATION)
        json_sidecar.write(output.evaluation_dictionary, known)
        known = columns.dictionary(evaluation_columns.THRESHOLDS)
        json_sidecar.write(output.thresholds_dictionary, known)
        with whole(output.page) as partial:
            page = evaluation_page(evaluation, thresholds, lesions, params.cards)
            partial.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (put here by Snakemake)
