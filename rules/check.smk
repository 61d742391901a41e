"""Check a model without a cohort: print its card, and run its networks on a random volume."""


rule check_model:
    """Target: test a model card without a cohort."""
    input:
        folds=[fold for model in CARDS for fold in imported_folds(model)],
    log:
        layout.log("check_model"),
    localrule: True
    conda:
        "../envs/networks.yaml"
    params:
        code=code_digest("check_model"),
        cards=list(CARDS.values()),
        backend=SETTINGS["backend"],
        device=SETTINGS["device"],
        precision=SETTINGS["precision"],
    script:
        "../scripts/check_model.py"
