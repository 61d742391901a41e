"""JSON sidecar of a scan's comparison with its reference lesions."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from lesionflow.base.errors import ScanError
from lesionflow.evaluation.lesion_matching import COUNT_COLUMNS, Match
from lesionflow.evaluation.other_conventions import valdo
from lesionflow.evaluation.reference_lesions import ReferenceLesions, highest_probabilities
from lesionflow.imaging.grids import Grid, equivalent_diameter_mm
from lesionflow.results.lesion_filters import apply_filters

EMPTY_TABLE = pd.DataFrame(columns=[*COUNT_COLUMNS, "threshold", "min_volume_mm3", "card"])


def comparison_summary(
    lesion_match: Match,
    reference: ReferenceLesions,
    grid: Grid,
    labels: list[str],
    rules: Mapping[str, Any],
    probability: np.ndarray,
) -> dict[str, Any]:
    """Summarize the comparison of a scan at the card's operating point.

    Parameters
    ----------
    lesion_match
        The match at the card's threshold.
    reference, grid
        The reference lesions, and the model grid.
    labels
        Names of the card's labels, in order.
    rules
        The card's ``postprocess``.
    probability : array (x, y, z, label)
        On the model grid; channel n - 1 belongs to label n.

    Returns
    -------
    dict
        ``status``, ``reason``, ``ignored_values`` (of the reference image), ``lesions`` (one dict per
        reference lesion in the order of their numbers: ``label, volume_mm3, diameter_mm, found, max_probability``, the
        last one None outside of the model grid), ``false_positives`` (numbers of predicted lesions) and ``valdo`` (by
        label, see ``other_conventions.valdo``).
    """
    kept = apply_filters(lesion_match.table, dict(rules)).kept.to_numpy(bool)
    pairs = lesion_match.pairs
    detected = set(pairs.reference[kept[pairs.predicted - 1]])
    diameters = equivalent_diameter_mm(reference.volume_mm3)
    highest = highest_probabilities(reference, probability, grid)
    detections = np.isin(lesion_match.table.lesion, pairs.predicted)
    return {
        "status": "ok",
        "reason": "",
        "ignored_values": reference.ignored,
        "lesions": [
            {
                "label": labels[reference.label[n] - 1],
                "volume_mm3": round(float(reference.volume_mm3[n]), 4),
                "diameter_mm": round(float(diameters[n]), 4),
                "found": n in detected,
                "max_probability": round(float(highest[n]), 4) if highest[n] >= 0 else None,
            }
            for n in np.arange(1, len(reference.label)).tolist()
        ],
        "false_positives": lesion_match.table.lesion[kept & ~detections].tolist(),
        "valdo": {
            label: valdo(lesion_match, kept, reference, grid.voxel_mm3, index)
            for index, label in enumerate(labels, start=1)
        },
    }


def unusable_summary(error: ScanError) -> dict[str, Any]:
    """The summary for a reference image that cannot be used, in the form of ``comparison_summary``."""
    reason = " ".join(str(error).split())
    return {
        "status": "truth-unusable",
        "reason": reason,
        "ignored_values": [],
        "lesions": [],
        "false_positives": [],
        "valdo": {},
    }
