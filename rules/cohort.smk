"""From the lesions of each scan to the tables and the page of the cohort."""


rule describe:
    input:
        folds=collected(rules.import_fold.output.facts, fold=folds),
    output:
        description="<results>/{model}/dataset_description.json",
        labels="<results>/{model}/dseg.tsv",
    log:
        "<logs>/describe/{model}.log",
    benchmark:
        "<benchmarks>/describe/{model}.tsv"
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
        cohort="<results>/cohort.csv",
        cohort_dictionary="<results>/cohort.json",
        lesions="<results>/lesions.csv",
        lesions_dictionary="<results>/lesions.json",
    log:
        "<logs>/tabulate.log",
    benchmark:
        "<benchmarks>/tabulate.tsv"
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
        page="<results>/report.html",
    log:
        "<logs>/report.log",
    benchmark:
        "<benchmarks>/report.tsv"
    conda:
        "../envs/imaging.yaml"
    params:
        code=code_digest("report"),
        models=[about(model) for model in CARDS],
    script:
        "../scripts/report.py"
