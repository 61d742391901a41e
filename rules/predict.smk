"""From published weights to folds, and from folds to probabilities."""


rule import_fold:
    input:
        weights=own_weights,
        wanted="work/imports/{model}/fold-{fold}.json",
    output:
        facts=f"{SETTINGS['models_dir']}/{{model}}/fold-{{fold}}/fold.json",
    log:
        "<logs>/import_fold/{model}/fold-{fold}.log",
    benchmark:
        "<benchmarks>/import_fold/{model}/fold-{fold}.tsv"
    conda:
        "../envs/networks.yaml"
    params:
        code=code_digest("import_fold"),
        card=lambda wildcards: import_part(card(wildcards), int(wildcards.fold)),
    script:
        "../scripts/import_fold.py"


rule predict_fold:
    input:
        images=collected(rules.normalize.output.image, channel=channels),
        mask=rules.crop.output.mask,
        fold=rules.import_fold.output.facts,
    output:
        probability="<results>/<scan>_space-model_desc-fold{fold}_probseg.nii.gz",
        facts="<results>/<scan>_space-model_desc-fold{fold}_probseg.json",
    log:
        "<logs>/predict_fold/<scan>_fold-{fold}.log",
    benchmark:
        "<benchmarks>/predict_fold/<scan>_fold-{fold}.tsv"
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
    script:
        "../scripts/predict_fold.py"


rule average_folds:
    input:
        folds=collected(rules.predict_fold.output.probability, fold=folds),
        facts=collected(rules.predict_fold.output.facts, fold=folds),
        mask=rules.crop.output.mask,
        scan=reference,
    output:
        probability="<results>/<scan>_space-model_probseg.nii.gz",
        spread="<results>/<scan>_space-model_desc-folds_std.nii.gz",
        facts="<results>/<scan>_space-model_probseg.json",
    log:
        "<logs>/average_folds/<scan>.log",
    benchmark:
        "<benchmarks>/average_folds/<scan>.tsv"
    conda:
        "../envs/imaging.yaml"
    params:
        code=code_digest("average_folds"),
        n_folds=lambda wildcards: len(folds(wildcards)),
        cleaned=lambda wildcards: card(wildcards)["postprocess"]["components"]
        is not None,
        affine=SETTINGS["affine"],
        echo=of_card("input", "echo"),
        space=of_card("input", some=resampling.KEYS),
        labels=of_card("output", "labels"),
        activation=of_card("output", "activation"),
    script:
        "../scripts/average_folds.py"


rule clean:
    input:
        probability=rules.average_folds.output.probability,
        scan=reference,
    output:
        probability="<results>/<scan>_space-model_desc-clean_probseg.nii.gz",
    log:
        "<logs>/clean/<scan>.log",
    benchmark:
        "<benchmarks>/clean/<scan>.tsv"
    conda:
        "../envs/imaging.yaml"
    params:
        code=code_digest("clean"),
        labels=lambda wildcards: list(card(wildcards)["output"]["labels"]),
        components=of_card("postprocess", "components"),
        affine=SETTINGS["affine"],
        echo=of_card("input", "echo"),
        space=of_card("input", some=resampling.KEYS),
    script:
        "../scripts/clean.py"
