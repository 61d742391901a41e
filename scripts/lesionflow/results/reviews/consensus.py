"""What the decisions of one or several reviewers say of a scan: reviewed counts, conflicts, and what is still open."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from lesionflow.results.reviews.current_lesions import CurrentLesions
from lesionflow.results.reviews.following import (
    SAME_LESION_MM,
    Placed,
    Unmatched,
    distance_mm,
    place_decisions,
)
from lesionflow.results.reviews.review_file import Decision

DECIDED = ("accepted", "rejected")


@dataclass(frozen=True)
class Verdict:
    """What the reviewers decided on a lesion, found or missed by the model.

    Attributes
    ----------
    decision
        That of all reviewers; ``conflict`` if they differ, or if one has marked a missed lesion and another, who has
        reviewed the whole scan, has not.
    rows
        The decisions, in the order of the files.
    unmarked_by
        Of a missed lesion in conflict: the reviewers who have not marked it.
    """

    decision: str
    rows: tuple[Decision, ...]
    unmarked_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class ScanReview:
    """The review of a scan under a model.

    Attributes
    ----------
    state
        ``none``, ``partial`` or ``complete``.
    lesions
        The verdict on each lesion with a decision, by its number.
    missed
        The verdict on each missed lesion.
    unmatched
        Decisions that apply to no lesion.
    counts
        By reviewer who has decided on every counted lesion: the number of lesions of each label.
    """

    state: str
    lesions: Mapping[int, Verdict]
    missed: Sequence[Verdict]
    unmatched: Sequence[Unmatched]
    counts: Mapping[str, Mapping[str, int]]


def review_scan(decisions: Sequence[Decision], current: CurrentLesions) -> ScanReview:
    """Join the decisions on a scan under a model.

    The review is complete if every counted lesion is accepted or rejected by all who decided on it, no lesion is
    unsure or in conflict, and nothing is open: a decision on a lesion that is no longer found, other than a rejection,
    is open until a missed lesion is marked within ``SAME_LESION_MM`` of it, or its reviewer states on the current
    lesion map that the scan is complete. A scan without a counted lesion needs the statement ``complete`` or a missed
    lesion: nothing else shows that somebody has looked at it.

    Parameters
    ----------
    decisions
        Rows of this scan and model (``review_file.read_reviews``).
    current
        The lesions of the scan.
    """
    if not decisions:
        return ScanReview("none", {}, (), (), {})
    placed = place_decisions(decisions, current)
    lesions = {number: _verdict(rows) for number, rows in sorted(placed.by_lesion.items()) if rows}
    _leave_marks_on_accepted(placed, lesions, current)
    kept = [number for number in current.by_number if current.kept(number)]
    reviewers = list(dict.fromkeys(row.reviewer for row in decisions))
    through = [name for name in reviewers if _has_seen_all(name, kept, placed)]
    missed = _join_marks(placed.missed, through)
    is_complete = (
        all(number in lesions for number in kept)
        and all(verdict.decision in DECIDED for verdict in lesions.values())
        and all(verdict.decision == "missed" for verdict in missed)
        and bool(kept or placed.complete or missed)
        and not any(_is_open(row, lesions, placed, current) for row in placed.unmatched)
    )
    counts = {
        name: _count(name, placed, current)
        for name in reviewers
        if _is_complete_of(name, kept, placed)
    }
    state = "complete" if is_complete else "partial"
    return ScanReview(state, lesions, missed, placed.unmatched, counts)


def _verdict(rows: Iterable[Decision]) -> Verdict:
    rows = tuple(rows)
    decisions = {row.decision for row in rows}
    return Verdict(decisions.pop() if len(decisions) == 1 else "conflict", rows)


def _leave_marks_on_accepted(
    placed: Placed, lesions: Mapping[int, Verdict], current: CurrentLesions
) -> None:
    """Take out marked lesions that lie in a dropped lesion which is accepted: it is counted already."""
    accepted = [
        number
        for number, verdict in lesions.items()
        if verdict.decision == "accepted" and not current.kept(number)
    ]
    for row in list(placed.missed):
        index = np.rint(_voxel(row, current)).astype(int)
        if ((index < 0) | (index >= current.shape)).any():
            continue
        flat = np.ravel_multi_index(tuple(index), current.shape, order="F")
        for number in current.at(np.array([flat])).intersection(accepted):
            if current.by_number[number]["label"] == row.label:
                placed.missed.remove(row)
                reason = f"lesion {number} lies there and is accepted"
                placed.unmatched.append(Unmatched(row, reason, frozenset([number])))


def _voxel(row: Decision, current: CurrentLesions) -> np.ndarray:
    assert row.place_mm is not None
    inverse = np.linalg.inv(current.affine)
    return inverse[:3, :3] @ row.place_mm + inverse[:3, 3]


def _decisions_of(name: str, placed: Placed) -> dict[int, str]:
    """Decision of a reviewer by the number of the lesion."""
    return {
        number: row.decision
        for number, rows in placed.by_lesion.items()
        for row in rows
        if row.reviewer == name
    }


def _has_seen_all(name: str, kept: Iterable[int], placed: Placed) -> bool:
    """Whether a reviewer has looked at the whole scan, so that what he has not marked is no lesion to him."""
    if any(row.reviewer == name for row in placed.complete):
        return True
    kept = list(kept)
    return bool(kept) and set(kept) <= set(_decisions_of(name, placed))


def _is_complete_of(name: str, kept: Sequence[int], placed: Placed) -> bool:
    """Whether a reviewer alone has decided on every counted lesion."""
    decisions = _decisions_of(name, placed)
    looked = kept or any(row.reviewer == name for row in [*placed.complete, *placed.missed])
    decided = all(decisions.get(number) in DECIDED for number in kept)
    return bool(looked) and decided and "unsure" not in decisions.values()


def _count(name: str, placed: Placed, current: CurrentLesions) -> dict[str, int]:
    """Number of lesions of each label that a reviewer has accepted or marked."""
    accepted = [n for n, decision in _decisions_of(name, placed).items() if decision == "accepted"]
    labels = [current.by_number[number]["label"] for number in accepted]
    labels += [row.label for row in placed.missed if row.reviewer == name]
    return {label: labels.count(label) for label in labels}


def _join_marks(marks: Sequence[Decision], through: Iterable[str]) -> list[Verdict]:
    """One verdict per missed lesion: marks of different reviewers within ``SAME_LESION_MM`` are one, nearest first.

    Parameters
    ----------
    marks
        Rows with the decision ``missed``.
    through
        Reviewers who have looked at the whole scan.
    """
    groups = {number: [mark] for number, mark in enumerate(marks)}
    group_of = list(range(len(marks)))
    pairs = [
        (distance_mm(marks[a], marks[b]), a, b)
        for a, b in combinations(range(len(marks)), 2)
        if marks[a].label == marks[b].label
    ]
    for distance, a, b in sorted(pairs):
        first, second = group_of[a], group_of[b]
        names = [mark.reviewer for mark in groups[first] + groups[second]]
        if distance <= SAME_LESION_MM and first != second and len(set(names)) == len(names):
            groups[first] += groups.pop(second)
            group_of = [first if group == second else group for group in group_of]
    verdicts = []
    for group in groups.values():
        marked_by = {mark.reviewer for mark in group}
        unmarked_by = tuple(name for name in through if name not in marked_by)
        decision = "conflict" if unmarked_by else "missed"
        verdicts.append(Verdict(decision, tuple(group), unmarked_by))
    return verdicts


def _is_open(
    unmatched: Unmatched,
    lesions: Mapping[int, Verdict],
    placed: Placed,
    current: CurrentLesions,
) -> bool:
    """Whether a decision that applies to no lesion is still to be decided on."""
    row = unmatched.decision
    if not unmatched.is_open or any(number in lesions for number in unmatched.lesions):
        return False
    marked = (mark for mark in placed.missed if mark.label == row.label)
    if any(distance_mm(mark, row) <= SAME_LESION_MM for mark in marked):
        return False
    return not any(
        statement.reviewer == row.reviewer
        and statement.lesion_map_sha256 == current.lesion_map_sha256
        and statement.date >= row.date
        for statement in placed.complete
    )
