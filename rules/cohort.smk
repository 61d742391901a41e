"""From the lesions of each scan to the tables and the page of the cohort."""


rule describe:
    input:
        folds=collected(rules.import_fold.output.facts, fold=folds),
    output:
        description=layout.DATASET_DESCRIPTION,
        labels=layout.LABEL_NAMES,
    log:
        layout.log("describe"),
    benchmark:
        layout.benchmark("describe")
    conda:
        "../envs/imaging.yaml"
    params:
        code=code_digest("describe"),
        card=lambda wildcards: about(wildcards.model),
        labels=of_card("output", "labels"),
    script:
        "../scripts/describe.py"


rule tabulate:
    input:
        plan=planned,
        tables=every_run(rules.count.output.table),
        maps=every_run(rules.restore.output.labels),
        pictures=every_run(rules.draw.output.picture),
    output:
        cohort=layout.COHORT,
        cohort_dictionary=layout.COHORT_COLUMNS,
        lesions=layout.LESIONS,
        lesions_dictionary=layout.LESION_COLUMNS,
    log:
        layout.log("tabulate"),
    benchmark:
        layout.benchmark("tabulate")
    conda:
        "../envs/imaging.yaml"
    params:
        code=code_digest("tabulate"),
        models=MODELS,
    script:
        "../scripts/tabulate.py"


rule report:
    input:
        cohort=rules.tabulate.output.cohort,
        lesions=rules.tabulate.output.lesions,
        pictures=rules.tabulate.input.pictures,
    output:
        page=layout.REPORT,
    log:
        layout.log("report"),
    benchmark:
        layout.benchmark("report")
    conda:
        "../envs/imaging.yaml"
    params:
        code=code_digest("report"),
        models=[about(model) for model in CARDS],
    script:
        "../scripts/report.py"
