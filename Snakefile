"""From a cohort of brain scans to a table of lesions: the table of contents."""

from snakemake.utils import min_version

min_version("9.27")


configfile: workflow.source_path("config/config.yaml")


pathvars:
    scan="{model}/{folder}/{scan}",


include: "rules/common.smk"
include: "rules/prepare.smk"
include: "rules/predict.smk"
include: "rules/lesions.smk"
include: "rules/cohort.smk"


localrules:
    all,


rule all:
    default_target: True
    input:
        "<results>/cohort.csv",
        "<results>/report.html",
        collect("<results>/{model}/dataset_description.json", model=CARDS),


onsuccess:
    forget_partial_table()


onerror:
    write_partial_table()
