"""The reviews of a cohort: what they add to its tables, and the tables of what is unmatched, in conflict and agreed."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lesionflow.base import json_sidecar, layout
from lesionflow.imaging.grids import nearest_voxels
from lesionflow.results import columns
from lesionflow.results.reviews import review_columns
from lesionflow.results.reviews.agreement import agreement_rows
from lesionflow.results.reviews.consensus import ScanReview, Verdict, review_scan
from lesionflow.results.reviews.current_lesions import (
    CurrentLesions,
    check_described,
    read_current,
)
from lesionflow.results.reviews.current_review import current_decisions
from lesionflow.results.reviews.following import Unmatched
from lesionflow.results.reviews.review_file import Decision, read_reviews, write_review
from lesionflow.results.scan_status import States, scan_wildcards
from lesionflow.results.tables_io import write_table

NO_REVIEW = ScanReview("none", {}, (), (), {})
PLACE = ("x_mm", "y_mm", "z_mm")
FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # with which a cell of a spreadsheet begins
TABLES = (
    (layout.REVIEW_UNMATCHED, layout.REVIEW_UNMATCHED_COLUMNS, review_columns.UNMATCHED),
    (layout.REVIEW_CONFLICTS, layout.REVIEW_CONFLICT_COLUMNS, review_columns.CONFLICTS),
    (layout.REVIEW_AGREEMENT, layout.REVIEW_AGREEMENT_COLUMNS, review_columns.AGREEMENT),
)
CURRENT = (layout.REVIEW_CURRENT, layout.REVIEW_CURRENT_COLUMNS)


@dataclass
class CohortReview:
    """The reviews of a cohort.

    Attributes
    ----------
    reviews
        By scan and model; only those with decisions and results.
    lesions
        The current lesions of the same scans.
    unmatched
        All decisions that apply to no lesion, in the order of the files.
    decisions
        All decisions as they apply to the current lesions (``current_review.current_decisions``).
    """

    reviews: dict[tuple[str, str], ScanReview] = field(default_factory=dict)
    lesions: dict[tuple[str, str], CurrentLesions] = field(default_factory=dict)
    unmatched: list[Unmatched] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)

    def cohort_cells(self, scan: str, model: str, labels: Iterable[str]) -> dict[str, Any]:
        """Cells of a scan with results: ``review``, and of each label the reviewed counts if it is complete."""
        review = self.reviews.get((scan, model), NO_REVIEW)
        cells: dict[str, Any] = {"review": review.state}
        if review.state != "complete":
            return cells
        rows = self.lesions[scan, model].by_number
        accepted = [rows[n] for n, v in review.lesions.items() if v.decision == "accepted"]
        for label in labels:
            volumes = [float(row["volume_mm3"]) for row in accepted if row["label"] == label]
            missed = sum(verdict.rows[0].label == label for verdict in review.missed)
            cells |= {
                f"{label}_reviewed_count": len(volumes) + missed,
                f"{label}_reviewed_volume_mm3": np.nan if missed else sum(volumes),
                f"{label}_missed_count": missed,
            }
        return cells

    def reviewed_lesions(
        self, rows: Iterable[dict[Any, Any]], scan: str, model: str
    ) -> list[dict[Any, Any]]:
        """The rows of a scan in lesions.csv with the cells of the review, and the missed lesions below."""
        review = self.reviews.get((scan, model), NO_REVIEW)
        reviewed = [row | _verdict_cells(review.lesions.get(int(row["lesion"]))) for row in rows]
        missed = (_missed_row(verdict, self.lesions[scan, model]) for verdict in review.missed)
        return [*reviewed, *missed]


def review_cohort(
    paths: Sequence[str | Path],
    plan: Sequence[Mapping[str, Any]],
    models: Mapping[str, Mapping[str, Any]],
    states: States,
    results: Path,
) -> CohortReview:
    """Read reviews and place their decisions on the lesions of a cohort.

    Parameters
    ----------
    paths
        Files review.tsv.
    plan, models, states, results
        As for ``cohort_tables.cohort_table``.

    Raises
    ------
    ReviewError
        If a review cannot be used.
    """
    decisions = read_reviews(paths, [record["scan"] for record in plan])
    records = {record["scan"]: record for record in plan}
    by_scan: dict[str, dict[str, list[Decision]]] = {scan: {} for scan in records}
    for decision in decisions:
        by_scan[decision.scan].setdefault(decision.model, []).append(decision)
    cohort = CohortReview()
    for scan, by_model in by_scan.items():
        for model, of_scan in by_model.items():
            current, reason = None, "the model is not one of this run"
            if model in models:
                status = states[scan, model][0]
                reason = f"the scan has no results: {status if status != 'ok' else 'lesion map'}"
                wildcards = scan_wildcards(records[scan], model)
                with suppress(FileNotFoundError):  # a failed run may lack it
                    if status == "ok":
                        current = read_current(results, wildcards, models[model]["labels"])
            if current is None:
                cohort.unmatched += [Unmatched(row, reason) for row in of_scan]
                continue
            check_described(of_scan, current)
            review = review_scan(of_scan, current)
            cohort.reviews[scan, model], cohort.lesions[scan, model] = review, current
            cohort.unmatched += review.unmatched
    place = {decision.source: n for n, decision in enumerate(decisions)}
    cohort.unmatched.sort(key=lambda left: place[left.decision.source])
    cohort.decisions = current_decisions(decisions, cohort.reviews, cohort.lesions)
    return cohort


def write_review_tables(
    cohort: CohortReview | None, models: Mapping[str, Mapping[str, Any]], results: Path
) -> None:
    """Write review_unmatched.csv, review_conflicts.csv, review_agreement.csv and review_current.tsv with their dictionaries.

    Parameters
    ----------
    cohort
        None if there are no reviews: the tables of an earlier run are removed.
    models
        Summary of each model by name (``columns.model_summary``).
    results
        Folder of the results.
    """
    if cohort is None:
        for pattern, dictionary in (*(table[:2] for table in TABLES), CURRENT):
            for name in (pattern, dictionary):
                layout.path(name, results).unlink(missing_ok=True)
        return
    write_review(layout.path(layout.REVIEW_CURRENT, results), cohort.decisions)
    labels = {model: summary["labels"] for model, summary in models.items()}
    agreement = agreement_rows(cohort.reviews, labels)
    for row in agreement:
        row |= {key: as_text(row.get(key, "")) for key in ("reviewer_1", "reviewer_2")}
    contents = [_unmatched_row(left) for left in cohort.unmatched], _conflicts(cohort), agreement
    for (pattern, dictionary, table_columns), rows in zip(TABLES, contents, strict=True):
        table = pd.DataFrame(rows, columns=columns.names(table_columns))
        counts = [name for name in ("lesions", "scans") if name in table]
        table = table.astype(dict.fromkeys(counts, "Int64"))  # as floats, 3 would be 3.0
        write_table(layout.path(pattern, results), table)
        json_sidecar.write(
            layout.path(dictionary, results), columns.dictionary(list(table_columns))
        )


def as_text(text: str) -> str:
    """Text of a reviewer for a cell of a table: in one line, and no formula to a spreadsheet that opens the table."""
    line = " ".join(text.splitlines())
    return f"'{line}" if line.lstrip().startswith(FORMULA) else line


def _joined(texts: Iterable[str]) -> str:
    """Texts in one cell; empty if all are."""
    texts = list(texts)
    return as_text("; ".join(texts)) if any(texts) else ""


def _verdict_cells(verdict: Verdict | None) -> dict[str, str]:
    """The columns ``review_columns.OF_LESION`` of a lesion."""
    rows = verdict.rows if verdict else ()
    return {
        "decision": verdict.decision if verdict else "",
        "reviewer": _joined(row.reviewer for row in rows),
        "reviewed_at": _joined(row.date for row in rows),
        "note": _joined(row.note for row in rows),
    }


def _missed_row(verdict: Verdict, current: CurrentLesions) -> dict[str, str]:
    """The row of a missed lesion in lesions.csv, at the place of its first mark."""
    mark = verdict.rows[0]
    assert mark.place_mm is not None
    voxel = nearest_voxels(np.array(mark.place_mm), current.affine, current.shape)[0]
    return {
        **dict.fromkeys(columns.names(columns.LESION), ""),
        **{"scan": mark.scan, "model": mark.model, "label": mark.label},
        **{key: str(round(mm, 4)) for key, mm in zip(PLACE, mark.place_mm, strict=True)},
        **{key: str(index) for key, index in zip("ijk", voxel, strict=True)},
        **{"kept": "false", "dropped_because": "marked by a reviewer"},
        **_verdict_cells(verdict),
    }


def _place(decision: Decision) -> dict[str, float]:
    return dict(zip(PLACE, decision.place_mm or (np.nan,) * 3, strict=True))


def _unmatched_row(left: Unmatched) -> dict[str, Any]:
    row = left.decision
    return {
        **{"scan": row.scan, "model": as_text(row.model), "label": as_text(row.label)},
        "lesion": row.lesion or "",
        **_place(row),
        **{"decision": row.decision, "reviewer": as_text(row.reviewer), "date": row.date},
        **{"note": as_text(row.note), "reason": left.reason},
    }


def _conflicts(cohort: CohortReview) -> list[dict[str, Any]]:
    """Rows of review_conflicts.csv."""
    rows = []
    for of_scan, review in cohort.reviews.items():
        by_number = cohort.lesions[of_scan].by_number
        verdicts = [(by_number[number], verdict) for number, verdict in review.lesions.items()]
        verdicts += [({}, verdict) for verdict in review.missed]
        for lesion, verdict in verdicts:
            if verdict.decision != "conflict":
                continue
            first, unmarked = verdict.rows[0], verdict.unmarked_by
            place = {axis: float(lesion[axis]) for axis in PLACE if lesion} or _place(first)
            blank = [""] * len(unmarked)
            decisions = [row.decision for row in verdict.rows] + ["not marked"] * len(unmarked)
            rows.append(
                {
                    **{"scan": first.scan, "model": first.model, "label": first.label},
                    "lesion": lesion.get("lesion", ""),
                    **place,
                    "decisions": _joined(decisions),
                    "reviewers": _joined([*(row.reviewer for row in verdict.rows), *unmarked]),
                    "dates": _joined([*(row.date for row in verdict.rows), *blank]),
                    "notes": _joined([*(row.note for row in verdict.rows), *blank]),
                }
            )
    return rows
