"""Rule evaluate: the tables and the page of all scans against their truth."""

from pathlib import Path

from lesionflow import columns, evaluation_columns, facts
from lesionflow.evaluation import gathered
from lesionflow.evaluation_page import evaluation_page
from lesionflow.jobs import logged
from lesionflow.plan import join_truth
from lesionflow.pooling import threshold_table
from lesionflow.tables import write_table
from lesionflow.whole import whole


def main(snakemake):
    """Write a row a scan, model and label, whatever its status, the sums over scans, and the page."""
    params, output = snakemake.params, snakemake.output
    results, logs = Path(output.evaluation).parent, Path(snakemake.log[0]).parent
    with logged(snakemake):
        plan = join_truth(facts.read(snakemake.input.plan), facts.read(snakemake.input.truths))
        evaluation, sweeps, lesions = gathered(plan, params.models, results, logs)
        thresholds = threshold_table(sweeps)
        write_table(output.evaluation, evaluation)
        write_table(output.thresholds, thresholds)
        known = columns.dictionary(evaluation_columns.EVALUATION)
        facts.write(output.evaluation_dictionary, known)
        known = columns.dictionary(evaluation_columns.THRESHOLDS)
        facts.write(output.thresholds_dictionary, known)
        with whole(output.page) as partial:
            page = evaluation_page(evaluation, thresholds, lesions, params.cards)
            partial.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (put here by Snakemake)
