"""Agreement of reviewers, with examples of textbooks."""

import numpy as np
import pytest

from lesionflow.results.reviews.agreement import agreement_rows, intraclass_correlation, kappa
from lesionflow.results.reviews.consensus import review_scan
from support.reviews import complete, current_of, line, marked_on, on

# Shrout and Fleiss 1979, table 2: six targets and four judges; table 4: ICC(2,1) = .29
SHROUT_FLEISS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
)
MAP = line(a=(1, 2, 4), b=(2, 8, 9), c=(3, 12, 14))


def test_intraclass_correlation_of_shrout_and_fleiss():
    assert intraclass_correlation(SHROUT_FLEISS) == pytest.approx(0.29, abs=0.005)


def test_intraclass_correlation_of_equal_and_of_shifted_counts():
    assert intraclass_correlation(np.array([[1, 1], [4, 4], [7, 7]])) == pytest.approx(1)
    # means of scans 2, 4 (BMS 4), of reviewers 2.5, 3.5 (JMS 1), no error: 4 / (4 + 2 * 1 / 2)
    assert intraclass_correlation(np.array([[1.5, 2.5], [3.5, 4.5]])) == pytest.approx(0.8)


@pytest.mark.parametrize("counts", [np.ones((3, 2)), np.ones((1, 2)), np.array([[1], [2]])])
def test_intraclass_correlation_may_be_undefined(counts):
    assert np.isnan(intraclass_correlation(counts))


def test_kappa_of_fifty_proposals():
    """Both accept 20 and reject 15; one alone accepts 5, the other 10: 0.7 agree, 0.5 by chance."""
    first = ["accepted"] * 20 + ["accepted"] * 5 + ["rejected"] * 10 + ["rejected"] * 15
    second = ["accepted"] * 20 + ["rejected"] * 5 + ["accepted"] * 10 + ["rejected"] * 15
    assert kappa(first, second) == pytest.approx(0.4)
    assert np.isnan(kappa(["accepted"] * 3, ["accepted"] * 3))
    assert np.isnan(kappa([], []))
    assert kappa(["accepted"] * 2, ["accepted", "rejected"]) == 0


def test_rows_of_two_reviewers():
    def of(reviewer, *verdicts):
        return [on(MAP, verdict, n, reviewer) for n, verdict in enumerate(verdicts, start=1)]

    first = of("Ann", "accepted", "accepted", "rejected") + of("Ben", *["accepted"] * 3)
    second = of("Ann", "rejected", "rejected", "rejected") + of("Ben", "rejected", "unsure")
    second += [marked_on(MAP, 33.0, "Ben")]
    third = [complete("Ann"), complete("Ben"), marked_on(line(), 33.0, "Ann")]
    reviews = {
        ("sub-1", "m"): review_scan(first, current_of(MAP)),
        ("sub-2", "m"): review_scan(second, current_of(MAP)),
        ("sub-3", "m"): review_scan(third, current_of(line())),
        ("sub-1", "other"): review_scan(first[:3], current_of(MAP)),
    }
    pair, together = agreement_rows(reviews, {"m": ["cmb", "wmh"], "other": ["cmb"]})[:2]
    # AA AA RA in the first scan, RR in the second: 3 of 4 agree; by chance 0.5 * 0.75 + 0.5 * 0.25
    assert pair == {
        **{"model": "m", "label": "cmb", "reviewers": 2, "reviewer_1": "Ann"},
        **{"reviewer_2": "Ben", "lesions": 4, "agreement": 0.75, "kappa": pytest.approx(0.5)},
    }
    # 2 and 3 lesions in the first scan, 1 and 0 in the third: BMS 4, JMS 0, EMS 1
    assert together == {
        **{"model": "m", "label": "cmb", "reviewers": 2, "scans": 2},
        "icc": pytest.approx((4 - 1) / (4 + 1 + 2 * (0 - 1) / 2)),
    }
    assert [row["label"] for row in agreement_rows(reviews, {"m": ["wmh"]})] == ["wmh"]
    assert agreement_rows(reviews, {"other": ["cmb"]}) == []
