"""From the lesions of each scan to the tables and the report of the cohort."""


rule describe:
    """Describe the results of a model as a BIDS derivatives dataset."""
    input:
        folds=model_folds,
    output:
        description=layout.DATASET_DESCRIPTION,
        readme=layout.DATASET_README,
        ignored=layout.DATASET_IGNORED,
        labels=layout.LABEL_NAMES,
        descriptions=layout.DESCRIPTION_LABELS,
    log:
        layout.log("describe"),
    benchmark:
        layout.benchmark("describe")
    conda:
        "../envs/imaging.yaml"
    params:
        code=code_digest("describe"),
        card=lambda wildcards: model_description(wildcards.model),
        channels=channels,
        labels=card_entry("output", "labels"),
        links=dataset_links,
    script:
        "../scripts/describe.py"


rule describe_cohort:
    """Describe the tables of the cohort as a BIDS derivatives dataset."""
    input:
        # not read: the datasets of the models lie beside the tables
        descriptions=ancient(collect(rules.describe.output.description, model=CARDS)),
    output:
        description=layout.COHORT_DESCRIPTION,
        readme=layout.COHORT_README,
        ignored=layout.COHORT_IGNORED,
    log:
        layout.log("describe_cohort"),
    benchmark:
        layout.benchmark("describe_cohort")
    conda:
        "../envs/imaging.yaml"
    params:
        code=code_digest("describe_cohort"),
        models=list(CARDS),
    script:
        "../scripts/describe_cohort.py"


rule aggregate:
    """Write the tables of the cohort."""
    input:
        tables=all_scans(rules.count.output.table),
        lesion_maps=reviewed_maps,
        reviews=review_files,
        maps=all_scans(rules.restore.output.labels),
        pictures=all_scans(rules.draw.output.picture),
        pages=all_scans(rules.show.output.data),
    output:
        **review_tables(),
        cohort=report(
            layout.COHORT,
            caption="../report/cohort.rst",
            category="Cohort",
            labels={"file": "cohort.csv", "content": "scans"},
        ),
        cohort_dictionary=layout.COHORT_COLUMNS,
        lesions=report(
            layout.LESIONS,
            caption="../report/lesions.rst",
            category="Cohort",
            labels={"file": "lesions.csv", "content": "lesions"},
        ),
        lesions_dictionary=layout.LESION_COLUMNS,
    log:
        layout.log("aggregate"),
    benchmark:
        layout.benchmark("aggregate")
    conda:
        "../envs/imaging.yaml"
    params:
        code=code_digest("aggregate"),
        plan=plan_file,
        plan_digest=plan_digest(SCANS),
        models=MODELS,
    script:
        "../scripts/aggregate.py"


rule report:
    """Write the report of the cohort."""
    input:
        cohort=rules.aggregate.output.cohort,
        lesions=rules.aggregate.output.lesions,
        columns=rules.aggregate.output.cohort_dictionary,
        scans=rules.aggregate.input.pages,
        sidecars=all_scans(rules.restore.output.sidecar),
        review=review_tables().get("review", []),
    output:
        page=layout.REPORT,
        files=collect(layout.PAGE_FILES, file=SHARED_FILES),
    log:
        layout.log("report"),
    benchmark:
        layout.benchmark("report")
    conda:
        "../envs/imaging.yaml"
    params:
        code=code_digest("report"),
        models=[model_description(model) for model in CARDS],
        has_references=any("truth" in record["files"] for record in SCANS),
        run=lambda wildcards, input: RUN.description,
    script:
        "../scripts/report.py"
