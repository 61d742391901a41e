"""Lesion-wise detection scores of an ensemble on simulated scans, by lesion size and place."""

from typing import Any

import numpy as np
import pandas as pd

from lesionflow.imaging.connected_components import bounding_boxes, label_lesions
from lesionflow.imaging.grids import equivalent_diameter_mm
from lesionflow.simulation.template_head import PLACES
from lesionflow.training.microbleed_examples import Example

# Smaller lesions are ignored: they count neither as missed nor, if detected, as false positives.
MIN_DIAMETER_MM = 2.0
CLASSES_MM = {"2 to 3 mm": (0.0, 3.0), "3 to 5 mm": (3.0, 5.0), "5 mm and more": (5.0, np.inf)}


def match_lesions(detections: np.ndarray, example: Example) -> pd.DataFrame:
    """Match detections with reference lesions of 2 mm and more.

    A reference lesion is detected if a detection overlaps it in at least one voxel. A detection is a false positive if
    it overlaps no reference lesion of any size. The diameter of a reference lesion is that of its ellipsoid; the
    diameter of a false positive is that of a sphere of its volume, and its place that of most of its voxels.

    Parameters
    ----------
    detections : array, int
        Connected components of the ensemble's map, numbered from 1, on the example's grid.

    Returns
    -------
    DataFrame
        One row per reference lesion and per false positive: ``diameter_mm``, ``place``, ``reference`` (whether it is
        a reference lesion), ``detected`` (whether it is a detected reference lesion).
    """
    detected_numbers = np.unique(example.lesions[detections > 0])
    rows = [
        (microbleed.diameter_mm, microbleed.place, True, bool(number in detected_numbers))
        for number, microbleed in enumerate(example.microbleeds, start=1)
        if microbleed.diameter_mm >= MIN_DIAMETER_MM
    ]
    overlapping = np.unique(detections[example.lesions > 0])
    for number, box in bounding_boxes(detections).items():
        if number not in overlapping:
            voxels = detections[box] == number
            diameter_mm = float(equivalent_diameter_mm(voxels.sum() * example.grid.voxel_mm3))
            place = np.bincount(example.place[box][voxels]).argmax()
            rows.append((diameter_mm, PLACES[place], False, False))
    return pd.DataFrame(rows, columns=["diameter_mm", "place", "reference", "detected"])


def scores(
    probabilities: list[np.ndarray], examples: list[Example], threshold: float = 0.5
) -> dict[str, Any]:
    """Sensitivity, precision, F1 and false positives per scan, over all lesions, by size and by place.

    Detections are 26-connected components above ``threshold`` within the brain mask. Each size or place has the
    reference lesions and the false positives of that size or place. Undefined values (the sensitivity without
    a lesion) are None.
    """
    tables = [
        match_lesions(label_lesions((probability > threshold) & e.brain, 26, e.grid.affine), e)
        for probability, e in zip(probabilities, examples, strict=True)
    ]
    table = pd.concat(tables, ignore_index=True)
    scans = len(examples)
    without_lesions = [t for t, e in zip(tables, examples, strict=True) if not e.microbleeds]
    false_positives = sum(len(t) for t in without_lesions)
    return {
        "scans": scans,
        "scans_without_lesions": len(without_lesions),
        "all": _detection_scores(table, scans),
        "false_positives_a_scan_without_lesions": _rounded(false_positives / len(without_lesions))
        if without_lesions
        else None,
        "by_diameter": {
            name: _detection_scores(
                table[(table.diameter_mm >= low) & (table.diameter_mm < high)], scans
            )
            for name, (low, high) in CLASSES_MM.items()
        },
        "by_place": {name: _detection_scores(table[table.place == name], scans) for name in PLACES},
    }


def _detection_scores(table: pd.DataFrame, scans: int) -> dict[str, Any]:
    lesions, detected = int(table.reference.sum()), int(table.detected.sum())
    false_positives = len(table) - lesions
    detections = detected + false_positives
    return {
        "lesions": lesions,
        "found": detected,
        "false_positives": false_positives,
        "sensitivity": _rounded(detected / lesions) if lesions else None,
        "precision": _rounded(detected / detections) if detections else None,
        "f1": _rounded(2 * detected / (lesions + detections)) if lesions and detections else None,
        "false_positives_a_scan": _rounded(false_positives / scans),
    }


def _rounded(value: float) -> float:
    return round(value, 3)
