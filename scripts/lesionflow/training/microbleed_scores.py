"""Detection scores of an ensemble on simulated lesions, by size and place."""

from typing import Any

import numpy as np
import pandas as pd
from scipy import ndimage

from lesionflow.imaging.connected_components import label_lesions
from lesionflow.imaging.grids import equivalent_diameter_mm
from lesionflow.simulation.template_head import PLACES
from lesionflow.training.microbleed_examples import Example

SMALLEST_MM = 2.0  # smaller true lesions count neither as missed nor, if detected, as false
CLASSES_MM = {"2 to 3 mm": (0.0, 3.0), "3 to 5 mm": (3.0, 5.0), "5 mm and more": (5.0, np.inf)}


def matches(detections: np.ndarray, example: Example) -> pd.DataFrame:
    """One row for each true lesion of 2 mm and more, and one for each false positive.

    A true lesion is detected if any of its voxels is. A detection is a false positive if none of its voxels
    lies in a true lesion, of any size. The diameter of a true lesion is that of its ellipsoid, the diameter of a
    false positive that of a sphere of its volume; the place of a false positive is that of most of its voxels.

    Parameters
    ----------
    detections : array, int
        Connected components of the ensemble's map, numbered from 1, on the example's grid.

    Returns
    -------
    DataFrame
        ``mm, place, true, hit`` (whether a true lesion is detected; False for a false positive).
    """
    hit = np.unique(example.lesions[detections > 0])
    rows = [
        (bleed.diameter_mm, bleed.place, True, bool(number in hit))
        for number, bleed in enumerate(example.bleeds, start=1)
        if bleed.diameter_mm >= SMALLEST_MM
    ]
    overlapping = np.unique(detections[example.lesions > 0])
    for number, box in enumerate(ndimage.find_objects(detections), start=1):
        if number not in overlapping:
            voxels = detections[box] == number
            mm = float(equivalent_diameter_mm(voxels.sum() * example.grid.voxel_mm3))
            place = np.bincount(example.place[box][voxels]).argmax()
            rows.append((float(mm), PLACES[place], False, False))
    return pd.DataFrame(rows, columns=["mm", "place", "true", "hit"])


def scores(
    probabilities: list[np.ndarray], examples: list[Example], threshold: float = 0.5
) -> dict[str, Any]:
    """Sensitivity, precision, F1 and false positives per scan, over all lesions, by size and by place.

    Lesions are 26-connected components above ``threshold`` inside the brain. A class consists of the
    true lesions and the false positives of that size or place, and its precision is computed from both. Values
    that are not defined (no lesion in a class) are None.
    """
    tables = [
        matches(label_lesions((probability > threshold) & e.brain, 26, e.grid.affine), e)
        for probability, e in zip(probabilities, examples, strict=True)
    ]
    table = pd.concat(tables, ignore_index=True)
    scans = len(examples)
    without_lesions = [t for t, e in zip(tables, examples, strict=True) if not e.bleeds]
    false = sum(len(t) for t in without_lesions)
    return {
        "scans": scans,
        "scans_without_lesions": len(without_lesions),
        "all": _figures(table, scans),
        "false_positives_a_scan_without_lesions": _rounded(false / len(without_lesions))
        if without_lesions
        else None,
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
