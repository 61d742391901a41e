"""From a scan's files to what a network sees."""


rule convert:
    input:
        image=lambda wildcards: own_file(wildcards, wildcards.kind),
        reference=lambda wildcards: own_file(wildcards, first_channel(wildcards)),
    output:
        image=layout.CONVERTED_IMAGE,
    log:
        layout.log("convert"),
    benchmark:
        layout.benchmark("convert")
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
        image=kept_if("resampled", layout.RESAMPLED_IMAGE),
        facts=layout.SOURCE_SIDECAR,
    log:
        layout.log("resample"),
    benchmark:
        layout.benchmark("resample")
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
        probability=temp(layout.BRAIN_PROBABILITY),
    log:
        layout.log("find_brain"),
    benchmark:
        layout.benchmark("find_brain")
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
        mask=temp(layout.BRAIN_MASK),
        facts=layout.BRAIN_MASK_SIDECAR,
    log:
        layout.log("mask"),
    benchmark:
        layout.benchmark("mask")
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
        image=kept_if("cropped", layout.CROPPED_IMAGE),
        mask=layout.CROPPED_MASK,
        facts=layout.CROPPED_MASK_SIDECAR,
    log:
        layout.log("crop"),
    benchmark:
        layout.benchmark("crop")
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
        image=layout.NORMALIZED_IMAGE,
        facts=layout.NORMALIZED_SIDECAR,
    log:
        layout.log("normalize"),
    benchmark:
        layout.benchmark("normalize")
    conda:
        "../envs/imaging.yaml"
    params:
        code=code_digest("normalize"),
        channels=channels,
        steps=of_card("input", "normalize"),
        mask=of_card("input", "mask"),
    script:
        "../scripts/normalize.py"
