"""Detection scores of an ensemble on simulated microbleeds, by size and place."""

from typing import Any

import numpy as np
import pandas as pd
from scipy import ndimage

from lesionflow.imaging.connected_components import label_lesions
from lesionflow.imaging.grids import equivalent_diameter_mm
from lesionflow.simulation.template_head import PLACES
from lesionflow.training.microbleed_examples import Example

SMALLEST_MM = 2.0  # smaller microbleeds are ignored: neither missed nor, if detected, false
CLASSES_MM = {"2 to 3 mm": (0.0, 3.0), "3 to 5 mm": (3.0, 5.0), "5 mm and more": (5.0, np.inf)}


def match_detections(detections: np.ndarray, example: Example) -> pd.DataFrame:
    """One row for each microbleed of 2 mm or more, and one for each false positive.

    A microbleed is detected if any of its voxels is in a detection. A detection is a false positive if none of its
    voxels is in a microbleed of any size. The diameter of a microbleed is that of its ellipsoid, the diameter of a
    false positive that of a sphere of equal volume; the place of a false positive is that of most of its voxels.

    Parameters
    ----------
    detections : array, int
        Connected components of the ensemble's map, numbered from 1, on the example's grid.

    Returns
    -------
    DataFrame
        ``diameter_mm, place, reference, detected``: ``reference`` is True for a microbleed and False for a false
        positive, ``detected`` whether a microbleed is detected (False for a false positive).
    """
    detected = np.unique(example.lesions[detections > 0])
    rows = [
        (microbleed.diameter_mm, microbleed.place, True, bool(number in detected))
        for number, microbleed in enumerate(example.microbleeds, start=1)
        if microbleed.diameter_mm >= SMALLEST_MM
    ]
    overlapping = np.unique(detections[example.lesions > 0])
    for number, box in enumerate(ndimage.find_objects(detections), start=1):
        if number not in overlapping:
            voxels = detections[box] == number
            diameter_mm = float(equivalent_diameter_mm(voxels.sum() * example.grid.voxel_mm3))
            place = np.bincount(example.place[box][voxels]).argmax()
            rows.append((diameter_mm, PLACES[place], False, False))
    return pd.DataFrame(rows, columns=["diameter_mm", "place", "reference", "detected"])


def scores(
    probabilities: list[np.ndarray], examples: list[Example], threshold: float = 0.5
) -> dict[str, Any]:
    """Sensitivity, precision, F1 and false positives per scan, over all microbleeds, by size and by place.

    Detections are 26-connected components above ``threshold`` inside the brain. The scores of a size or place are
    computed from the microbleeds and the false positives of that size or place. Undefined scores (no microbleed)
    are None.
    """
    tables = [
        match_detections(label_lesions((probability > threshold) & e.brain, 26, e.grid.affine), e)
        for probability, e in zip(probabilities, examples, strict=True)
    ]
    table = pd.concat(tables, ignore_index=True)
    scans = len(examples)
    without_lesions = [t for t, e in zip(tables, examples, strict=True) if not e.microbleeds]
    false_positives = sum(len(t) for t in without_lesions)
    return {
        "scans": scans,
        "scans_without_lesions": len(without_lesions),
        "all": _scores(table, scans),
        "false_positives_a_scan_without_lesions": _rounded(false_positives / len(without_lesions))
        if without_lesions
        else None,
        "by_diameter": {
            name: _scores(table[(table.diameter_mm >= low) & (table.diameter_mm < high)], scans)
            for name, (low, high) in CLASSES_MM.items()
        },
        "by_place": {name: _scores(table[table.place == name], scans) for name in PLACES},
    }


def _scores(table: pd.DataFrame, scans: int) -> dict[str, Any]:
    lesions, detected = int(table.reference.sum()), int(table.detected.sum())
    false_positives = len(table) - lesions
    positives = detected + false_positives
    return {
        "lesions": lesions,
        "found": detected,
        "false_positives": false_positives,
        "sensitivity": _rounded(detected / lesions) if lesions else None,
        "precision": _rounded(detected / positives) if positives else None,
        "f1": _rounded(2 * detected / (lesions + positives)) if lesions and positives else None,
        "false_positives_a_scan": _rounded(false_positives / scans),
    }


def _rounded(value: float) -> float:
    return round(value, 3)
