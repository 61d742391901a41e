"""What several decisions say of a scan."""

from dataclasses import replace

import pytest

from lesionflow.results.reviews.consensus import review_scan
from support.reviews import complete, current_of, line, marked_on, on

MAP = line(a=(1, 2, 4), b=(2, 8, 9), c=(3, 12, 14))
TWO = line(a=(1, 2, 4), b=(2, 8, 9))
NONE = line()


def state(rows, numbers=MAP, **options):
    return review_scan(rows, current_of(numbers, **options)).state


def all_of(reviewer="Ann", numbers=(1, 2, 3), verdict="accepted"):
    return [on(MAP, verdict, number, reviewer) for number in numbers]


def on_none(row):
    """A statement on the empty map."""
    return replace(row, lesion_map_sha256=current_of(NONE).lesion_map_sha256)


def test_a_review_is_complete_if_every_counted_lesion_is_decided():
    assert state([]) == "none"
    assert state(all_of(numbers=(1, 2))) == "partial"
    assert state(all_of(numbers=(1, 2)), dropped=[3]) == "complete"
    assert state([*all_of(numbers=(1, 2)), on(MAP, "unsure", 3)]) == "partial"
    assert state([*all_of(numbers=(1, 2)), on(MAP, "unsure", 3)], dropped=[3]) == "partial"
    assert state([*all_of(numbers=(1, 2)), on(MAP, "rejected", 3)]) == "complete"
    assert state([*all_of(numbers=(1, 2)), on(MAP, "rejected", 3, "Ben")]) == "complete"
    assert state([complete(), *all_of(numbers=(1, 2))]) == "partial"


def test_a_scan_without_a_counted_lesion_needs_a_statement_or_a_missed_lesion():
    assert state([on_none(complete())], NONE) == "complete"
    assert state([marked_on(NONE, 9.0)], NONE) == "complete"
    assert state([on(MAP, "rejected", 2)], dropped=[1, 2, 3]) == "partial"
    assert state([on(MAP, "rejected", 2)], NONE) == "partial"
    assert state([on(MAP, "rejected", 2), complete()], NONE) == "complete"


def test_reviewers_who_differ_are_a_conflict():
    rows = [*all_of(), *all_of("Ben", (1, 2)), on(MAP, "rejected", 3, "Ben")]
    review = review_scan(rows, current_of(MAP))
    assert review.state == "partial"
    assert {n: verdict.decision for n, verdict in review.lesions.items()} == {
        **{1: "accepted", 2: "accepted", 3: "conflict"}
    }
    assert review.lesions[3].rows == (rows[2], rows[5])
    assert review.counts == {"Ann": {"cmb": 3}, "Ben": {"cmb": 2}}
    unsure = [*all_of(), on(MAP, "unsure", 3, "Ben")]
    assert review_scan(unsure, current_of(MAP)).lesions[3].decision == "conflict"


def marks(*rows):
    """Place and verdict of each missed lesion, and who has not marked it."""
    review = review_scan([*all_of(), *all_of("Ben"), *rows], current_of(MAP))
    found = [(v.rows[0].place_mm[0], len(v.rows), v.decision, v.unmarked_by) for v in review.missed]
    return review.state, found


def test_missed_lesions_of_several_reviewers():
    ann, ben = marked_on(MAP, 33.0), marked_on(MAP, 36.0, "Ben")
    assert marks(ann, ben) == ("complete", [(33.0, 2, "missed", ())])
    assert marks(ann) == ("partial", [(33.0, 1, "conflict", ("Ben",))])
    far = marked_on(MAP, 38.5, "Ben")  # 5.5 mm
    assert marks(ann, far) == (
        "partial",
        [(33.0, 1, "conflict", ("Ben",)), (38.5, 1, "conflict", ("Ann",))],
    )
    other_label = replace(ben, label="wmh")
    assert marks(ann, other_label)[0] == "partial"


def test_two_marks_of_one_reviewer_are_two_lesions():
    rows = [marked_on(MAP, 33.0), marked_on(MAP, 35.0), marked_on(MAP, 34.5, "Ben")]
    assert marks(*rows) == (
        "partial",
        [(33.0, 1, "conflict", ("Ben",)), (35.0, 2, "missed", ())],
    )


def test_a_reviewer_who_has_not_seen_the_whole_scan_contradicts_no_mark():
    rows = [*all_of(), on(MAP, "accepted", 1, "Ben"), marked_on(MAP, 33.0)]
    review = review_scan(rows, current_of(MAP))
    assert (review.state, review.missed[0].decision) == ("complete", "missed")
    assert review.counts == {"Ann": {"cmb": 4}}
    with_statement = [*rows, complete("Ben")]
    assert review_scan(with_statement, current_of(MAP)).missed[0].decision == "conflict"


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [("accepted", "partial"), ("unsure", "partial"), ("rejected", "complete")],
)
def test_a_lesion_that_is_no_longer_found_stays_open_unless_it_was_rejected(verdict, expected):
    rows = [*all_of(numbers=(1, 2)), on(MAP, verdict, 3)]
    assert state(rows, TWO) == expected


def test_what_closes_an_open_decision():
    rows = all_of()  # lesion 3 at 26 mm is not found any more
    now = current_of(TWO).lesion_map_sha256
    statement = complete(lesion_map_sha256=now, date="2026-12-01T00:00:00Z")
    assert state([*rows, statement], TWO) == "complete"
    assert state([*rows, replace(statement, date="2026-11-01T00:00:00Z")], TWO) == "partial"
    assert state([*rows, replace(statement, reviewer="Ben")], TWO) == "partial"
    assert state([*rows, complete()], TWO) == "partial"
    review = review_scan([*rows, marked_on(TWO, 27.0, date=statement.date)], current_of(TWO))
    assert (review.state, len(review.missed)) == ("complete", 1)
    assert state([*rows, marked_on(TWO, 33.0)], TWO) == "partial"


def test_a_mark_in_a_dropped_lesion_that_is_accepted_counts_once():
    rows = [*all_of(), marked_on(MAP, 26.0)]
    review = review_scan(rows, current_of(MAP, dropped=[3]))
    assert review.state == "complete"
    assert not review.missed
    assert [left.reason for left in review.unmatched] == ["lesion 3 lies there and is accepted"]
    rejected = [*all_of(numbers=(1, 2)), on(MAP, "rejected", 3), marked_on(MAP, 26.0)]
    assert len(review_scan(rejected, current_of(MAP, dropped=[3])).missed) == 1
