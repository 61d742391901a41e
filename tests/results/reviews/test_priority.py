"""Which lesions most need a look."""

import numpy as np
import pandas as pd

from lesionflow.results import columns
from lesionflow.results.reviews.priority import prioritize

UNSUSPICIOUS = {
    "max_probability": 0.97,
    "elongation": 1.4,
    "fold_agreement": 1.0,
    "edge_distance_mm": 12.0,
    "equivalent_diameter_mm": 4.0,
}


def lesions(*changes):
    """A lesion that needs no look, once with each of the changes."""
    table = pd.DataFrame(
        [UNSUSPICIOUS | change for change in changes], columns=list(UNSUSPICIOUS), dtype=float
    )
    return table.reindex(columns=columns.names(columns.LESION))


def reasons(**change):
    (of_lesion,) = prioritize(lesions(change), 0.5).reasons
    return of_lesion


def test_each_reason_names_its_number():
    assert reasons() == []
    assert reasons(fold_agreement=0.6) == ["found by 60 % of the folds"]
    assert reasons(max_probability=0.53) == ["probability 0.53, threshold 0.50"]
    assert reasons(elongation=3.21) == ["elongated: 3.2 times as long as thick"]
    assert reasons(edge_distance_mm=1.44) == ["1.4 mm from the edge of the brain"]
    assert reasons(edge_distance_mm=0) == ["partly outside the brain mask"]
    assert reasons(equivalent_diameter_mm=1.8) == ["small: 1.8 mm in diameter"]


def test_near_the_threshold_is_a_fifth_of_the_range_above_it():
    assert reasons(max_probability=0.61) == []
    table = lesions({"max_probability": 0.87}, {"max_probability": 0.89})
    first, second = prioritize(table, 0.85).reasons  # 0.85 + 0.2 * 0.15 = 0.88
    assert first == ["probability 0.87, threshold 0.85"]
    assert second == []


def test_without_a_mask_or_a_threshold_there_is_no_such_reason():
    table = lesions({"edge_distance_mm": np.nan, "max_probability": 0.4})
    assert prioritize(table, None).reasons.tolist() == [[]]


def test_folds_that_disagree_are_below_100_percent():
    assert reasons(fold_agreement=0.999) == ["found by 99 % of the folds"]


def test_lesions_with_most_reasons_come_first_then_those_near_the_threshold():
    table = lesions(
        {},
        {"max_probability": 0.9},
        {"elongation": 3, "max_probability": 0.8},
        {"fold_agreement": 0.5, "edge_distance_mm": 1},
        {"max_probability": 0.53},
        {},
    )
    assert prioritize(table, 0.5).order.tolist() == [4, 3, 2, 0, 1, 5]


def test_a_scan_without_lesions_has_no_order():
    table = prioritize(lesions(), 0.5)
    assert len(table) == 0
    assert list(table.columns) == ["reasons", "order"]
