"""Summary of a scan's comparison with its reference lesions, beside the counts."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from lesionflow.base.errors import ScanError
from lesionflow.evaluation.lesion_matching import COUNTED, Match
from lesionflow.evaluation.other_conventions import valdo
from lesionflow.evaluation.reference_lesions import ReferenceLesions
from lesionflow.imaging.grids import Grid, equivalent_diameter_mm
from lesionflow.results.lesion_filters import apply_filters

TABLE = pd.DataFrame(columns=[*COUNTED, "threshold", "min_volume_mm3", "card"])


def comparison_summary(
    matched: Match, truth: ReferenceLesions, grid: Grid, labels: list[str], rules: Mapping[str, Any]
) -> dict[str, Any]:
    """Summarize the comparison of a scan at the card's operating point.

    Parameters
    ----------
    matched
        The match at the card's threshold.
    truth, grid
        The reference lesions, and the model's grid.
    labels
        The card's labels, in order.
    rules
        The card's ``postprocess``.

    Returns
    -------
    dict
        ``status``, ``reason``, ``ignored_values`` (of the reference image), ``lesions`` (one dict per
        reference lesion: ``label, volume_mm3, diameter_mm, found``) and ``valdo`` (by label, see
        ``other_conventions.valdo``).
    """
    kept = apply_filters(matched.table, dict(rules)).kept.to_numpy(bool)
    hit = set(matched.pairs.true[kept[matched.pairs.predicted - 1]])
    diameters = equivalent_diameter_mm(truth.volume_mm3)
    return {
        "status": "ok",
        "reason": "",
        "ignored_values": truth.ignored,
        "lesions": [
            {
                "label": labels[truth.label[n] - 1],
                "volume_mm3": round(float(truth.volume_mm3[n]), 4),
                "diameter_mm": round(float(diameters[n]), 4),
                "found": n in hit,
            }
            for n in np.arange(1, len(truth.label)).tolist()
        ],
        "valdo": {
            label: valdo(matched, kept, truth, grid.voxel_mm3, place)
            for place, label in enumerate(labels, start=1)
        },
    }


def unusable(error: ScanError) -> dict[str, Any]:
    """The same summary for a reference image that cannot be used."""
    reason = " ".join(str(error).split())
    return {
        "status": "truth-unusable",
        "reason": reason,
        "ignored_values": [],
        "lesions": [],
        "valdo": {},
    }
