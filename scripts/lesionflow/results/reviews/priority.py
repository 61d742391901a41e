"""Which lesions of a scan most need a look, and why."""

import numpy as np
import pandas as pd

NEAR_THRESHOLD = 0.2  # share of the range from the threshold to 1; a choice
ELONGATED = 2.5  # longest to shortest axis; a choice: two voxels side by side have 2, three have 3
NEAR_EDGE_MM = 3.0  # a choice: about the thickness of the cortex, over which veins run
# Microbleeds measure 2 to 10 mm (Greenberg et al. 2009, Lancet Neurology 8:165-174).
SMALL_MM = 2.0


def prioritize(lesions: pd.DataFrame, threshold: float | None) -> pd.DataFrame:
    """Reasons to look at each lesion, and the order in which to do so.

    Parameters
    ----------
    lesions
        Rows of lesions.csv (``columns.LESION``, as ``tables_io.read_lesions`` reads them): ``fold_agreement``,
        ``max_probability``, ``elongation``, ``edge_distance_mm`` (NaN without a brain mask) and
        ``equivalent_diameter_mm`` are used.
    threshold
        Of the model: probability above which a voxel is lesion; None if the most probable label is taken.

    Returns
    -------
    DataFrame
        With the index of ``lesions``: ``reasons`` (list of str) and ``order`` (int, from 0: first the lesions with most
        reasons, among these the one nearest to the threshold, then the first in the table).
    """
    reasons = [_reasons(lesion, threshold) for lesion in lesions.itertuples()]
    numbers = np.array([len(of_lesion) for of_lesion in reasons], int)
    above = lesions.max_probability.to_numpy(float) - (threshold or 0)
    table = pd.DataFrame({"reasons": reasons}, index=lesions.index, dtype=object)
    order = np.empty(len(lesions), int)
    order[np.lexsort((np.abs(above), -numbers))] = np.arange(len(lesions))
    return table.assign(order=order)


def _reasons(lesion, threshold: float | None) -> list[str]:
    texts = []
    probability = lesion.max_probability
    if lesion.fold_agreement < 1:
        texts.append(f"found by {_percent(lesion.fold_agreement)} of the folds")
    if threshold is not None and probability - threshold < NEAR_THRESHOLD * (1 - threshold):
        texts.append(f"probability {probability:.2f}, threshold {threshold:.2f}")
    if lesion.elongation >= ELONGATED:
        texts.append(f"elongated: {lesion.elongation:.1f} times as long as thick")
    if lesion.edge_distance_mm <= NEAR_EDGE_MM:
        texts.append(_edge(lesion.edge_distance_mm))
    if lesion.equivalent_diameter_mm < SMALL_MM:
        texts.append(f"small: {lesion.equivalent_diameter_mm:.1f} mm in diameter")
    return texts


def _percent(fraction: float) -> str:
    """As a whole percentage below 100 %."""
    return f"{min(int(100 * fraction + 0.5), 99)} %"


def _edge(distance_mm: float) -> str:
    if distance_mm == 0:
        return "partly outside the brain mask"
    return f"{distance_mm:.1f} mm from the edge of the brain"
