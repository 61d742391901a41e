"""How well an ensemble finds simulated lesions: counts over scans, by size and place."""

from typing import Any

import numpy as np
import pandas as pd
from scipy import ndimage

from lesionflow.imaging.connected_components import label_lesions
from lesionflow.simulation.template_head import PLACES
from lesionflow.training.microbleed_examples import Example

SMALLEST_MM = 2.0  # a true lesion below is neither wanted nor, where it is found, false
CLASSES_MM = {"2 to 3 mm": (0.0, 3.0), "3 to 5 mm": (3.0, 5.0), "5 mm and more": (5.0, np.inf)}


def matches(found: np.ndarray, example: Example) -> pd.DataFrame:
    """True lesions of 2 mm and more, and false ones: a row each.

    A true lesion is found when any of its voxels is; what is found is false when none of its voxels
    lies in a true lesion, of any size. A true lesion's diameter is that of its ellipsoid, a false
    one's that of the sphere of its volume; a false one's place is that of most of its voxels.

    Parameters
    ----------
    found : array, int
        Components of the ensemble's map, numbered from 1, on the example's grid.

    Returns
    -------
    DataFrame
        ``mm, place, true, hit`` (whether a true lesion is found; False for a false one).
    """
    hit = np.unique(example.lesions[found > 0])
    rows = [
        (bleed.diameter_mm, bleed.place, True, bool(number in hit))
        for number, bleed in enumerate(example.bleeds, start=1)
        if bleed.diameter_mm >= SMALLEST_MM
    ]
    right = np.unique(found[example.lesions > 0])
    for number, box in enumerate(ndimage.find_objects(found), start=1):
        if number not in right:
            own = found[box] == number
            mm = (6 * own.sum() * example.grid.voxel_mm3 / np.pi) ** (1 / 3)
            place = np.bincount(example.place[box][own]).argmax()
            rows.append((float(mm), PLACES[place], False, False))
    return pd.DataFrame(rows, columns=["mm", "place", "true", "hit"])


def scores(
    probabilities: list[np.ndarray], examples: list[Example], threshold: float = 0.5
) -> dict[str, Any]:
    """Sensitivity, precision, F1 and false positives a scan, over all lesions, by size and by place.

    Lesions are 26-connected components above ``threshold`` inside the brain. A class has the true
    lesions and the false positives of that size or place; its precision is that of both. What is not
    defined (no lesion in a class) is None.
    """
    parts = [
        matches(label_lesions((probability > threshold) & e.brain, 26, e.grid.affine), e)
        for probability, e in zip(probabilities, examples, strict=True)
    ]
    table = pd.concat(parts, ignore_index=True)
    scans = len(examples)
    clean = [part for part, e in zip(parts, examples, strict=True) if not e.bleeds]
    false = sum(len(part) for part in clean)
    return {
        "scans": scans,
        "scans_without_lesions": len(clean),
        "all": _figures(table, scans),
        "false_positives_a_scan_without_lesions": _rounded(false / len(clean)) if clean else None,
        "by_diameter": {
            name: _figures(table[(table.mm >= low) & (table.mm < high)], scans)
            for name, (low, high) in CLASSES_MM.items()
        },
        "by_place": {name: _figures(table[table.place == name], scans) for name in PLACES},
    }


def _figures(table: pd.DataFrame, scans: int) -> dict[str, Any]:
    lesions, hits = int(table.true.sum()), int(table.hit.sum())
    false = len(table) - lesions
    return {
        "lesions": lesions,
        "found": hits,
        "false_positives": false,
        "sensitivity": _rounded(hits / lesions) if lesions else None,
        "precision": _rounded(hits / (hits + false)) if hits + false else None,
        "f1": _rounded(2 * hits / (lesions + hits + false)) if lesions and hits + false else None,
        "false_positives_a_scan": _rounded(false / scans),
    }


def _rounded(value: float) -> float:
    return round(value, 3)
