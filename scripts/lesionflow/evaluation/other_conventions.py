"""Metrics of the same match by the conventions of SHiVAi and the VALDO challenge."""

from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist

from lesionflow.evaluation.lesion_matching import Match
from lesionflow.evaluation.reference_lesions import ReferenceLesions
from lesionflow.imaging.connected_components import centroids_mm

VALDO_MM = 5.0  # see CONVENTIONS: the challenge's own distance is not known here

CONVENTIONS = {
    "SHiVAi": (
        "A true lesion is hit when one voxel of it is predicted, as here. Where nothing is to be found and "
        "nothing was found all four figures of the scan are 1; where no lesion is hit otherwise all are 0. "
        "Precision has the true lesions hit, not the predictions that hit, over themselves and the false "
        "positives. Dice is the F1 of the voxels. Figures are means over scans. From SHiVAi's code "
        "(pboutinaud/SHiVAi, shivai/utils/metrics.py)."
    ),
    "VALDO": (
        "Of the challenge's task on microbleeds (MICCAI 2021): each predicted element goes to the true "
        "element whose centre of mass is nearest, if it is nearer than a distance; of several the nearest is "
        "a true positive and the others are false. F1 counts true elements without one as missed. Dice is "
        "the mean over the matched true elements, each against all predictions that went to it; 0 where none "
        "is matched. The count difference is absolute; so is the volume difference, in which predicted voxels "
        "weigh as much as their probability. F1 and Dice are not defined for a scan without true elements, "
        "whatever was predicted, and 0 where nothing was predicted. From the challenge's code "
        "(WhereIsValdo/valdo-eval-2021), which takes the distance as an argument, in voxels; which one the "
        f"ranking used was not found, and {VALDO_MM:g} mm is lesionflow's choice. The code binarizes from 0.5 "
        "on and filters nothing; here the card's threshold and filters hold."
    ),
}


def shivai(rows: pd.DataFrame) -> pd.DataFrame:
    """SHiVAi's figures of each scan.

    Parameters
    ----------
    rows
        Of ``lesion_matching.counted``, at one operating point.

    Returns
    -------
    DataFrame
        ``shivai_sensitivity, shivai_precision, shivai_f1, shivai_dice``, same index. Rules of
        ``image_metrics`` in SHiVAi (see ``CONVENTIONS``).
    """
    false = rows["count"] - rows.true_detections
    missed = rows.lesions - rows.found
    extra = rows.voxels + rows.truth_voxels - rows.voxels_both
    hit, silent = rows.found, (rows.lesions == 0) & (rows["count"] == 0)

    def share(part: pd.Series, whole: pd.Series, right: pd.Series) -> pd.Series:
        return (part / whole.where(whole > 0)).where(part > 0, 0.0).where(~right, 1.0).astype(float)

    return pd.DataFrame(
        {
            "shivai_sensitivity": share(hit, hit + missed, silent),
            "shivai_precision": share(hit, hit + false, silent),
            "shivai_f1": share(2 * hit, 2 * hit + missed + false, silent),
            "shivai_dice": share(2 * rows.voxels_both, extra + rows.voxels_both, extra == 0),
        }
    )


def valdo(
    found: Match, kept: np.ndarray, truth: ReferenceLesions, voxel_mm3: float, label: int
) -> dict:
    """The VALDO challenge's four figures of one scan and label (see ``CONVENTIONS``).

    Parameters
    ----------
    found, truth
        The match at the card's threshold, and what it was matched with.
    kept : array (n,), bool
        Which predicted lesions the filters kept.
    voxel_mm3
        Of the model's grid.
    label
        Place among the card's labels, from 1.

    Returns
    -------
    dict
        ``valdo_f1, valdo_dice, valdo_count_difference, valdo_volume_difference_mm3``; None where
        not defined.
    """
    own = np.flatnonzero(kept & (found.table.label == label).to_numpy())
    true = np.flatnonzero(truth.label == label)
    mass = float(found.table.probability.to_numpy()[own].sum()) * voxel_mm3
    figures: dict[str, Any] = {
        "valdo_f1": None,
        "valdo_dice": None,
        "valdo_count_difference": abs(len(own) - len(true)),
        "valdo_volume_difference_mm3": abs(mass - float(truth.volume_mm3[true].sum())),
    }
    if not len(true):
        return figures
    if not len(own):
        return figures | {"valdo_f1": 0.0, "valdo_dice": 0.0}
    at = centroids_mm(found.numbers, found.affine, len(found.table))[own]
    there = centroids_mm(truth.numbers, truth.grid.affine, len(truth.label) - 1)[true - 1]
    away = cdist(at, there)
    goes_to = np.where(away.min(axis=1) < VALDO_MM, away.argmin(axis=1), -1)
    matched = np.unique(goes_to[goes_to >= 0])
    false = len(own) - len(matched)  # one prediction of a matched element is right
    missed = len(true) - len(matched)
    shared = found.pairs.set_index(["predicted", "true"]).voxels
    voxels = found.table.voxels.to_numpy()
    dices = []
    for number in matched:
        mine = own[goes_to == number]
        both = sum(int(shared.get((n + 1, true[number]), 0)) for n in mine)
        dices.append(2 * both / (int(voxels[mine].sum()) + int(truth.voxels[true[number]])))
    f1 = 2 * len(matched) / (2 * len(matched) + false + missed)
    return figures | {"valdo_f1": f1, "valdo_dice": float(np.mean(dices)) if dices else 0.0}
