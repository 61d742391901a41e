"""From a scan's files to what a network sees."""


rule convert:
    input:
        image=lambda wildcards: own_file(wildcards, wildcards.kind),
        reference=lambda wildcards: own_file(wildcards, first_channel(wildcards)),
    output:
        image="<results>/<scan>_space-orig_desc-source_{kind}.nii.gz",
    log:
        "<logs>/convert/<scan>_{kind}.log",
    benchmark:
        "<benchmarks>/convert/<scan>_{kind}.tsv"
    conda:
        "../envs/imaging.yaml"
    params:
        code=code_digest("convert"),
        matlab=of_card("input", "matlab"),
    script:
        "../scripts/convert.py"


rule resample:
    input:
        image=source,
        own=own_file,
        reference=reference,
    output:
        image=kept_if("resampled", "<scan>_space-model_desc-resampled_{channel}"),
        facts="<results>/<scan>_desc-source_{channel}.json",
    log:
        "<logs>/resample/<scan>_channel-{channel}.log",
    benchmark:
        "<benchmarks>/resample/<scan>_channel-{channel}.tsv"
    priority: -1  # a scan that was begun is finished before another one is: its temporaries are large
    conda:
        "../envs/imaging.yaml"
    params:
        code=code_digest("resample"),
        content=content(of=channel_and_reference),
        affine=SETTINGS["affine"],
        echo=of_card("input", "echo"),
        space=of_card("input", some=resampling.KEYS),
        filled=filled,
    script:
        "../scripts/resample.py"


rule find_brain:
    input:
        image=brain_source,
        folds=brain_folds,
        # not read: it begins the scan, whose other jobs go before those that begin another one
        begun=ancient(collected(rules.resample.output.image, channel=first_channel)),
    output:
        probability=temp("work/<scan>_brain.nii"),
    log:
        "<logs>/find_brain/<scan>.log",
    benchmark:
        "<benchmarks>/find_brain/<scan>.tsv"
    conda:
        "../envs/networks.yaml"
    params:
        code=code_digest("find_brain"),
        content=content(of=brain_channel),
        affine=SETTINGS["affine"],
        echo=of_card("input", "echo"),
        card=MASK_CARD and {key: MASK_CARD[key] for key in ("name", "input", "output")},
    script:
        "../scripts/find_brain.py"


rule mask:
    input:
        image=collected(rules.resample.output.image, channel=first_channel),
        scans=all_sources,
        mask=beside("mask"),
        found=found_brain,
    output:
        mask=temp("work/<scan>_mask.nii"),
        facts="<results>/<scan>_desc-brain_mask.json",
    log:
        "<logs>/mask/<scan>.log",
    benchmark:
        "<benchmarks>/mask/<scan>.tsv"
    conda:
        "../envs/imaging.yaml"
    params:
        code=code_digest("mask"),
        content=content("mask"),
        affine=SETTINGS["affine"],
        echo=of_card("input", "echo"),
        finder=finder,
    script:
        "../scripts/mask.py"


rule crop:
    input:
        images=collected(rules.resample.output.image, channel=channels),
        mask=rules.mask.output.mask,
    output:
        image=kept_if("cropped", "<scan>_space-model_desc-cropped"),
        mask="<results>/<scan>_space-model_desc-brain_mask.nii.gz",
        facts="<results>/<scan>_space-model_desc-brain_mask.json",
    log:
        "<logs>/crop/<scan>.log",
    benchmark:
        "<benchmarks>/crop/<scan>.tsv"
    conda:
        "../envs/imaging.yaml"
    params:
        code=code_digest("crop"),
        space=of_card("input", some=cropping.KEYS),
    script:
        "../scripts/crop.py"


rule normalize:
    input:
        image=rules.crop.output.image,
        mask=rules.crop.output.mask,
    output:
        image="<results>/<scan>_space-model_desc-preproc_{channel}.nii.gz",
        facts="<results>/<scan>_space-model_desc-preproc_{channel}.json",
    log:
        "<logs>/normalize/<scan>_channel-{channel}.log",
    benchmark:
        "<benchmarks>/normalize/<scan>_channel-{channel}.tsv"
    conda:
        "../envs/imaging.yaml"
    params:
        code=code_digest("normalize"),
        channels=channels,
        steps=of_card("input", "normalize"),
        mask=of_card("input", "mask"),
    script:
        "../scripts/normalize.py"
