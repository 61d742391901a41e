"""From probabilities to lesions, on the model's grid and on the scan's own."""


rule threshold:
    input:
        probability=final_probability,
    output:
        labels="<results>/<scan>_space-model_desc-threshold_dseg.nii.gz",
    log:
        "<logs>/threshold/<scan>.log",
    benchmark:
        "<benchmarks>/threshold/<scan>.tsv"
    conda:
        "../envs/imaging.yaml"
    params:
        code=code_digest("threshold"),
        activation=of_card("output", "activation"),
        threshold=of_card("postprocess", "threshold"),
    script:
        "../scripts/threshold.py"


rule count:
    input:
        labels=rules.threshold.output.labels,
        probability=final_probability,
        folds=collected(rules.predict_fold.output.probability, fold=folds),
        mask=rules.crop.output.mask,
        scan=reference,
        regions=beside("regions"),
        facts=[
            rules.mask.output.facts,
            rules.crop.output.facts,
            rules.average_folds.output.facts,
        ],
        channel_facts=collected(
            [rules.resample.output.facts, rules.normalize.output.facts],
            channel=reference_first,
        ),
    output:
        lesions="<results>/<scan>_space-model_desc-lesions_dseg.nii.gz",
        labels="<results>/<scan>_space-model_dseg.nii.gz",
        facts="<results>/<scan>_space-model_dseg.json",
        table="<results>/<scan>_lesions.tsv",
        volumes="<results>/<scan>_volumes.tsv",
    log:
        "<logs>/count/<scan>.log",
    benchmark:
        "<benchmarks>/count/<scan>.tsv"
    conda:
        "../envs/imaging.yaml"
    params:
        code=code_digest("count"),
        content=content("regions"),
        affine=SETTINGS["affine"],
        echo=of_card("input", "echo"),
        output=of_card("output"),
        postprocess=filters,
        version=of_card("version"),
    script:
        "../scripts/count.py"


rule restore:
    input:
        scan=reference,
        probability=final_probability,
        lesions=rules.count.output.lesions,
        table=rules.count.output.table,
        labels=rules.count.output.labels,
    output:
        probability="<results>/<scan>_space-orig_probseg.nii.gz",
        lesions="<results>/<scan>_space-orig_desc-lesions_dseg.nii.gz",
        labels="<results>/<scan>_space-orig_dseg.nii.gz",
    log:
        "<logs>/restore/<scan>.log",
    benchmark:
        "<benchmarks>/restore/<scan>.tsv"
    conda:
        "../envs/imaging.yaml"
    params:
        code=code_digest("restore"),
        affine=SETTINGS["affine"],
        echo=of_card("input", "echo"),
        labels=of_card("output", "labels"),
        activation=of_card("output", "activation"),
    script:
        "../scripts/restore.py"


rule draw:
    input:
        image=collected(rules.normalize.output.image, channel=first_channel),
        mask=rules.crop.output.mask,
        lesions=rules.count.output.lesions,
        labels=rules.count.output.labels,
        table=rules.count.output.table,
        facts=rules.count.output.facts,
    output:
        picture="<results>/<scan>_qc.png",
    log:
        "<logs>/draw/<scan>.log",
    benchmark:
        "<benchmarks>/draw/<scan>.tsv"
    conda:
        "../envs/pictures.yaml"
    params:
        code=code_digest("draw"),
        output=of_card("output", some=("activation", "labels")),
    script:
        "../scripts/draw.py"
