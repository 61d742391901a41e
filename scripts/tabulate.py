"""Rule tabulate: the tables of the whole cohort, with their data dictionaries."""

from pathlib import Path

from lesionflow import columns, facts
from lesionflow.jobs import logged
from lesionflow.tables import cohort_table, lesions_table, write_table


def main(snakemake):
    """Write a row a scan, whatever its status, and a row a lesion."""
    models, output = snakemake.params.models, snakemake.output
    results, logs = Path(output.cohort).parent, Path(snakemake.log[0]).parent
    with logged(snakemake):
        plan = facts.read(snakemake.input.plan)
        write_table(output.cohort, cohort_table(plan, models, results, logs))
        write_table(output.lesions, lesions_table(plan, models, results))
        facts.write(output.cohort_dictionary, columns.dictionary(columns.cohort_columns(models)))
        facts.write(output.lesions_dictionary, columns.dictionary(columns.LESION))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (put here by Snakemake)
