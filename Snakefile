"""From a directory of brain scans to a table of lesions: the table of contents."""

import re

from snakemake.utils import min_version

min_version("9.27")


configfile: workflow.source_path("config/config.yaml")


report: "report/workflow.rst"


include: "rules/common.smk"


pathvars:
    scan=layout.SCAN,


include: "rules/prepare.smk"
include: "rules/predict.smk"
include: "rules/lesions.smk"
include: "rules/cohort.smk"
include: "rules/evaluate.smk"
include: "rules/check.smk"


# After the rules: Snakemake 9.27 does not apply constraints set before a path with a pathvar.
wildcard_constraints:
    model="|".join(
        re.escape(name)
        for name in [*CARDS, *([MASK_CARD["name"]] if MASK_CARD else [])]
    ),
    folder=r"sub-[A-Za-z0-9]+(/ses-[A-Za-z0-9]+)?/anat",
    scan=r"sub-[A-Za-z0-9]+(_ses-[A-Za-z0-9]+)?(_(acq|ce|rec|dir|run|flip|inv|chunk)-[A-Za-z0-9]+)*",
    suffix=r"[A-Za-z][A-Za-z0-9]*",
    fold=r"[0-9]+",
    digest=r"[0-9a-f]+",
    kind=r"[a-z][a-z0-9]*",


rule all:
    """Target: the tables, the report and the results of all scans."""
    default_target: True
    input:
        rules.aggregate.output,
        rules.report.output,
        collect(rules.describe.output.description, model=CARDS),
        rules.describe_cohort.output,
        # the last results of each scan, so that a deleted file is computed again
        rules.aggregate.input.tables,
        rules.aggregate.input.maps,
        rules.aggregate.input.pictures,
        rules.aggregate.input.pages,
        evaluation_in_report,
        dicom_segmentations,
    localrule: True


rule tables:
    """Target: the tables and the report from results that exist; computes no scan."""
    input:
        rules.aggregate.output,
        rules.report.output,
        collect(rules.describe.output.description, model=CARDS),
        rules.describe_cohort.output,
    localrule: True


onstart:
    RUN.begin()


onsuccess:
    RUN.end(succeeded=True)


onerror:
    RUN.end(succeeded=False)
