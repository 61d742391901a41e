"""Rule aggregate: the tables of the cohort, with their data dictionaries."""

from pathlib import Path

from lesionflow.base import json_sidecar
from lesionflow.base.job_log import logged
from lesionflow.results import columns
from lesionflow.results.cohort_tables import cohort_table, lesions_table
from lesionflow.results.tables_io import write_table


def main(snakemake):
    """Write one row per scan, whatever its status, and one row per lesion."""
    models, output = snakemake.params.models, snakemake.output
    results, logs = Path(output.cohort).parent, Path(snakemake.log[0]).parent
    with logged(snakemake):
        plan = json_sidecar.read(snakemake.input.plan)
        write_table(output.cohort, cohort_table(plan, models, results, logs))
        write_table(output.lesions, lesions_table(plan, models, results))
        cohort_columns = columns.cohort_columns(models)
        json_sidecar.write(output.cohort_dictionary, columns.dictionary(cohort_columns))
        json_sidecar.write(output.lesions_dictionary, columns.dictionary(columns.LESION))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821  (defined by Snakemake)
