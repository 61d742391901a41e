"""From probabilities to lesions, on the model grid and on the grid of the scan."""


rule threshold:
    """Threshold the probabilities of a scan."""
    input:
        probability=final_probability,
    output:
        labels=layout.THRESHOLDED_LABELS,
        sidecar=layout.THRESHOLDED_LABELS_SIDECAR,
    log:
        layout.log("threshold"),
    benchmark:
        layout.benchmark("threshold")
    conda:
        "../envs/imaging.yaml"
    params:
        code=code_digest("threshold"),
        activation=card_entry("output", "activation"),
        threshold=card_entry("postprocess", "threshold"),
        images=image_metadata(labels=["probability"]),
    script:
        "../scripts/threshold.py"


rule count:
    """Count and measure the lesions of a scan."""
    input:
        labels=rules.threshold.output.labels,
        probability=final_probability,
        folds=collect_for_model(rules.predict_fold.output.probability, fold=folds),
        mask=rules.crop.output.mask,
        scan=reference_image,
        regions=optional_file("regions"),
        sidecars=[
            rules.mask.output.sidecar,
            rules.crop.output.sidecar,
            rules.average_folds.output.sidecar,
        ],
        channel_sidecars=collect_for_model(
            [rules.resample.output.sidecar, rules.normalize.output.sidecar],
            suffix=suffixes_reference_first,
        ),
    output:
        lesions=layout.MODEL_LESIONS,
        lesions_sidecar=layout.MODEL_LESIONS_SIDECAR,
        names=layout.LESION_NAMES,
        labels=layout.MODEL_LABELS,
        sidecar=layout.MODEL_LABELS_SIDECAR,
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
        affine=SETTINGS["affine"],
        echo=card_entry("input", "echo"),
        output=card_entry("output"),
        postprocess=filter_params,
        version=card_entry("version"),
        images=image_metadata(
            lesions=["labels", "probability", "mask"],
            labels=["labels", "probability", "mask"],
        ),
    script:
        "../scripts/count.py"


rule restore:
    """Bring the maps of a scan back to its original grid."""
    input:
        scan=reference_image,
        probability=final_probability,
        lesions=rules.count.output.lesions,
        table=rules.count.output.table,
        labels=rules.count.output.labels,
    output:
        probability=layout.ORIG_PROBABILITY,
        probability_sidecar=layout.ORIG_PROBABILITY_SIDECAR,
        lesions=layout.ORIG_LESIONS,
        sidecar=layout.ORIG_LESIONS_SIDECAR,
        labels=layout.ORIG_LABELS,
        labels_sidecar=layout.ORIG_LABELS_SIDECAR,
    log:
        layout.log("restore"),
    benchmark:
        layout.benchmark("restore")
    conda:
        "../envs/imaging.yaml"
    params:
        code=code_digest("restore"),
        affine=SETTINGS["affine"],
        echo=card_entry("input", "echo"),
        labels=card_entry("output", "labels"),
        activation=card_entry("output", "activation"),
        images=image_metadata(
            probability=["probability", "scan"],
            lesions=["lesions", "scan"],
            labels=["lesions", "scan"],
        ),
    script:
        "../scripts/restore.py"


rule draw:
    """Draw the quality-control figure of a scan."""
    input:
        scan=reference_image,
        mask=rules.crop.output.mask,
        lesions=rules.restore.output.lesions,
        labels=rules.restore.output.labels,
        table=rules.count.output.table,
        sidecar=rules.count.output.sidecar,
    output:
        picture=picture_in_report(layout.QC_FIGURE, "first page"),
        pages=picture_in_report(layout.QC_PAGES, "pages (PDF)"),
        thumbnail=layout.THUMBNAIL,
    log:
        layout.log("draw"),
    benchmark:
        layout.benchmark("draw")
    conda:
        "../envs/pictures.yaml"
    params:
        code=code_digest("draw"),
        affine=SETTINGS["affine"],
        echo=card_entry("input", "echo"),
        output=card_entry("output", only=("activation", "labels")),
    script:
        "../scripts/draw.py"


rule show:
    """Write the page of a scan, with a volume viewer."""
    input:
        scan=reference_image,
        mask=rules.crop.output.mask,
        probability=rules.restore.output.probability,
        lesions=rules.restore.output.lesions,
        table=rules.count.output.table,
        sidecar=rules.count.output.sidecar,
        lesion_sidecar=rules.restore.output.sidecar,
    output:
        page=layout.SCAN_PAGE,
        data=layout.SCAN_PAGE_DATA,
    log:
        layout.log("show"),
    benchmark:
        layout.benchmark("show")
    conda:
        "../envs/pictures.yaml"
    params:
        code=code_digest("show"),
        affine=SETTINGS["affine"],
        echo=card_entry("input", "echo"),
        output=card_entry("output", only=("activation", "labels")),
        threshold=card_entry("postprocess", "threshold"),
        volumes=SETTINGS["report"] == "volumes",
    script:
        "../scripts/show.py"


rule export_dicom:
    """Write the lesions of a scan that came from DICOM as a DICOM segmentation."""
    input:
        source=lambda wildcards: source_file(wildcards, reference_channel(wildcards)),
        labels=rules.restore.output.labels,
        sidecar=rules.count.output.sidecar,
    output:
        sidecar=layout.DICOM_SEG_SIDECAR,
    log:
        layout.log("export_dicom"),
    benchmark:
        layout.benchmark("export_dicom")
    conda:
        "../envs/dicom.yaml"
    params:
        code=code_digest("export_dicom"),
        volume=lambda wildcards: dicom_volume(wildcards, reference_channel(wildcards)),
        files=source_parts,
        labels=card_entry("output", "labels"),
    script:
        "../scripts/export_dicom.py"
