"""Metrics over all scans, at every threshold, with confidence intervals."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from lesionflow.evaluation.scan_metrics import Array, detection, ratio
from lesionflow.imaging.overlap import dice
from lesionflow.results import evaluation_columns
from lesionflow.results.columns import names

RESAMPLES, SEED = 2000, 2021
LIMITS = (2.5, 97.5)  # of a 95 % interval, in percent
COUNTED = ["lesions", "found", "count", "true_detections", "voxels", "truth_voxels", "voxels_both"]
FIGURES = ("sensitivity", "precision", "f1", "false_positives_a_scan", "mean_dice")
CLASSES_MM = {
    "under 2 mm": (0.0, 2.0),
    "2 to 3 mm": (2.0, 3.0),
    "3 to 5 mm": (3.0, 5.0),
    "5 to 10 mm": (5.0, 10.0),
    "10 mm and more": (10.0, np.inf),
}


def resampled(scans: int, resamples: int = RESAMPLES, seed: int = SEED) -> Array:
    """How often each scan is drawn in each resample with replacement: (resamples, scans)."""
    return np.random.default_rng(seed).multinomial(scans, np.full(scans, 1 / scans), size=resamples)


def pooled(sums: Mapping[str, Array], scans: Array) -> dict[str, Array]:
    """The figures of sums over scans, any shape; ``mean_dice`` is the mean over scans that have one."""
    false = sums["count"] - sums["true_detections"]
    return {
        **detection(sums["lesions"], sums["found"], sums["count"], sums["true_detections"]),
        "false_positives_a_scan": ratio(false, scans),
        "mean_dice": ratio(sums["dice"], sums["dice_scans"]),
    }


def threshold_table(sweeps: pd.DataFrame) -> pd.DataFrame:
    """evaluation_thresholds.csv: one row per model, label, threshold and minimum size.

    Intervals are from the percentile bootstrap over scans (Efron and Tibshirani 1993, chapter 13): the
    2.5th and 97.5th percentile over resamples of whole scans. A resample in which a figure is not
    defined is left out of that figure's interval and counted. A single scan has no interval.

    Parameters
    ----------
    sweeps
        Of ``scan_metrics.evaluation_tables``.
    """
    wanted = names(evaluation_columns.THRESHOLDS)
    if sweeps.empty:
        return pd.DataFrame(columns=wanted)
    parts = []
    for (model, label), own in sweeps.groupby(["model", "label"], sort=False):
        keys = ["threshold", "min_volume_mm3"]
        voxels = own[["voxels_both", "voxels", "truth_voxels"]].to_numpy().T
        one = dice(*voxels)
        own = own.assign(dice=np.nan_to_num(one), dice_scans=np.isfinite(one).astype(int))
        summed = [*COUNTED, "dice", "dice_scans"]
        cube = {key: _by_scan(own, keys, key) for key in summed}
        rows = own.drop_duplicates(keys)[[*keys, "card"]].sort_values(keys, ignore_index=True)
        scans = len(cube["lesions"])
        total = {key: values.sum(axis=0) for key, values in cube.items()}
        table = rows.assign(
            model=str(model),
            label=str(label),
            scans=scans,
            lesions=total["lesions"],
            found=total["found"],
            missed=total["lesions"] - total["found"],
            count=total["count"],
            true_detections=total["true_detections"],
            false_positives=total["count"] - total["true_detections"],
            scans_with_dice=total["dice_scans"],
            **pooled(total, np.full(len(rows), scans)),
        )
        table = table.assign(**intervals(cube, scans))
        parts.append(table.assign(best=best_row(table)))
    return pd.concat(parts, ignore_index=True)[wanted]


def _by_scan(own: pd.DataFrame, keys: list[str], value: str) -> Array:
    """Values (scan, row), rows in the order of ``keys``; every scan has every row."""
    ordered = own.sort_values(["scan", *keys])
    return ordered[value].to_numpy().reshape(own.scan.nunique(), -1)


def intervals(cube: Mapping[str, Array], scans: int) -> dict[str, Array]:
    """``FIGURE_low``, ``FIGURE_high`` and ``FIGURE_undefined`` for arrays (scan, row) of sums."""
    rows = cube["lesions"].shape[1]
    if scans < 2:
        nothing = np.full(rows, np.nan)
        return {
            f"{name}_{end}": nothing for name in FIGURES for end in ("low", "high", "undefined")
        }
    weights = resampled(scans)
    sums = {key: weights @ values for key, values in cube.items()}
    found: dict[str, Array] = {}
    for name, values in pooled(sums, np.full((len(weights), rows), scans)).items():
        low, high, undefined = limits(values)
        found |= {f"{name}_low": low, f"{name}_high": high, f"{name}_undefined": undefined}
    return found


def limits(values: Array) -> tuple[Array, Array, Array]:
    """Ends of the 95 % intervals of values (resample, row) and the number of undefined ones."""
    undefined = np.isnan(values).sum(axis=0)
    ends = np.full((2, values.shape[1]), np.nan)
    some = undefined < len(values)
    ends[:, some] = np.nanpercentile(values[:, some], LIMITS, axis=0)
    return ends[0], ends[1], undefined


def best_row(table: pd.DataFrame) -> Array:
    """Bool: the row with the highest F1; of equal ones the higher threshold, then the smaller size."""
    best = np.zeros(len(table), bool)
    if table.f1.notna().any():
        ranked = table.assign(f1=table.f1.round(9)).sort_values(
            ["f1", "threshold", "min_volume_mm3"], ascending=[False, False, True], kind="stable"
        )
        best[ranked.index[0]] = True
    return best


def by_size(lesions: pd.DataFrame) -> pd.DataFrame:
    """Sensitivity by the reference lesions' equivalent diameter: ``size, lesions, found, sensitivity, low, high``.

    Parameters
    ----------
    lesions
        True lesions of one model and label (see ``scan_metrics.evaluation_tables``), at the card's operating
        point; intervals as in ``threshold_table``, over the scans that have any.
    """
    rows = []
    scans = sorted(set(lesions.scan))
    for name, (low, high) in CLASSES_MM.items():
        own = lesions[(lesions.diameter_mm >= low) & (lesions.diameter_mm < high)]
        per_scan = own.groupby("scan").found.agg(["size", "sum"]).reindex(scans, fill_value=0)
        hits, ends = int(own.found.sum()), [np.nan, np.nan]
        if len(scans) > 1:
            sums = resampled(len(scans)) @ per_scan.to_numpy(float)
            ends = [float(end[0]) for end in limits(ratio(sums[:, 1], sums[:, 0])[:, None])[:2]]
        share = hits / len(own) if len(own) else np.nan
        rows.append([name, len(own), hits, share, *ends])
    return pd.DataFrame(rows, columns=["size", "lesions", "found", "sensitivity", "low", "high"])
