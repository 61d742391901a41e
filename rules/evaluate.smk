"""Compare predictions with reference segmentations. No rule of the pipeline reads these results."""


rule compare:
    """Compare the probabilities of a scan with its reference segmentation."""
    input:
        probability=final_probability,
        mask=rules.crop.output.mask,
        reference=reference_segmentation,
    output:
        table=layout.COMPARISON,
        sidecar=layout.COMPARISON_SIDECAR,
    log:
        layout.log("compare"),
    benchmark:
        layout.benchmark("compare")
    conda:
        "../envs/imaging.yaml"
    params:
        code=code_digest("compare"),
        affine=SETTINGS["affine"],
        matlab=card_entry("input", "matlab"),
        output=card_entry("output", only=("activation", "labels")),
        postprocess=filter_params,
    script:
        "../scripts/compare.py"


rule show_errors:
    """List and draw the missed and the false lesions of a scan."""
    input:
        scan=reference_image,
        mask=rules.crop.output.mask,
        lesions=rules.restore.output.lesions,
        table=rules.count.output.table,
        reference=reference_segmentation,
        comparison=rules.compare.output.sidecar,
    output:
        table=layout.SCAN_ERRORS,
        pictures=layout.ERROR_PICTURES,
    log:
        layout.log("show_errors"),
    benchmark:
        layout.benchmark("show_errors")
    conda:
        "../envs/pictures.yaml"
    params:
        code=code_digest("show_errors"),
        affine=SETTINGS["affine"],
        echo=card_entry("input", "echo"),
        matlab=card_entry("input", "matlab"),
        labels=card_entry("output", "labels"),
        connectivity=card_entry("postprocess", "connectivity"),
    script:
        "../scripts/show_errors.py"


rule evaluate:
    """Target: predictions compared with reference segmentations."""
    input:
        tables=all_references(rules.compare.output.table),
        sidecars=all_references(rules.compare.output.sidecar),
        errors=all_references(rules.show_errors.output.table),
        pictures=all_references(rules.show_errors.output.pictures),
    output:
        evaluation=report(
            layout.EVALUATION,
            caption="../report/evaluation.rst",
            category="Evaluation",
            labels={"file": "evaluation.csv", "content": "scans"},
        ),
        evaluation_dictionary=layout.EVALUATION_COLUMNS,
        thresholds=report(
            layout.THRESHOLDS,
            caption="../report/thresholds.rst",
            category="Evaluation",
            labels={"file": "evaluation_thresholds.csv", "content": "thresholds"},
        ),
        thresholds_dictionary=layout.THRESHOLD_COLUMNS,
        errors=layout.ERRORS,
        errors_dictionary=layout.ERROR_COLUMNS,
        page=report(
            layout.EVALUATION_PAGE,
            caption="../report/evaluation_page.rst",
            category="Evaluation",
            labels={"file": "evaluation.html", "content": "page of the evaluation"},
        ),
    log:
        layout.log("evaluate"),
    benchmark:
        layout.benchmark("evaluate")
    conda:
        "../envs/evaluation.yaml"
    params:
        code=code_digest("evaluate"),
        models=MODELS,
        plan=plan_file,
        plan_digest=plan_digest(SCANS),
        references={record["scan"]: record["truth"] for record in SCANS},
        cards={
            model: {key: CARDS[model][key] for key in ("version", "postprocess")}
            for model in CARDS
        },
    script:
        "../scripts/evaluate.py"
