"""Columns of the cohort's tables: their order, names and descriptions."""

from collections.abc import Mapping, Sequence
from typing import Any

Column = dict[str, Any]

STATUS = {
    "ok": "the scan has all its results",
    "excluded": "left out by the config keys include and exclude",
    "missing-input": "a file that the model needs is missing, or there is more than one candidate",
    "header-conflict": "the header does not give the position of the voxels, or gives two that differ",
    "unreadable": "the file is not a complete 3-D image of real numbers",
    "changed": "a file of the scan changed while the run was on: the next run computes the scan again",
    "failed:STEP": "this step failed; see reason and logs/STEP/",
}

FLAGS = {
    "no-brain-mask": "without a brain mask, the whole field of view counts as brain",
    "brain-cut-by-box": "part of the brain lies outside the model's box and was not searched",
    "brain-at-edge": "more than 2 % of the brain's surface lies on the edge of the field of view",
    "brain-volume": "the brain mask is smaller than 600 ml or larger than 2200 ml",
    "channel-filled": "another channel was used in place of one that the scan lacks",
    "nonfinite-voxels": "the scan has NaN or infinite values outside the brain, which were taken as 0",
}


def column(name: str, long_name: str, text: str, units: str = "", levels: Any = None) -> Column:
    """A column: its name and its entry in the data dictionary."""
    return {
        "name": name,
        "LongName": long_name,
        "Description": text,
        **({"Units": units} if units else {}),
        **({"Levels": levels} if levels else {}),
    }


SCAN = [
    column("scan", "Scan", "One acquisition of one subject in one session"),
    column("subject", "Subject", "Name of the subject in the cohort, without sub-"),
    column("session", "Session", "Name of the session, without ses-; empty if there is none"),
    column("run", "Run", "Name of the run, without run-; empty if there is none"),
    column("status", "Status", "Whether the scan was processed, and if not why", levels=STATUS),
    column("reason", "Reason", "Details of a status other than ok; empty if it is ok"),
]

LABEL = [
    column(
        "{label}_count",
        "Number of {label}",
        "Lesions kept by the filters; 0 if there are none, empty if the scan was not measured",
    ),
    column(
        "{label}_volume_mm3",
        "Total volume of {label}",
        "Sum over the kept lesions, with the voxel volume of the affine",
        "mm3",
    ),
    column(
        "{label}_mean_volume_mm3",
        "Mean volume of {label}",
        "Over the kept lesions; empty if there are none",
        "mm3",
    ),
    column(
        "{label}_median_volume_mm3",
        "Median volume of {label}",
        "Over the kept lesions; empty if there are none",
        "mm3",
    ),
    column(
        "{label}_max_volume_mm3",
        "Largest volume of {label}",
        "Over the kept lesions; empty if there are none",
        "mm3",
    ),
    column(
        "{label}_max_probability",
        "Highest probability of {label}",
        "Over the whole map, whether there is a lesion or not",
    ),
]

SOFT = column(
    "{label}_soft_volume_mm3",
    "Soft volume of {label}",
    "Sum of the probabilities times the voxel volume of the affine",
    "mm3",
)

QUALITY = [
    column(
        "brain_volume_ml",
        "Brain volume",
        "Volume of the brain mask on the model's grid before cropping; empty without a mask",
        "ml",
    ),
    column(
        "brain_outside_box",
        "Brain outside the box",
        "Fraction of the brain mask outside the model's box; empty without a mask",
    ),
    column(
        "brain_at_edge",
        "Brain at the edge",
        "Fraction of the brain's surface on the edge of the field of view; empty without a mask",
    ),
    column(
        "intensity_p99",
        "99th percentile",
        "Of the resampled intensities inside the brain mask, in the units of the scan",
    ),
    column(
        "nonfinite_voxels",
        "Non-finite voxels",
        "NaN and infinite values in the channels of the scan, taken as 0; with any inside the brain the scan fails",
    ),
    column(
        "fold_disagreement",
        "Disagreement of the folds",
        "Mean standard deviation over the folds, of the voxels inside the brain with a mean probability above 0.1; 0 if there are none",
    ),
    column(
        "lesions_dropped",
        "Lesions dropped",
        "Number of lesions dropped by a filter; lesions.csv lists them with the reason",
    ),
    column(
        "flags",
        "Flags",
        "Warnings about the row, joined by ;",
        levels=FLAGS,
    ),
]

PROVENANCE = [
    column(
        "mask_source",
        "Source of the brain mask",
        "provided: a mask beside the scan; none: the whole field of view; otherwise the name and version of the card that computed it",
    ),
    column("model", "Model", "Name of the card"),
    column("model_version", "Version of the model", "From the card"),
    column(
        "weights_sha256",
        "SHA-256 of the weights",
        "Of the weights of a single fold; for several folds, of their digests joined in order",
    ),
    column(
        "input_sha256",
        "SHA-256 of the scan",
        "Of the file of the reference channel, which is the first",
    ),
    column("lesionflow_version", "Version of lesionflow", "Of the step that counted the lesions"),
    column("backend", "Backend", "Library that ran the networks: tensorflow or openvino"),
    column("device", "Device", "Device that ran the networks: cpu or gpu"),
    column("precision", "Precision", "Arithmetic of the networks: float32, bfloat16 or float16"),
]

LESION = [
    column("scan", "Scan", "As in cohort.csv"),
    column("model", "Model", "Name of the card"),
    column("label", "Label", "Name of the label"),
    column(
        "lesion",
        "Lesion",
        "Number of the lesion in the desc-lesions_dseg maps of the scan",
    ),
    column(
        "x_mm",
        "x",
        "Centroid of the lesion's voxels, world coordinate from left to right (RAS+)",
        "mm",
    ),
    column("y_mm", "y", "Centroid, from posterior to anterior", "mm"),
    column("z_mm", "z", "Centroid, from inferior to superior", "mm"),
    column(
        "i",
        "i",
        "Voxel of the scan at the lesion's peak, first index, counted from 0; different for each lesion",
    ),
    column("j", "j", "Second index"),
    column("k", "k", "Third index"),
    column(
        "volume_mm3",
        "Volume",
        "Number of voxels on the model's grid times their volume by the affine",
        "mm3",
    ),
    column(
        "equivalent_diameter_mm",
        "Equivalent diameter",
        "Of a sphere of the same volume",
        "mm",
    ),
    column(
        "elongation",
        "Elongation",
        "Ratio of the longest to the shortest principal axis: 1 for a ball, more for a vessel",
    ),
    column(
        "max_probability",
        "Highest probability",
        "Of the mean over folds, at the lesion's peak",
    ),
    column("mean_probability", "Mean probability", "Over the lesion's voxels"),
    column(
        "fold_agreement",
        "Fold agreement",
        "Fraction of the folds whose thresholded map overlaps the lesion",
    ),
    column(
        "edge_distance_mm",
        "Distance from the edge of the brain",
        "From the lesion's voxel nearest to the edge to the nearest voxel outside the brain mask, between centres; 0 if part of the lesion lies outside; empty without a mask. What lies beyond the model's box counts as outside",
        "mm",
    ),
    column(
        "region",
        "Region",
        "Most frequent number of the scan's regions image in the lesion; empty without such an image",
    ),
    column(
        "kept",
        "Kept",
        "Whether the lesion is counted",
        levels={"true": "counted", "false": "dropped by a filter"},
    ),
    column(
        "dropped_because",
        "Dropped because",
        "Reasons of the filters; empty for a kept lesion",
    ),
]


def cohort_columns(
    models: Mapping[str, Mapping[str, Any]],
    more_of_label: Sequence[Column] = (),
    more_of_model: Sequence[Column] = (),
) -> list[Column]:
    """Columns of cohort.csv.

    Parameters
    ----------
    models
        ``labels`` and ``soft`` of each model by name (``model_summary``). With several models, columns that belong to
        one have its name as a prefix: ``MODEL_LABEL_count``.
    more_of_label, more_of_model
        Further columns, after those of each label and before those of the quality of a model.
    """
    columns = list(SCAN)
    for model, summary in models.items():
        prefix = f"{model}_" if len(models) > 1 else ""
        of_label = [*LABEL, *more_of_label]
        of_model = [_for_label(c, label) for label in summary["labels"] for c in of_label]
        of_model += [_for_label(SOFT, name) for name in summary["soft"]]
        of_model += [*more_of_model, *QUALITY, *PROVENANCE]
        columns += [{**c, "name": prefix + c["name"]} for c in of_model]
    return columns


def model_summary(card: Mapping[str, Any]) -> dict[str, Any]:
    """What the tables need of a model card.

    Returns
    -------
    dict
        ``labels`` (names) and ``channels``, number of ``folds``, whether probabilities are ``cleaned``, and ``soft``: the
        names of the labels with a soft volume, and of the total.
    """
    output, labels = card["output"], list(card["output"]["labels"].values())
    total = [output["total"]] if output["total"] else []
    return {
        "labels": labels,
        "channels": card["input"]["channels"],
        "folds": len(card["folds"]),
        "cleaned": card["postprocess"]["components"] is not None,
        "soft": [*labels, *total] if output["soft_volumes"] else [],
    }


def _for_label(template: Column, label: str) -> Column:
    return {
        key: v.replace("{label}", label) if isinstance(v, str) else v for key, v in template.items()
    }


def names(columns: list[Column]) -> list[str]:
    """The names of columns, in order."""
    return [c["name"] for c in columns]


def dictionary(columns: list[Column]) -> dict[str, Column]:
    """Data dictionary in BIDS style: LongName, Description, Units and Levels by column name."""
    return {c["name"]: {k: v for k, v in c.items() if k != "name"} for c in columns}
