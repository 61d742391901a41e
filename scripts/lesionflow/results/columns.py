"""The columns of the tables: the one place that names, explains and orders them."""

from collections.abc import Mapping
from typing import Any

Column = dict[str, Any]

STATUS = {
    "ok": "every result of the scan is there",
    "excluded": "left out by include and exclude",
    "missing-input": "a file that the model needs is not there, or is not the only one",
    "header-conflict": "the header does not say, or says in two ways, where the voxels lie",
    "unreadable": "the file is not a whole 3-D image of real numbers",
    "failed:STEP": "the named step failed; reason and logs/STEP/ say why",
}

FLAGS = {
    "no-brain-mask": "the whole field of view counted as brain",
    "brain-cut-by-box": "part of the brain lies outside the model's box and was not looked at",
    "brain-at-edge": "more than 2 % of the brain's surface lies on the edge of the field of view",
    "brain-volume": "the brain mask is smaller than 600 ml or larger than 2200 ml",
    "channel-filled": "a channel that the scan lacks was filled with another one",
    "nonfinite-voxels": "the scan holds values that are no numbers (outside the brain; taken as 0)",
}


def _column(name: str, long_name: str, text: str, units: str = "", levels: Any = None) -> Column:
    return {
        "name": name,
        "LongName": long_name,
        "Description": text,
        **({"Units": units} if units else {}),
        **({"Levels": levels} if levels else {}),
    }


SCAN = [
    _column("scan", "Scan", "One acquisition of one subject in one session"),
    _column("subject", "Subject", "Subject as named in the cohort, without sub-"),
    _column("session", "Session", "Session without ses-; empty where there is none"),
    _column("run", "Run", "Run without run-; empty where there is none"),
    _column("status", "Status", "What became of the scan", levels=STATUS),
    _column("reason", "Reason", "Why the status is not ok; empty where it is"),
]

LABEL = [
    _column(
        "{label}_count",
        "Number of {label}",
        "Lesions that the filters kept; 0 is none found, empty is not measured",
    ),
    _column(
        "{label}_volume_mm3",
        "Total volume of {label}",
        "Sum over the kept lesions, voxel volume by the affine",
        "mm3",
    ),
    _column(
        "{label}_mean_volume_mm3",
        "Mean volume of {label}",
        "Over the kept lesions; empty where there is none",
        "mm3",
    ),
    _column(
        "{label}_median_volume_mm3",
        "Median volume of {label}",
        "Over the kept lesions; empty where there is none",
        "mm3",
    ),
    _column(
        "{label}_max_volume_mm3",
        "Largest volume of {label}",
        "Over the kept lesions; empty where there is none",
        "mm3",
    ),
    _column(
        "{label}_max_probability",
        "Highest probability of {label}",
        "Over the whole map, also where no lesion was found",
    ),
]

SOFT = _column(
    "{label}_soft_volume_mm3",
    "Soft volume of {label}",
    "Sum of the probabilities times the voxel volume by the affine",
    "mm3",
)

QUALITY = [
    _column(
        "brain_volume_ml",
        "Brain volume",
        "Volume of the brain mask on the model's grid, before the crop; empty without a mask",
        "ml",
    ),
    _column(
        "brain_outside_box",
        "Brain outside the box",
        "Share of the brain mask that the model's box cuts off; empty without a mask",
    ),
    _column(
        "brain_at_edge",
        "Brain at the edge",
        "Share of the brain's surface on the edge of the field of view; empty without a mask",
    ),
    _column(
        "intensity_p99",
        "99th percentile",
        "Of the resampled intensities inside the brain mask, in the scan's units",
    ),
    _column(
        "nonfinite_voxels",
        "Voxels that are no number",
        "NaN and infinite values of the scan's channels, taken as 0; inside the brain they stop the scan",
    ),
    _column(
        "fold_disagreement",
        "Disagreement of the folds",
        "Mean standard deviation over the folds where the mean probability is above 0.1 inside the brain; 0 where it nowhere is",
    ),
    _column(
        "lesions_dropped",
        "Lesions dropped",
        "Number of lesions that a filter dropped; lesions.csv has them with the reason",
    ),
    _column(
        "flags",
        "Flags",
        "What a reader should know before using the row; several are joined by ;",
        levels=FLAGS,
    ),
]

PROVENANCE = [
    _column(
        "mask_source",
        "Source of the brain mask",
        "provided: the scan's own; none: the field of view; else the card, with its version, that found the brain",
    ),
    _column("model", "Model", "Name of the card"),
    _column("model_version", "Version of the model", "As in the card"),
    _column(
        "weights_sha256",
        "SHA-256 of the weights",
        "Of the one fold's weights; of several, of their digests joined in the order of the folds",
    ),
    _column(
        "input_sha256",
        "SHA-256 of the scan",
        "Of the file of the reference (first) channel",
    ),
    _column("lesionflow_version", "Version of lesionflow", "That counted the lesions"),
    _column("backend", "Backend", "What ran the networks: tensorflow or openvino"),
    _column("device", "Device", "Where they ran: cpu or gpu"),
    _column("precision", "Precision", "Arithmetic of the networks: float32, bfloat16 or float16"),
]

LESION = [
    _column("scan", "Scan", "As in cohort.csv"),
    _column("model", "Model", "Name of the card"),
    _column("label", "Label", "Name of the lesion's label"),
    _column(
        "lesion",
        "Lesion",
        "Number of the lesion in the desc-lesions_dseg maps of its scan",
    ),
    _column(
        "x_mm",
        "x",
        "Centre of the lesion's voxels, world coordinate towards right (RAS+)",
        "mm",
    ),
    _column("y_mm", "y", "Centre, towards anterior", "mm"),
    _column("z_mm", "z", "Centre, towards superior", "mm"),
    _column(
        "i",
        "i",
        "Voxel of the source scan at the lesion's peak, first index from 0; no two lesions share one",
    ),
    _column("j", "j", "Second index"),
    _column("k", "k", "Third index"),
    _column(
        "volume_mm3",
        "Volume",
        "Voxels on the model's grid times their volume by the affine",
        "mm3",
    ),
    _column(
        "equivalent_diameter_mm",
        "Equivalent diameter",
        "Of the sphere of the same volume",
        "mm",
    ),
    _column(
        "elongation",
        "Elongation",
        "Longest over shortest principal axis; 1 is a ball, a vessel has more",
    ),
    _column(
        "max_probability",
        "Highest probability",
        "Mean over folds, at the lesion's peak",
    ),
    _column("mean_probability", "Mean probability", "Over the lesion's voxels"),
    _column(
        "fold_agreement",
        "Fold agreement",
        "Share of the folds whose own thresholded map touches the lesion",
    ),
    _column(
        "region",
        "Region",
        "Most frequent number of the scan's regions image inside the lesion; empty without one",
    ),
    _column(
        "kept",
        "Kept",
        "Whether the lesion counts",
        levels={"true": "counted", "false": "dropped by a filter"},
    ),
    _column(
        "dropped_because",
        "Dropped because",
        "The filters' reason; empty for a kept lesion",
    ),
]


def cohort_columns(models: Mapping[str, Mapping[str, Any]]) -> list[Column]:
    """Columns of cohort.csv for the ``labels`` of each model, and for its ``soft`` volumes.

    With several models, what belongs to a model bears its name as a prefix: ``MODEL_L_count``.
    """
    columns = list(SCAN)
    for model, parts in models.items():
        prefix = f"{model}_" if len(models) > 1 else ""
        own = [_filled(c, label) for label in parts["labels"] for c in LABEL]
        own += [_filled(SOFT, name) for name in parts["soft"]] + QUALITY + PROVENANCE
        columns += [{**c, "name": prefix + c["name"]} for c in own]
    return columns


def about(card: Mapping[str, Any]) -> dict[str, Any]:
    """What the tables need to know of a model: ``soft`` are the names that have a soft volume."""
    output, labels = card["output"], list(card["output"]["labels"].values())
    total = [output["total"]] if output["total"] else []  # all labels together
    return {
        "labels": labels,
        "channels": card["input"]["channels"],
        "folds": len(card["folds"]),
        "cleaned": card["postprocess"]["components"] is not None,
        "soft": [*labels, *total] if output["soft_volumes"] else [],
    }


def _filled(column: Column, label: str) -> Column:
    return {
        key: v.replace("{label}", label) if isinstance(v, str) else v for key, v in column.items()
    }


def names(columns: list[Column]) -> list[str]:
    """The names of columns, in order."""
    return [column["name"] for column in columns]


def dictionary(columns: list[Column]) -> dict[str, Column]:
    """Data dictionary in BIDS style: LongName, Description, Units and Levels by column name."""
    return {c["name"]: {k: v for k, v in c.items() if k != "name"} for c in columns}
