"""Agreement of reviewers: on single lesions, and on the number of lesions of a scan."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from lesionflow.results.reviews.consensus import DECIDED, ScanReview


def agreement_rows(
    reviews: Mapping[tuple[str, str], ScanReview], labels: Mapping[str, Iterable[str]]
) -> list[dict[str, Any]]:
    """Rows of review_agreement.csv: for each model and label every pair of reviewers, then all reviewers together.

    Parameters
    ----------
    reviews
        By scan and model.
    labels
        Names of the labels of each model.
    """
    rows = []
    for model, names in labels.items():
        of_model = [review for (_, m), review in reviews.items() if m == model]
        for label in names:
            rows += _pairs(of_model, model, label)
            rows += _all_together(of_model, model, label)
    return rows


def kappa(first: Sequence[str], second: Sequence[str]) -> float:
    """Cohen's kappa (Cohen 1960) of two reviewers' decisions on the same lesions; NaN if it is undefined.

    It is without lesions, or if both have made one and the same decision on all.
    """
    if len({*first, *second}) < 2:
        return np.nan
    from sklearn.metrics import cohen_kappa_score  # takes long to import

    return float(cohen_kappa_score(first, second))


def intraclass_correlation(counts: np.ndarray) -> float:
    """ICC(2,1) of Shrout and Fleiss (1979, Psychological Bulletin 86:420-428); NaN if it is undefined.

    A two-way random-effects model for single measurements and absolute agreement.

    Parameters
    ----------
    counts : array (scans, reviewers)
        It is undefined with fewer than two of either, or if all counts are the same.
    """
    n, k = counts.shape
    if n < 2 or k < 2:
        return np.nan
    counts = counts.astype(float)
    of_scan, of_reviewer = counts.mean(axis=1), counts.mean(axis=0)
    residuals = counts - of_scan[:, None] - of_reviewer + counts.mean()
    between_scans = k * of_scan.var(ddof=1)
    between_reviewers = n * of_reviewer.var(ddof=1)
    error = (residuals**2).sum() / ((n - 1) * (k - 1))
    total = between_scans + (k - 1) * error + k * (between_reviewers - error) / n
    return float((between_scans - error) / total) if total > 0 else np.nan


def _pairs(reviews: Sequence[ScanReview], model: str, label: str) -> list[dict[str, Any]]:
    """A row for each pair of reviewers who have both accepted or rejected a lesion."""
    pairs: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for review in reviews:
        for verdict in review.lesions.values():
            decided = {
                row.reviewer: row.decision
                for row in verdict.rows
                if row.label == label and row.decision in DECIDED
            }
            for first, second in combinations(sorted(decided), 2):
                pairs.setdefault((first, second), []).append((decided[first], decided[second]))
    rows = []
    for (first, second), decisions in sorted(pairs.items()):
        ours, theirs = zip(*decisions, strict=True)
        rows.append(
            {
                **{"model": model, "label": label, "reviewers": 2},
                **{"reviewer_1": first, "reviewer_2": second},
                "lesions": len(decisions),
                "agreement": sum(a == b for a, b in decisions) / len(decisions),
                "kappa": kappa(ours, theirs),
            }
        )
    return rows


def _all_together(reviews: Sequence[ScanReview], model: str, label: str) -> list[dict[str, Any]]:
    """A row if several reviewers have decided on every counted lesion of a scan."""
    names = sorted({name for review in reviews for name in review.counts})
    if len(names) < 2:
        return []
    common = [review.counts for review in reviews if set(names) <= set(review.counts)]
    counts = np.array([[of[name].get(label, 0) for name in names] for of in common])
    row = {"model": model, "label": label, "reviewers": len(names), "scans": len(common)}
    return [row | {"icc": intraclass_correlation(counts.reshape(-1, len(names)))}]
