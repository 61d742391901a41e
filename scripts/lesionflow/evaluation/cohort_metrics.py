"""Metrics over all scans, at every threshold, with confidence intervals."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from lesionflow.evaluation.lesion_matching import DETECTION_COUNTS
from lesionflow.evaluation.scan_metrics import Array, detection, ratio
from lesionflow.imaging.overlap import dice
from lesionflow.results import evaluation_columns
from lesionflow.results.columns import names

RESAMPLES, SEED = 2000, 2021
PERCENTILES = (2.5, 97.5)  # bounds of the 95 % interval
METRICS = ("sensitivity", "precision", "f1", "false_positives_a_scan", "mean_dice")
SIZE_CLASSES_MM = {
    "under 2 mm": (0.0, 2.0),
    "2 to 3 mm": (2.0, 3.0),
    "3 to 5 mm": (3.0, 5.0),
    "5 to 10 mm": (5.0, 10.0),
    "10 mm and more": (10.0, np.inf),
}


def bootstrap_weights(scans: int, resamples: int = RESAMPLES, seed: int = SEED) -> Array:
    """How often each scan is drawn in each bootstrap resample: array (resamples, scans)."""
    return np.random.default_rng(seed).multinomial(scans, np.full(scans, 1 / scans), size=resamples)


def pooled_metrics(sums: Mapping[str, Array], scans: Array) -> dict[str, Array]:
    """Metrics from sums over scans, arrays of one shape; ``mean_dice`` is the mean over the scans with a Dice."""
    false_positives = sums["count"] - sums["true_detections"]
    return {
        **detection(sums["lesions"], sums["found"], sums["count"], sums["true_detections"]),
        "false_positives_a_scan": ratio(false_positives, scans),
        "mean_dice": ratio(sums["dice"], sums["dice_scans"]),
    }


def threshold_table(sweeps: pd.DataFrame) -> pd.DataFrame:
    """evaluation_thresholds.csv: one row per model, label, threshold and minimum size.

    Intervals are from the percentile bootstrap over scans (Efron and Tibshirani 1993, chapter 13): the
    2.5th and 97.5th percentile over resamples of scans. Resamples in which a metric is undefined are left
    out of the interval of that metric, and counted. A single scan has no interval.

    Parameters
    ----------
    sweeps
        From ``scan_metrics.evaluation_tables``.
    """
    columns = names(evaluation_columns.THRESHOLDS)
    if sweeps.empty:
        return pd.DataFrame(columns=columns)
    tables = []
    for (model, label), counts in sweeps.groupby(["model", "label"], sort=False):
        keys = ["threshold", "min_volume_mm3"]
        voxels = counts[["voxels_both", "voxels", "truth_voxels"]].to_numpy().T
        scan_dice = dice(*voxels)
        counts = counts.assign(
            dice=np.nan_to_num(scan_dice), dice_scans=np.isfinite(scan_dice).astype(int)
        )
        by_scan = {
            key: _by_scan(counts, keys, key) for key in [*DETECTION_COUNTS, "dice", "dice_scans"]
        }
        rows = counts.drop_duplicates(keys)[[*keys, "card"]].sort_values(keys, ignore_index=True)
        scans = len(by_scan["lesions"])
        total = {key: values.sum(axis=0) for key, values in by_scan.items()}
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
            **pooled_metrics(total, np.full(len(rows), scans)),
        )
        table = table.assign(**intervals(by_scan, scans))
        tables.append(table.assign(best=best_row(table)))
    return pd.concat(tables, ignore_index=True)[columns]


def _by_scan(counts: pd.DataFrame, keys: list[str], column: str) -> Array:
    """Values (scan, row) of a column, rows in the order of ``keys``; every scan has every row."""
    ordered = counts.sort_values(["scan", *keys])
    return ordered[column].to_numpy().reshape(counts.scan.nunique(), -1)


def intervals(by_scan: Mapping[str, Array], scans: int) -> dict[str, Array]:
    """``METRIC_low``, ``METRIC_high`` and ``METRIC_undefined`` (row) from counts (scan, row)."""
    n_rows = by_scan["lesions"].shape[1]
    if scans < 2:
        undefined = np.full(n_rows, np.nan)
        return {
            f"{name}_{bound}": undefined
            for name in METRICS
            for bound in ("low", "high", "undefined")
        }
    weights = bootstrap_weights(scans)
    sums = {key: weights @ values for key, values in by_scan.items()}
    columns: dict[str, Array] = {}
    for name, values in pooled_metrics(sums, np.full((len(weights), n_rows), scans)).items():
        low, high, n_undefined = percentile_interval(values)
        columns |= {f"{name}_low": low, f"{name}_high": high, f"{name}_undefined": n_undefined}
    return columns


def percentile_interval(values: Array) -> tuple[Array, Array, Array]:
    """Lower and upper bounds of the 95 % intervals of values (resample, row), and numbers of undefined values."""
    n_undefined = np.isnan(values).sum(axis=0)
    bounds = np.full((2, values.shape[1]), np.nan)
    defined = n_undefined < len(values)
    bounds[:, defined] = np.nanpercentile(values[:, defined], PERCENTILES, axis=0)
    return bounds[0], bounds[1], n_undefined


def best_row(table: pd.DataFrame) -> Array:
    """Mask of the row with the highest F1; in a tie the higher threshold, then the smaller minimum size."""
    best = np.zeros(len(table), bool)
    if table.f1.notna().any():
        ranked = table.assign(f1=table.f1.round(9)).sort_values(
            ["f1", "threshold", "min_volume_mm3"], ascending=[False, False, True], kind="stable"
        )
        best[ranked.index[0]] = True
    return best


def sensitivity_by_size(lesions: pd.DataFrame) -> pd.DataFrame:
    """Sensitivity by the equivalent diameter of the reference lesions, at the card's operating point.

    Parameters
    ----------
    lesions
        Reference lesions of one model and label, from ``scan_metrics.evaluation_tables``.

    Returns
    -------
    DataFrame
        ``size, lesions, found, sensitivity, low, high``, one row per class of size. Intervals as in
        ``threshold_table``, over the scans with reference lesions.
    """
    rows = []
    scans = sorted(set(lesions.scan))
    for name, (low, high) in SIZE_CLASSES_MM.items():
        in_class = lesions[(lesions.diameter_mm >= low) & (lesions.diameter_mm < high)]
        per_scan = in_class.groupby("scan").found.agg(["size", "sum"]).reindex(scans, fill_value=0)
        detected, bounds = int(in_class.found.sum()), [np.nan, np.nan]
        if len(scans) > 1:
            sums = bootstrap_weights(len(scans)) @ per_scan.to_numpy(float)
            resampled = ratio(sums[:, 1], sums[:, 0])[:, None]
            bounds = [float(bound[0]) for bound in percentile_interval(resampled)[:2]]
        sensitivity = detected / len(in_class) if len(in_class) else np.nan
        rows.append([name, len(in_class), detected, sensitivity, *bounds])
    return pd.DataFrame(rows, columns=["size", "lesions", "found", "sensitivity", "low", "high"])
