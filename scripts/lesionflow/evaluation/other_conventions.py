"""Metrics by the conventions of SHiVAi and of the VALDO challenge."""

from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist

from lesionflow.evaluation.lesion_matching import Match
from lesionflow.evaluation.reference_lesions import ReferenceLesions
from lesionflow.imaging.connected_components import centroids_mm

VALDO_MM = 5.0  # lesionflow's choice: the challenge's own distance is not known, see CONVENTIONS

CONVENTIONS = {
    "SHiVAi": (
        "A reference lesion is detected if at least one of its voxels is predicted, as above. For a scan without "
        "reference and predicted lesions all four metrics are 1; for other scans they are 0 if none is detected. "
        "Precision is TP / (TP + FP), where TP is the number of detected reference lesions instead of the number of "
        "predicted lesions that overlap one. Dice is the F1 of the voxels. Metrics are averaged over scans. Source: "
        "SHiVAi's code (pboutinaud/SHiVAi, shivai/utils/metrics.py)."
    ),
    "VALDO": (
        "Microbleed task of the VALDO challenge (MICCAI 2021). Each predicted lesion is assigned to the reference "
        "lesion with the nearest centre of mass, if that is closer than a maximum distance. Of several predictions "
        "assigned to one reference lesion, the nearest is a true positive and the others are false positives, as are "
        "predictions that are not assigned; a reference lesion without a prediction is a false negative. Dice is the "
        "mean over the matched reference lesions, each compared with all predictions assigned to it, and 0 if none "
        "is matched. The count difference and the volume difference are absolute; in the predicted volume each voxel "
        "is weighted by its probability. F1 and Dice are undefined for a scan without reference lesions, even if "
        "lesions were predicted, and 0 if nothing was predicted. Source: the challenge's code "
        "(WhereIsValdo/valdo-eval-2021), which takes the maximum distance as an argument, in voxels. We did not find "
        f"the distance used for the ranking; lesionflow uses {VALDO_MM:g} mm. The challenge's code thresholds "
        "probabilities at 0.5 (inclusive) and applies no filters; here the card's threshold and filters apply."
    ),
}


def shivai(counts: pd.DataFrame) -> pd.DataFrame:
    """Metrics of each scan by SHiVAi's convention.

    Parameters
    ----------
    counts
        From ``lesion_matching.label_counts``, at one operating point.

    Returns
    -------
    DataFrame
        ``shivai_sensitivity, shivai_precision, shivai_f1, shivai_dice``, with the index of ``counts``. Rules of
        ``image_metrics`` in SHiVAi (see ``CONVENTIONS``).
    """
    detected = counts.found
    false_positives = counts["count"] - counts.true_detections
    missed = counts.lesions - detected
    union = counts.voxels + counts.truth_voxels - counts.voxels_both
    no_lesions = (counts.lesions == 0) & (counts["count"] == 0)

    def ratio(numerator: pd.Series, denominator: pd.Series, both_empty: pd.Series) -> pd.Series:
        values = numerator / denominator.where(denominator > 0)
        return values.where(numerator > 0, 0.0).where(~both_empty, 1.0).astype(float)

    f1_denominator = 2 * detected + missed + false_positives
    return pd.DataFrame(
        {
            "shivai_sensitivity": ratio(detected, detected + missed, no_lesions),
            "shivai_precision": ratio(detected, detected + false_positives, no_lesions),
            "shivai_f1": ratio(2 * detected, f1_denominator, no_lesions),
            "shivai_dice": ratio(2 * counts.voxels_both, union + counts.voxels_both, union == 0),
        }
    )


def valdo(
    lesion_match: Match,
    kept: np.ndarray,
    reference: ReferenceLesions,
    voxel_mm3: float,
    label: int,
) -> dict:
    """The four metrics of the VALDO challenge of one scan and label (see ``CONVENTIONS``).

    Parameters
    ----------
    lesion_match, reference
        The match at the card's threshold, and the reference lesions in it.
    kept : array (n,), bool
        Whether each predicted lesion passes the filters.
    voxel_mm3
        Voxel volume of the model grid.
    label
        Index among the card's labels, from 1.

    Returns
    -------
    dict
        ``valdo_f1, valdo_dice, valdo_count_difference, valdo_volume_difference_mm3``; None where
        not defined.
    """
    table = lesion_match.table
    predicted = np.flatnonzero(kept & (table.label == label).to_numpy())  # lesion numbers less 1
    references = np.flatnonzero(reference.label == label)  # lesion numbers
    predicted_mm3 = float(table.probability.to_numpy()[predicted].sum()) * voxel_mm3
    reference_mm3 = float(reference.volume_mm3[references].sum())
    metrics: dict[str, Any] = {
        "valdo_f1": None,
        "valdo_dice": None,
        "valdo_count_difference": abs(len(predicted) - len(references)),
        "valdo_volume_difference_mm3": abs(predicted_mm3 - reference_mm3),
    }
    if not len(references):
        return metrics
    if not len(predicted):
        return metrics | {"valdo_f1": 0.0, "valdo_dice": 0.0}
    distance = cdist(
        centroids_mm(lesion_match.lesion_map, lesion_match.affine, len(table))[predicted],
        centroids_mm(reference.lesion_map, reference.grid.affine, len(reference.label) - 1)[
            references - 1
        ],
    )
    assigned = np.where(distance.min(axis=1) < VALDO_MM, distance.argmin(axis=1), -1)
    matched = np.unique(assigned[assigned >= 0])
    false_positives = len(predicted) - len(matched)  # one prediction of each matched lesion is true
    missed = len(references) - len(matched)
    overlap = lesion_match.pairs.set_index(["predicted", "reference"]).voxels
    voxels = table.voxels.to_numpy()
    dices = []
    for index in matched:
        number, predictions = references[index], predicted[assigned == index]
        both = sum(int(overlap.get((n + 1, number), 0)) for n in predictions)
        dices.append(2 * both / (int(voxels[predictions].sum()) + int(reference.voxels[number])))
    f1 = 2 * len(matched) / (2 * len(matched) + false_positives + missed)
    return metrics | {"valdo_f1": f1, "valdo_dice": float(np.mean(dices)) if dices else 0.0}
