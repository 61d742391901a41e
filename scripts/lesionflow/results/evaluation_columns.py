"""The columns of the tables that hold predictions against truth."""

from typing import Any

from lesionflow.results.columns import STATUS, Column

EVALUATED = {
    "ok": "the scan was held against its truth",
    **{key: text for key, text in STATUS.items() if key != "ok"},
    "truth-missing": "the scan brings no truth image, or more than one",
    "truth-unusable": "its truth cannot be read, is no label image, or lies outside of what the model saw",
}
TRUTH = {
    "lesions": "the truth holds lesions of this label",
    "empty": "the truth is there and holds none of this label",
    "missing": "there is no truth image",
    "unusable": "there is one that cannot be used; reason says why",
}


def _described(name: str, long_name: str, text: str, units: str = "", levels: Any = None) -> Column:
    column = {"name": name, "LongName": long_name, "Description": text}
    return column | ({"Units": units} if units else {}) | ({"Levels": levels} if levels else {})


EVALUATION = [
    _described("scan", "Scan", "As in cohort.csv"),
    _described("model", "Model", "Name of the card"),
    _described("label", "Label", "Name of the card's label"),
    _described(
        "status", "Status", "What became of the scan; figures are empty unless ok", "", EVALUATED
    ),
    _described("reason", "Reason", "Why the status is not ok; empty where it is"),
    _described(
        "truth", "Truth", "What the truth holds; empty where it was not looked at", "", TRUTH
    ),
    _described(
        "truth_count",
        "Number of true lesions",
        "Connected components of the truth on its own grid, by the card's connectivity; none is dropped for its size",
    ),
    _described(
        "count",
        "Number of predicted lesions",
        "After the card's threshold and filters, as in cohort.csv",
    ),
    _described("count_error", "Error of the count", "count minus truth_count"),
    _described(
        "found",
        "True lesions found",
        "True lesions of which at least one voxel lies in a predicted lesion of the label",
    ),
    _described("missed", "True lesions missed", "truth_count minus found"),
    _described(
        "true_detections",
        "True detections",
        "Predicted lesions of which at least one voxel lies in a true lesion of the label; several may hit one true lesion, or one several",
    ),
    _described("false_positives", "False positives", "count minus true_detections"),
    _described(
        "outside_truth",
        "Predicted outside of the truth",
        "Of the false positives, those that lie wholly outside of the truth image's field of view, of which the truth says nothing",
    ),
    _described("sensitivity", "Sensitivity", "found / truth_count; empty without true lesions"),
    _described(
        "precision", "Precision", "true_detections / count; empty without predicted lesions"
    ),
    _described(
        "f1",
        "F1",
        "Harmonic mean of sensitivity and precision; 0 where there are lesions, true or predicted, and none overlaps; empty where there is neither",
    ),
    _described(
        "dice",
        "Dice",
        "Twice the voxels in both over the sum of the voxels in each, on the truth's grid; 0 where one is empty, empty where both are",
    ),
    _described("truth_volume_mm3", "Volume of the truth", "On its own grid, by its affine", "mm3"),
    _described(
        "volume_mm3",
        "Predicted volume",
        "Sum over the kept lesions on the model's grid, as in cohort.csv",
        "mm3",
    ),
    _described(
        "volume_error_mm3", "Error of the volume", "volume_mm3 minus truth_volume_mm3", "mm3"
    ),
    _described(
        "volume_error_relative",
        "Relative error of the volume",
        "volume_error_mm3 / truth_volume_mm3; empty without true lesions",
    ),
    _described(
        "ignored_values",
        "Values of the truth that were ignored",
        "Of a card with several labels: values that no label of the card has, joined by ;",
    ),
    _described(
        "shivai_sensitivity",
        "Sensitivity as in SHiVAi",
        "found / truth_count; 1 where nothing is to be found and nothing was found, else 0 where nothing was found",
    ),
    _described(
        "shivai_precision",
        "Precision as in SHiVAi",
        "found / (found + false_positives); 1 and 0 as for the sensitivity",
    ),
    _described(
        "shivai_f1",
        "F1 as in SHiVAi",
        "Harmonic mean of the two; 1 and 0 as for the sensitivity",
    ),
    _described(
        "shivai_dice",
        "Dice as in SHiVAi",
        "F1 of the voxels on the truth's grid; 1 where both are empty, 0 where nothing is shared",
    ),
    _described(
        "valdo_f1",
        "F1 as in VALDO",
        "By centres of mass nearer than 5 mm (lesionflow's choice), one prediction a true lesion; 0 where nothing was predicted, empty without true lesions",
    ),
    _described(
        "valdo_dice",
        "Dice as in VALDO",
        "Mean over the true lesions so matched, each against all predictions that are nearest to it; 0 where none is matched, empty without true lesions",
    ),
    _described(
        "valdo_count_difference", "Count difference as in VALDO", "Absolute value of count_error"
    ),
    _described(
        "valdo_volume_difference_mm3",
        "Volume difference as in VALDO",
        "Absolute difference of truth_volume_mm3 and the predicted volume, each voxel weighted by its probability",
        "mm3",
    ),
]

WHOLE_NUMBERS = (
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
    low, high = "Lower", "Upper"
    ends = "of the 95 % bootstrap interval over scans; empty with a single scan"
    return [
        _described(name, long_name, text),
        _described(f"{name}_low", f"{long_name}, {low.lower()} end", f"{low} end {ends}"),
        _described(f"{name}_high", f"{long_name}, {high.lower()} end", f"{high} end {ends}"),
        _described(
            f"{name}_undefined",
            f"{long_name}, undefined resamples",
            "How many of the 2000 resamples have no such figure and were left out of the interval",
        ),
    ]


THRESHOLDS = [
    _described("model", "Model", "Name of the card"),
    _described("label", "Label", "Name of the card's label"),
    _described(
        "threshold",
        "Threshold",
        "Voxels above it are predicted; empty where the most probable of several labels is taken",
    ),
    _described("min_volume_mm3", "Smallest size", "Predicted lesions below it are dropped", "mm3"),
    _described("scans", "Scans", "That could be evaluated; all sums run over them"),
    _described("lesions", "True lesions", "Sum of truth_count"),
    _described("found", "True lesions found", "Sum"),
    _described("missed", "True lesions missed", "Sum"),
    _described("count", "Predicted lesions", "Sum"),
    _described("true_detections", "True detections", "Sum"),
    _described("false_positives", "False positives", "Sum"),
    *_with_interval(
        "sensitivity", "Sensitivity", "found / lesions, of the sums; empty without true lesions"
    ),
    *_with_interval(
        "precision",
        "Precision",
        "true_detections / count, of the sums; empty without predicted lesions",
    ),
    *_with_interval(
        "f1", "F1", "Harmonic mean of these two; 0 where lesions are there and none overlaps"
    ),
    *_with_interval("false_positives_a_scan", "False positives a scan", "false_positives / scans"),
    *_with_interval(
        "mean_dice",
        "Mean Dice",
        "Over the scans that have one: those where truth and prediction are both empty have none",
    ),
    _described("scans_with_dice", "Scans with a Dice", "Over which mean_dice is the mean"),
    _described(
        "card",
        "The card's own",
        "Whether this is the operating point of evaluation.csv",
        levels={"true": "the card's threshold and smallest size", "false": "another"},
    ),
    _described(
        "best",
        "Best by F1",
        "Of the model and label; of equal ones the higher threshold, then the smaller size. Chosen on these very scans, its figures are optimistic",
        levels={"true": "highest F1", "false": "another"},
    ),
]
