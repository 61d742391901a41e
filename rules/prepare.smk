"""From the files of a scan to the input of a network."""


rule convert:
    """Convert an image of a scan to NIfTI."""
    input:
        image=lambda wildcards: source_file(wildcards, wildcards.kind),
        reference=matlab_reference,
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
        matlab=card_entry("input", "matlab"),
    script:
        "../scripts/convert.py"


rule convert_dicom:
    """Convert the DICOM series of a scan to NIfTI."""
    input:
        source=lambda wildcards: source_file(wildcards, wildcards.kind),
    output:
        image=layout.DICOM_IMAGE,
        sidecar=layout.DICOM_SIDECAR,
    log:
        layout.log("convert_dicom"),
    benchmark:
        layout.benchmark("convert_dicom")
    conda:
        "../envs/dicom.yaml"
    params:
        code=code_digest("convert_dicom"),
        volume=dicom_volume,
        files=source_parts,
    script:
        "../scripts/convert_dicom.py"


rule resample:
    """Resample one channel of a scan to the model grid."""
    input:
        image=source_image,
        source=source_file,
        reference=reference_image,
    output:
        **kept_sidecar("resampled", layout.RESAMPLED_SIDECAR),
        image=intermediate("resampled", layout.RESAMPLED_IMAGE),
        sidecar=layout.SOURCE_SIDECAR,
    log:
        layout.log("resample"),
    benchmark:
        layout.benchmark("resample")
    priority: -1  # finish a scan before the next one starts: its temporary files are large
    conda:
        "../envs/imaging.yaml"
    params:
        code=code_digest("resample"),
        affine=SETTINGS["affine"],
        echo=card_entry("input", "echo"),
        space=card_entry("input", only=resampling.KEYS),
        filled=is_filled,
        images=image_metadata(image=["image"]),
        source_files=source_parts,
    script:
        "../scripts/resample.py"


rule find_brain:
    """Compute the probability of brain in a scan without a brain mask."""
    input:
        image=brain_source,
        folds=brain_folds,
        # not read: with it, this job belongs to a scan that has started, and runs before new scans start
        resampled=ancient(
            collect_for_model(rules.resample.output.image, suffix=reference_suffix)
        ),
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
        affine=SETTINGS["affine"],
        echo=card_entry("input", "echo"),
        card=MASK_CARD and {key: MASK_CARD[key] for key in ("name", "input", "output")},
    script:
        "../scripts/find_brain.py"


rule mask:
    """Resample the brain mask of a scan to the model grid."""
    input:
        image=collect_for_model(rules.resample.output.image, suffix=reference_suffix),
        scans=source_images,
        mask=optional_file("mask"),
        probability=brain_probability,
    output:
        mask=temp(layout.BRAIN_MASK),
        sidecar=layout.BRAIN_MEASURES,
    log:
        layout.log("mask"),
    benchmark:
        layout.benchmark("mask")
    conda:
        "../envs/imaging.yaml"
    params:
        code=code_digest("mask"),
        affine=SETTINGS["affine"],
        echo=card_entry("input", "echo"),
        finder=brain_finder,
    script:
        "../scripts/mask.py"


rule crop:
    """Crop and pad the channels and the mask of a scan to the input box of the model."""
    input:
        images=collect_for_model(rules.resample.output.image, suffix=suffixes),
        mask=rules.mask.output.mask,
    output:
        image=intermediate("cropped", layout.CROPPED_IMAGE),
        mask=layout.CROPPED_MASK,
        sidecar=layout.CROPPED_MASK_SIDECAR,
    log:
        layout.log("crop"),
    benchmark:
        layout.benchmark("crop")
    conda:
        "../envs/imaging.yaml"
    params:
        code=code_digest("crop"),
        space=card_entry("input", only=cropping.KEYS),
        images=image_metadata(mask=[mask_sources]),
    script:
        "../scripts/crop.py"


rule normalize:
    """Normalize the intensities of one channel of a scan."""
    input:
        image=rules.crop.output.image,
        mask=rules.crop.output.mask,
    output:
        image=layout.NORMALIZED_IMAGE,
        sidecar=layout.NORMALIZED_SIDECAR,
    log:
        layout.log("normalize"),
    benchmark:
        layout.benchmark("normalize")
    conda:
        "../envs/imaging.yaml"
    params:
        code=code_digest("normalize"),
        channel=channel_of,
        channels=channels,
        steps=card_entry("input", "normalize"),
        mask=card_entry("input", "mask"),
        images=image_metadata(image=[source_image, "mask"]),
    script:
        "../scripts/normalize.py"
