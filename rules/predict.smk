"""From published weights to imported folds, and from folds to probabilities."""


rule import_fold:
    """Convert the published weights of one fold."""
    input:
        weights=weight_file,
    output:
        # not removed before the job: another run may have imported the fold meanwhile, and use it
        fold=update(as_given(RUN.imported_fold)),
    log:
        layout.log("import_fold"),
    benchmark:
        layout.benchmark("import_fold")
    conda:
        "../envs/networks.yaml"
    params:
        code=code_digest("import_fold"),
        spec=import_spec,
    script:
        "../scripts/import_fold.py"


rule predict_fold:
    """Run one fold of a network on one scan."""
    input:
        images=collect_for_model(rules.normalize.output.image, suffix=suffixes),
        mask=rules.crop.output.mask,
        fold=imported_fold,
    output:
        probability=layout.FOLD_PROBABILITY,
        sidecar=layout.FOLD_SIDECAR,
    log:
        layout.log("predict_fold"),
    benchmark:
        layout.benchmark("predict_fold")
    conda:
        "../envs/networks.yaml"
    resources:
        gpu=GPUS,
    params:
        code=code_digest("predict_fold"),
        backend=SETTINGS["backend"],
        device=SETTINGS["device"],
        precision=SETTINGS["precision"],
        xla=SETTINGS["xla"],
        card=lambda wildcards: prediction_part(card(wildcards)),
        images=image_metadata(probability=["images", "mask", "fold"]),
    script:
        "../scripts/predict_fold.py"


rule average_folds:
    """Average the folds of an ensemble."""
    input:
        folds=collect_for_model(rules.predict_fold.output.probability, fold=folds),
        sidecars=collect_for_model(rules.predict_fold.output.sidecar, fold=folds),
        mask=rules.crop.output.mask,
        scan=reference_image,
    output:
        probability=layout.MODEL_PROBABILITY,
        spread=layout.FOLD_SPREAD,
        sidecar=layout.MODEL_PROBABILITY_SIDECAR,
    log:
        layout.log("average_folds"),
    benchmark:
        layout.benchmark("average_folds")
    conda:
        "../envs/imaging.yaml"
    params:
        code=code_digest("average_folds"),
        n_folds=lambda wildcards: len(folds(wildcards)),
        cleaned=lambda wildcards: card(wildcards)["postprocess"]["components"]
        is not None,
        affine=SETTINGS["affine"],
        echo=card_entry("input", "echo"),
        space=card_entry("input", only=resampling.KEYS),
        labels=card_entry("output", "labels"),
        activation=card_entry("output", "activation"),
        images=image_metadata(probability=["folds", "scan"]),
    script:
        "../scripts/average_folds.py"


rule clean:
    """Keep the largest connected component of each structure."""
    input:
        probability=rules.average_folds.output.probability,
        scan=reference_image,
    output:
        probability=layout.CLEANED_PROBABILITY,
        sidecar=layout.CLEANED_PROBABILITY_SIDECAR,
    log:
        layout.log("clean"),
    benchmark:
        layout.benchmark("clean")
    conda:
        "../envs/imaging.yaml"
    params:
        code=code_digest("clean"),
        labels=lambda wildcards: list(card(wildcards)["output"]["labels"]),
        components=card_entry("postprocess", "components"),
        affine=SETTINGS["affine"],
        echo=card_entry("input", "echo"),
        space=card_entry("input", only=resampling.KEYS),
        images=image_metadata(probability=["probability", "scan"]),
    script:
        "../scripts/clean.py"
