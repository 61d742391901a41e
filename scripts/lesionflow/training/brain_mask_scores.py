"""Agreement of computed and reference brain masks on simulated scans, by sequence and resolution."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from lesionflow.imaging.overlap import dice

RESOLUTIONS_MM = ((0.6, 0.6, 2.0), (1.0, 1.0, 1.0), (0.9, 0.9, 5.0))


def mask_dice(mask: np.ndarray, reference: np.ndarray) -> float:
    """Dice coefficient of two masks (bool, of equal shape); NaN if both are empty."""
    return float(dice(int((mask & reference).sum()), int(mask.sum()), int(reference.sum())))


def summary(scans: pd.DataFrame) -> dict[str, Any]:
    """Summarize the Dice coefficients of scans, and name the worst scan.

    Parameters
    ----------
    scans
        One row per scan: ``head``, ``sequence``, ``spacing_mm`` (text), ``dice``.
    """
    worst = scans.sort_values("dice").iloc[0]
    return {
        "scans": len(scans),
        "worst": {key: worst[key] for key in ("head", "sequence", "spacing_mm", "dice")},
        "mean": round(float(scans.dice.mean()), 4),
        "by_sequence": _summary_by(scans, "sequence"),
        "by_spacing_mm": _summary_by(scans, "spacing_mm"),
        "by_head": _summary_by(scans, "head"),
    }


def _summary_by(scans: pd.DataFrame, key: str) -> dict[str, dict[str, float]]:
    groups: Iterable[tuple[Any, pd.DataFrame]] = scans.groupby(key, sort=False)
    return {
        str(name): {
            "mean": round(float(group.dice.mean()), 4),
            "worst": round(float(group.dice.min()), 4),
        }
        for name, group in groups
    }
