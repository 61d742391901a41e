"""From probabilities to lesions, on the model's grid and on the scan's own."""


rule threshold:
    input:
        probability=final_probability,
    output:
        labels=layout.THRESHOLDED_LABELS,
    log:
        layout.log("threshold"),
    benchmark:
        layout.benchmark("threshold")
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
        lesions=layout.MODEL_LESIONS,
        labels=layout.MODEL_LABELS,
        facts=layout.MODEL_LABELS_SIDECAR,
        table=layout.SCAN_LESIONS,
        volumes=layout.SCAN_VOLUMES,
    log:
        layout.log("count"),
    benchmark:
        layout.benchmark("count")
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
        probability=layout.ORIG_PROBABILITY,
        lesions=layout.ORIG_LESIONS,
        labels=layout.ORIG_LABELS,
    log:
        layout.log("restore"),
    benchmark:
        layout.benchmark("restore")
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
        picture=layout.QC_FIGURE,
    log:
        layout.log("draw"),
    benchmark:
        layout.benchmark("draw")
    conda:
        "../envs/pictures.yaml"
    params:
        code=code_digest("draw"),
        output=of_card("output", some=("activation", "labels")),
    script:
        "../scripts/draw.py"
