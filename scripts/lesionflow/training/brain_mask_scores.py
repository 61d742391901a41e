"""Dice coefficients of brain masks of simulated scans, by sequence, resolution and head."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from lesionflow.imaging.overlap import dice

RESOLUTIONS_MM = ((0.6, 0.6, 2.0), (1.0, 1.0, 1.0), (0.9, 0.9, 5.0))


def mask_dice(mask: np.ndarray, reference: np.ndarray) -> float:
    """Dice coefficient of two masks (bool, same shape); NaN if both are empty."""
    return float(dice(int((mask & reference).sum()), int(mask.sum()), int(reference.sum())))


def summary(scans: pd.DataFrame) -> dict[str, Any]:
    """Mean Dice coefficients over all scans and by group, and the worst scan.

    Parameters
    ----------
    scans
        One row per scan: ``head``, ``sequence``, ``spacing_mm`` (text), ``dice``.
    """
    worst = scans.sort_values("dice").iloc[0]
    return {
        "scans": len(scans),
        "worst": {column: worst[column] for column in ("head", "sequence", "spacing_mm", "dice")},
        "mean": round(float(scans.dice.mean()), 4),
        "by_sequence": _grouped_dice(scans, "sequence"),
        "by_spacing_mm": _grouped_dice(scans, "spacing_mm"),
        "by_head": _grouped_dice(scans, "head"),
    }


def _grouped_dice(scans: pd.DataFrame, column: str) -> dict[str, dict[str, float]]:
    groups: Iterable[tuple[Any, pd.DataFrame]] = scans.groupby(column, sort=False)
    return {
        str(name): {
            "mean": round(float(group.dice.mean()), 4),
            "worst": round(float(group.dice.min()), 4),
        }
        for name, group in groups
    }
