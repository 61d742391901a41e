"""From probabilities and true lesions to figures; the main road reads none of it."""


rule compare:
    input:
        probability=final_probability,
        mask=rules.crop.output.mask,
        truth=lambda wildcards: SCAN[wildcards.scan]["files"]["truth"],
    output:
        table="<results>/<scan>_desc-truth_comparison.tsv",
        facts="<results>/<scan>_desc-truth_comparison.json",
    log:
        "<logs>/compare/<scan>.log",
    benchmark:
        "<benchmarks>/compare/<scan>.tsv"
    conda:
        "../envs/imaging.yaml"
    params:
        code=code_digest("compare"),
        content=content("truth", of=lambda wildcards: []),
        affine=SETTINGS["affine"],
        matlab=of_card("input", "matlab"),
        output=of_card("output", some=("activation", "labels")),
        postprocess=filters,
    script:
        "../scripts/compare.py"


rule evaluate:
    input:
        plan=planned,
        truths=str(run_setup.TRUTHS),
        tables=every_truth(rules.compare.output.table),
        facts=every_truth(rules.compare.output.facts),
    output:
        evaluation="<results>/evaluation.csv",
        evaluation_dictionary="<results>/evaluation.json",
        thresholds="<results>/evaluation_thresholds.csv",
        thresholds_dictionary="<results>/evaluation_thresholds.json",
        page="<results>/evaluation.html",
    log:
        "<logs>/evaluate.log",
    benchmark:
        "<benchmarks>/evaluate.tsv"
    conda:
        "../envs/evaluation.yaml"
    params:
        code=code_digest("evaluate"),
        models=MODELS,
        cards={
            model: {key: own[key] for key in ("version", "postprocess")}
            for model, own in CARDS.items()
        },
    script:
        "../scripts/evaluate.py"
