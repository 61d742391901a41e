"""Decisions of reviewers on the current lesions of a scan, also those made on an earlier lesion map."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from nibabel.affines import apply_affine

from lesionflow.results.reviews.current_lesions import CurrentLesions
from lesionflow.results.reviews.lesion_voxels import decode
from lesionflow.results.reviews.review_file import Decision

SAME_LESION_MM = (
    5.0  # a choice: half the diameter of the largest microbleed (10 mm, Greenberg et al. 2009)
)
SAME_OVERLAP = 0.25  # share of the larger of two lesions that they have in common; a choice


@dataclass(frozen=True)
class Unmatched:
    """A decision that applies to no current lesion.

    Attributes
    ----------
    decision
        The decision.
    reason
        Why, in words.
    lesions
        Current lesions that lie at its place.
    is_open
        Whether the scan may have a lesion there that no decision on a current lesion covers.
    """

    decision: Decision
    reason: str
    lesions: frozenset[int] = frozenset()
    is_open: bool = False


@dataclass
class Placed:
    """The decisions on a scan under a model, each of them once.

    Attributes
    ----------
    by_lesion
        By the number of the current lesion; at most one of each reviewer.
    missed
        Marked lesions.
    complete
        Statements that the whole scan was looked at.
    unmatched
        All others.
    """

    by_lesion: dict[int, list[Decision]] = field(default_factory=lambda: defaultdict(list))
    missed: list[Decision] = field(default_factory=list)
    complete: list[Decision] = field(default_factory=list)
    unmatched: list[Unmatched] = field(default_factory=list)


def place_decisions(decisions: Iterable[Decision], current: CurrentLesions) -> Placed:
    """Find the current lesion of each decision on a scan under a model.

    A decision on the current lesion map applies to the lesion with its number. One on an earlier map of the same scan
    follows its lesion if this overlaps one current lesion of the same label, if that one overlaps no other lesion of
    the earlier map with a decision, and if the two share at least ``SAME_OVERLAP`` of the larger one. A marked lesion stays where it was marked, unless a counted lesion of
    its label that no decision of the same earlier map has followed now lies within ``SAME_LESION_MM``. Of several
    decisions of a reviewer on one lesion, made on different maps, the latest applies.

    Parameters
    ----------
    decisions
        Rows of one scan and model (``review_file.read_reviews``), checked with ``current_lesions.check_described``.
    current
        The lesions of the scan.
    """
    placed = Placed()
    earlier: dict[str, list[Decision]] = defaultdict(list)
    followed: dict[str, set[int]] = defaultdict(set)
    marks = []
    for row in decisions:
        if row.scan_sha256 != current.scan_sha256:
            reason = "the scan is another image than the one that was reviewed"
            placed.unmatched.append(Unmatched(row, reason))
        elif row.label and row.label not in current.labels:
            reason = f"the model has no label {row.label!r}"
            placed.unmatched.append(Unmatched(row, reason, is_open=row.decision != "rejected"))
        elif row.decision == "complete":
            placed.complete.append(row)
        elif row.decision == "missed":
            marks.append(row)
        elif row.lesion_map_sha256 == current.lesion_map_sha256:
            placed.by_lesion[row.lesion].append(row)
        else:
            earlier[row.lesion_map_sha256].append(row)
    for digest, rows in earlier.items():
        followed[digest] = _follow(rows, current, placed)
    for number, rows in placed.by_lesion.items():
        placed.by_lesion[number] = _latest(rows, current, placed)
    for row in marks:
        _place_mark(row, current, followed[row.lesion_map_sha256], placed)
    placed.missed = _latest_marks(placed)
    return placed


def nearest_lesion(
    place_mm: tuple[float, float, float], numbers: Iterable[int], current: CurrentLesions
) -> tuple[int, float]:
    """The lesion among ``numbers`` that is nearest to a place, and its distance in mm; 0 and infinity without any."""
    nearest = 0, np.inf
    for number in numbers:
        indices = np.unravel_index(current.indices(number), current.shape, order="F")
        xyz = apply_affine(current.affine, np.column_stack(indices))
        distance = float(np.linalg.norm(xyz - place_mm, axis=1).min())
        if distance < nearest[1]:
            nearest = number, distance
    return nearest


def _follow(rows: list[Decision], current: CurrentLesions, placed: Placed) -> set[int]:
    """Place decisions on lesions of one earlier map; returns the current lesions that they have followed."""
    voxels = {row.lesion: decode(row.voxels, current.shape) for row in rows}
    now = {lesion: current.at(indices) for lesion, indices in voxels.items()}
    before: dict[int, list[int]] = defaultdict(list)
    for lesion, numbers in now.items():
        for number in numbers:
            before[number].append(lesion)
    followed = set()
    for row in rows:
        numbers = now[row.lesion]
        number = min(numbers, default=0)
        size, shared = _overlap(voxels[row.lesion], number, current)
        others = [str(lesion) for lesion in sorted(before[number]) if lesion != row.lesion]
        if not numbers:
            reason = "no lesion lies there now"
        elif len(numbers) > 1:
            reason = f"lesions {', '.join(map(str, sorted(numbers)))} lie there now"
        elif others:
            reason = f"lesion {number}, which lies there now, also holds lesion {', '.join(others)} of that time"
        elif current.by_number[number]["label"] != row.label:
            label = current.by_number[number]["label"]
            reason = f"lesion {number}, which lies there now, is labelled {label}"
        elif shared < SAME_OVERLAP * max(size, len(voxels[row.lesion])):
            reason = (
                f"lesion {number}, which lies there now, has {shared} of the {len(voxels[row.lesion])} voxels of that "
                f"time, and {size} in all"
            )
        else:
            placed.by_lesion[number].append(row)
            followed.add(number)
            continue
        is_open = row.decision != "rejected"
        placed.unmatched.append(Unmatched(row, reason, frozenset(numbers), is_open))
    return followed


def _overlap(voxels: np.ndarray, number: int, current: CurrentLesions) -> tuple[int, int]:
    """Number of voxels of a current lesion (0: of none), and how many of them are among ``voxels``."""
    if not number:
        return 0, 0
    indices = current.indices(number)
    return len(indices), int(np.isin(indices, voxels).sum())


def _latest(rows: list[Decision], current: CurrentLesions, placed: Placed) -> list[Decision]:
    """The latest decision of each reviewer on a lesion, on the current map if two have the same date."""
    latest: dict[str, Decision] = {}
    for row in sorted(
        rows, key=lambda r: (r.date, r.lesion_map_sha256 == current.lesion_map_sha256)
    ):
        if replaced := latest.pop(row.reviewer, None):
            placed.unmatched.append(Unmatched(replaced, _replaced_by(row)))
        latest[row.reviewer] = row
    return [row for row in rows if row in latest.values()]


def _place_mark(row: Decision, current: CurrentLesions, followed: set[int], placed: Placed) -> None:
    """Place a marked lesion, unless a current lesion is likely to be it."""
    assert row.place_mm is not None
    if row.lesion_map_sha256 != current.lesion_map_sha256:
        of_label = [
            number
            for number, lesion in current.by_number.items()
            if lesion["label"] == row.label and current.kept(number) and number not in followed
        ]
        number, distance = nearest_lesion(row.place_mm, of_label, current)
        if distance <= SAME_LESION_MM:
            reason = f"lesion {number} lies there now: decide on it"
            placed.unmatched.append(Unmatched(row, reason, frozenset([number]), True))
            return
    placed.missed.append(row)


def _latest_marks(placed: Placed) -> list[Decision]:
    """The marked lesions without those that their reviewer has marked again on a later lesion map."""
    latest: list[Decision] = []
    for row in sorted(placed.missed, key=lambda r: r.date, reverse=True):
        again = next((other for other in latest if _is_marked_again(row, other)), None)
        if again is None:
            latest.append(row)
        else:
            placed.unmatched.append(Unmatched(row, _replaced_by(again)))
    return [row for row in placed.missed if row in latest]


def _is_marked_again(row: Decision, later: Decision) -> bool:
    same = (row.reviewer, row.label) == (later.reviewer, later.label)
    other_map = row.lesion_map_sha256 != later.lesion_map_sha256
    return same and other_map and distance_mm(row, later) <= SAME_LESION_MM


def distance_mm(first: Decision, second: Decision) -> float:
    """Distance in mm between the places of two decisions."""
    assert first.place_mm and second.place_mm
    return float(np.linalg.norm(np.subtract(first.place_mm, second.place_mm)))


def _replaced_by(row: Decision) -> str:
    return f"the same reviewer has decided again on {row.date}"
