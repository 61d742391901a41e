"""How well an ensemble finds simulated lesions: counts over scans, by size."""

from typing import Any

import numpy as np

from lesionflow.demo_data import Example
from lesionflow.lesions import components

CLASSES_MM = {"2 to 3 mm": (0.0, 3.0), "3 to 5 mm": (3.0, 5.0), "5 mm and more": (5.0, np.inf)}


def matches(
    found: np.ndarray, example: Example
) -> tuple[list[float], list[bool], list[float], list[bool]]:
    """Diameters of true and found lesions, and which of them touch one another.

    A true lesion is found when any of its voxels is, and a found one is right when any of its voxels
    lies in a true one. A true lesion's diameter is that of its ellipsoid, a found one's that of the
    sphere of its volume.

    Parameters
    ----------
    found : array, int
        Components of the ensemble's map, numbered from 1, on the example's grid.
    """
    sizes = np.bincount(found.ravel(), minlength=1)[1:] * example.grid.voxel_mm3
    hit = np.unique(example.lesions[found > 0])
    right = np.unique(found[example.lesions > 0])
    return (
        [bleed.diameter_mm for bleed in example.bleeds],
        [number in hit for number in range(1, len(example.bleeds) + 1)],
        ((6 * sizes / np.pi) ** (1 / 3)).tolist(),
        [number in right for number in range(1, len(sizes) + 1)],
    )


def scores(
    probabilities: list[np.ndarray], examples: list[Example], threshold: float = 0.5
) -> dict[str, Any]:
    """Sensitivity, precision, F1 and false positives a scan, over all lesions and by size.

    Lesions are 26-connected components above ``threshold`` inside the brain. A size class has the true
    lesions of that diameter and the false positives of that equivalent diameter; its precision is that
    of both. What is not defined (no lesion in a class) is None.
    """
    true_mm: list[float] = []
    found_mm: list[float] = []
    hit: list[bool] = []
    right: list[bool] = []
    clean = 0
    for probability, example in zip(probabilities, examples, strict=True):
        found = components((probability > threshold) & example.brain, 26, example.grid.affine)
        one = matches(found, example)
        true_mm += one[0]
        hit += one[1]
        found_mm += one[2]
        right += one[3]
        clean += 0 if example.bleeds else len(one[2])
    without = sum(not example.bleeds for example in examples)
    table = {
        "scans": len(examples),
        "scans_without_lesions": without,
        "all": _figures(true_mm, hit, found_mm, right, len(examples), (0.0, np.inf)),
        "false_positives_a_scan_without_lesions": round(clean / without, 3) if without else None,
        "by_diameter": {
            name: _figures(true_mm, hit, found_mm, right, len(examples), ends)
            for name, ends in CLASSES_MM.items()
        },
    }
    return table


def _figures(
    true_mm: list[float],
    hit: list[bool],
    found_mm: list[float],
    right: list[bool],
    scans: int,
    ends: tuple[float, float],
) -> dict[str, Any]:
    low, high = ends
    hits = [h for mm, h in zip(true_mm, hit, strict=True) if low <= mm < high]
    false = sum(not r for mm, r in zip(found_mm, right, strict=True) if low <= mm < high)
    sensitivity = sum(hits) / len(hits) if hits else None
    precision = sum(hits) / (sum(hits) + false) if sum(hits) + false else None
    f1 = None
    if sensitivity is not None and precision is not None:
        f1 = 2 * sum(hits) / (len(hits) + sum(hits) + false)
    return {
        "lesions": len(hits),
        "found": sum(hits),
        "false_positives": false,
        "sensitivity": _rounded(sensitivity),
        "precision": _rounded(precision),
        "f1": _rounded(f1),
        "false_positives_a_scan": _rounded(false / scans),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
