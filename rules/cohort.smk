"""From the lesions of each scan to the tables and the report of the cohort."""


rule describe:
    input:
        folds=collect_for_model(rules.import_fold.output.fold, fold=folds),
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
        card=lambda wildcards: model_description(wildcards.model),
        labels=card_entry("output", "labels"),
    script:
        "../scripts/describe.py"


rule tabulate:
    input:
        plan=plan_file,
        tables=all_scans(rules.count.output.table),
        maps=all_scans(rules.restore.output.labels),
        pictures=all_scans(rules.draw.output.picture),
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
        models=[model_description(model) for model in CARDS],
    script:
        "../scripts/report.py"
