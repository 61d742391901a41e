"""Columns of the evaluation's tables: their order, names and descriptions.

Column names keep ``truth``, which users know; descriptions call the segmentation that predictions are compared with the
reference.
"""

from lesionflow.results.columns import STATUS, Column, column

EVALUATION_STATUS = {
    "ok": "the scan was compared with its reference segmentation",
    **{key: text for key, text in STATUS.items() if key != "ok"},
    "truth-missing": "the scan has no reference segmentation, or more than one",
    "truth-unusable": "the reference segmentation cannot be read, is not a label image, or lies outside of the model's field of view",
}
REFERENCE = {
    "lesions": "the reference has lesions of this label",
    "empty": "the reference has no lesion of this label",
    "missing": "there is no reference segmentation",
    "unusable": "the reference segmentation cannot be used; see reason",
}

EVALUATION = [
    column("scan", "Scan", "As in cohort.csv"),
    column("model", "Model", "Name of the card"),
    column("label", "Label", "Name of the label"),
    column(
        "status",
        "Status",
        "Whether the scan was evaluated, and if not why; metrics are empty unless ok",
        levels=EVALUATION_STATUS,
    ),
    column("reason", "Reason", "Details of a status other than ok; empty if it is ok"),
    column(
        "truth",
        "Reference",
        "Content of the reference segmentation; empty if it was not examined",
        levels=REFERENCE,
    ),
    column(
        "truth_count",
        "Number of reference lesions",
        "Connected components of the reference on its own grid, with the card's connectivity, of any size",
    ),
    column(
        "count",
        "Number of predicted lesions",
        "After the card's threshold and filters, as in cohort.csv",
    ),
    column("count_error", "Error of the count", "count minus truth_count"),
    column(
        "found",
        "Detected reference lesions",
        "Reference lesions with at least one voxel in a predicted lesion of the label",
    ),
    column("missed", "Missed reference lesions", "truth_count minus found"),
    column(
        "true_detections",
        "True detections",
        "Predicted lesions with at least one voxel in a reference lesion of the label; several can overlap one reference lesion, and one can overlap several",
    ),
    column("false_positives", "False positives", "count minus true_detections"),
    column(
        "outside_truth",
        "Predicted outside of the reference",
        "False positives entirely outside of the field of view of the reference image, about which the reference has no information",
    ),
    column("sensitivity", "Sensitivity", "found / truth_count; empty without reference lesions"),
    column("precision", "Precision", "true_detections / count; empty without predicted lesions"),
    column(
        "f1",
        "F1",
        "Harmonic mean of sensitivity and precision; 0 if there are lesions, reference or predicted, and none overlaps; empty if there are neither",
    ),
    column(
        "dice",
        "Dice",
        "Twice the number of voxels in both segmentations, over the sum of the voxels in each, on the grid of the reference; 0 if one of them is empty, empty if both are",
    ),
    column("truth_volume_mm3", "Reference volume", "On the grid of the reference", "mm3"),
    column(
        "volume_mm3",
        "Predicted volume",
        "Sum over the kept lesions on the model grid, as in cohort.csv",
        "mm3",
    ),
    column("volume_error_mm3", "Error of the volume", "volume_mm3 minus truth_volume_mm3", "mm3"),
    column(
        "volume_error_relative",
        "Relative error of the volume",
        "volume_error_mm3 / truth_volume_mm3; empty without reference lesions",
    ),
    column(
        "ignored_values",
        "Ignored values of the reference",
        "For a card with several labels: values of the reference that are not the value of a label, joined by ;",
    ),
    column(
        "shivai_sensitivity",
        "Sensitivity as in SHiVAi",
        "found / truth_count; if found is 0, 1 if there are neither reference nor predicted lesions, otherwise 0",
    ),
    column(
        "shivai_precision",
        "Precision as in SHiVAi",
        "found / (found + false_positives); 1 and 0 as for the sensitivity",
    ),
    column(
        "shivai_f1",
        "F1 as in SHiVAi",
        "Harmonic mean of the two; 1 and 0 as for the sensitivity",
    ),
    column(
        "shivai_dice",
        "Dice as in SHiVAi",
        "F1 of the voxels on the grid of the reference; 1 if both are empty, 0 if there is no overlap",
    ),
    column(
        "valdo_f1",
        "F1 as in VALDO",
        "Lesions match if their centres of mass are less than 5 mm apart (a distance chosen by lesionflow), one prediction for each reference lesion; 0 if nothing was predicted, empty without reference lesions",
    ),
    column(
        "valdo_dice",
        "Dice as in VALDO",
        "Mean over the reference lesions matched this way, each compared with all predictions that are nearest to it; 0 if none is matched, empty without reference lesions",
    ),
    column(
        "valdo_count_difference", "Count difference as in VALDO", "Absolute value of count_error"
    ),
    column(
        "valdo_volume_difference_mm3",
        "Volume difference as in VALDO",
        "Absolute difference of truth_volume_mm3 and the predicted volume, each voxel weighted by its probability",
        "mm3",
    ),
]

INTEGERS = (
    "truth_count",
    "count",
    "count_error",
    "found",
    "missed",
    "true_detections",
    "false_positives",
    "outside_truth",
    "valdo_count_difference",
)


def _with_interval(name: str, long_name: str, text: str) -> list[Column]:
    bound = "bound of the 95 % bootstrap interval over scans; empty with a single scan"
    return [
        column(name, long_name, text),
        column(f"{name}_low", f"{long_name}, lower bound", f"Lower {bound}"),
        column(f"{name}_high", f"{long_name}, upper bound", f"Upper {bound}"),
        column(
            f"{name}_undefined",
            f"{long_name}, undefined resamples",
            "How many of the 2000 resamples have no value and were left out of the interval",
        ),
    ]


ERRORS = [
    column("scan", "Scan", "As in cohort.csv"),
    column("model", "Model", "Name of the card"),
    column(
        "error",
        "Error",
        "At the card's threshold and filters",
        levels={
            "missed": "a reference lesion that no predicted lesion of its label overlaps",
            "false positive": "a predicted lesion that overlaps no reference lesion of its label",
        },
    ),
    column("label", "Label", "Name of the label"),
    column(
        "lesion",
        "Lesion",
        "Number of a false positive, as in lesions.csv; empty for a reference lesion",
    ),
    column(
        "side",
        "Side",
        "Of the plane x = 0 of world space, which need not be the middle of the head",
        levels={"left": "x below 0", "right": "x above 0", "midline": "within 1 mm of the plane"},
    ),
    column(
        "axial_slice",
        "Axial slice",
        "Counted from 0 along the axis of the stored scan that is nearest to z; empty outside of the scan",
    ),
    column("coronal_slice", "Coronal slice", "Along the axis nearest to y"),
    column("sagittal_slice", "Sagittal slice", "Along the axis nearest to x"),
    column(
        "x_mm",
        "x",
        "World coordinate (RAS+) of a voxel of the scan: at the peak of a false positive, at the voxel of a reference lesion nearest to its centroid",
        "mm",
    ),
    column("y_mm", "y", "From posterior to anterior", "mm"),
    column("z_mm", "z", "From inferior to superior", "mm"),
    column("volume_mm3", "Volume", "On the model's grid, or on that of the reference", "mm3"),
    column(
        "max_probability",
        "Highest probability",
        "In the lesion; empty for a reference lesion outside of the model's box",
    ),
]


THRESHOLDS = [
    column("model", "Model", "Name of the card"),
    column("label", "Label", "Name of the label"),
    column(
        "threshold",
        "Threshold",
        "Voxels with a higher probability are predicted; empty if the most probable of several labels is taken",
    ),
    column("min_volume_mm3", "Minimum size", "Smaller predicted lesions are dropped", "mm3"),
    column("scans", "Scans", "Number of evaluated scans, over which all sums are taken"),
    column("lesions", "Reference lesions", "Sum of truth_count"),
    column("found", "Detected reference lesions", "Sum"),
    column("missed", "Missed reference lesions", "Sum"),
    column("count", "Predicted lesions", "Sum"),
    column("true_detections", "True detections", "Sum"),
    column("false_positives", "False positives", "Sum"),
    *_with_interval(
        "sensitivity",
        "Sensitivity",
        "found / lesions, of the sums; empty without reference lesions",
    ),
    *_with_interval(
        "precision",
        "Precision",
        "true_detections / count, of the sums; empty without predicted lesions",
    ),
    *_with_interval(
        "f1",
        "F1",
        "Harmonic mean of sensitivity and precision; 0 if there are lesions and none overlaps",
    ),
    *_with_interval(
        "false_positives_a_scan", "False positives per scan", "false_positives / scans"
    ),
    *_with_interval(
        "mean_dice",
        "Mean Dice",
        "Over the scans with a Dice; scans with neither reference nor predicted lesions have none",
    ),
    column("scans_with_dice", "Scans with a Dice", "Number of scans that mean_dice is taken over"),
    column(
        "card",
        "Operating point of the card",
        "Whether this is the operating point of evaluation.csv",
        levels={"true": "the card's threshold and minimum size", "false": "another"},
    ),
    column(
        "best",
        "Best by F1",
        "Highest F1 of the model and label; in a tie the higher threshold, then the smaller minimum size. Selected on the same scans, its metrics are optimistic",
        levels={"true": "highest F1", "false": "another"},
    ),
]
