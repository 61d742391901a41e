"""Decisions on the lesions of another lesion map."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from lesionflow.results.reviews.consensus import review_scan
from lesionflow.results.reviews.following import place_decisions
from lesionflow.results.reviews.lesion_voxels import encode_each
from support.reviews import SHAPE, complete, current_of, line, marked_on, on


def reasons(placed):
    return [(left.decision.lesion, left.reason) for left in placed.unmatched]


BEFORE = line(a=(1, 2, 4), b=(2, 8, 9), c=(3, 12, 14))


def test_decisions_on_the_current_map_apply_to_their_number():
    placed = place_decisions([on(BEFORE, "accepted", 2)], current_of(BEFORE))
    assert list(placed.by_lesion) == [2]
    assert not placed.unmatched


def test_decisions_follow_lesions_that_grew_shrank_or_have_another_number():
    now = line(a=(3, 1, 6), b=(1, 9, 9), c=(2, 14, 16))
    rows = [on(BEFORE, "accepted", 1), on(BEFORE, "rejected", 2), on(BEFORE, "unsure", 3)]
    placed = place_decisions(rows, current_of(now))
    applied = {number: [row.decision for row in of] for number, of in placed.by_lesion.items()}
    assert applied == {3: ["accepted"], 1: ["rejected"], 2: ["unsure"]}
    assert not placed.unmatched


@pytest.mark.parametrize(
    ("now", "labels", "expected"),
    [
        (line(a=(1, 8, 9)), {}, [(1, "no lesion lies there now")]),
        (line(a=(1, 2, 2), b=(2, 4, 4)), {}, [(1, "lesions 1, 2 lie there now")]),
        (
            line(a=(1, 4, 8)),
            {},
            [
                (1, "lesion 1, which lies there now, also holds lesion 2 of that time"),
                (2, "lesion 1, which lies there now, also holds lesion 1 of that time"),
            ],
        ),
        (
            line(a=(1, 2, 4), b=(2, 8, 9)),
            {1: "wmh"},
            [(1, "lesion 1, which lies there now, is labelled wmh")],
        ),
    ],
)
def test_lesions_that_vanished_split_merged_or_changed_are_listed(now, labels, expected):
    rows = [on(BEFORE, "accepted", 1)]
    if len(expected) > 1 or labels:
        rows.append(on(BEFORE, "accepted", 2))
    placed = place_decisions(rows, current_of(now, labels))
    assert reasons(placed) == expected
    assert sum(map(len, placed.by_lesion.values())) == len(rows) - len(expected)


def test_a_lesion_that_is_mostly_another_one_is_listed():
    def followed(last):
        placed = place_decisions([on(BEFORE, "accepted", 2)], current_of(line(a=(1, 8, last))))
        return bool(placed.by_lesion), reasons(placed)

    assert followed(15) == (True, [])  # 2 of 8 voxels
    text = "lesion 1, which lies there now, has 2 of the 2 voxels of that time, and 9 in all"
    assert followed(16) == (False, [(2, text)])


def test_decisions_on_another_image_of_the_scan_are_listed():
    rows = [replace(on(BEFORE, "accepted", 1), scan_sha256="d" * 64)]
    placed = place_decisions(rows, current_of(BEFORE))
    assert reasons(placed) == [(1, "the scan is another image than the one that was reviewed")]
    assert review_scan(rows, current_of(BEFORE)).state == "partial"


def test_the_latest_decision_of_a_reviewer_on_a_lesion_applies():
    now = line(a=(1, 3, 4), b=(2, 8, 9))
    rows = [
        on(BEFORE, "accepted", 1, date="2026-11-27T12:40:00Z"),
        on(now, "rejected", 1, date="2026-11-28T12:40:00Z"),
        on(BEFORE, "rejected", 2, "Ben", date="2026-11-29T12:40:00Z"),
        on(now, "accepted", 2, "Ben", date="2026-11-28T12:40:00Z"),
        on(BEFORE, "unsure", 1, "Ben"),
    ]
    placed = place_decisions(rows, current_of(now))
    assert placed.by_lesion == {1: [rows[1], rows[4]], 2: [rows[2]]}
    assert [left.decision for left in placed.unmatched] == [rows[0], rows[3]]
    assert "decided again on 2026-11-28" in placed.unmatched[0].reason


def test_a_missed_lesion_that_is_found_now_is_listed_for_a_new_look():
    now = line(a=(1, 2, 4), b=(2, 8, 9), c=(3, 12, 14), d=(4, 17, 18))
    row = marked_on(BEFORE, 32.0)  # index 16, 2 mm from lesion 4
    placed = place_decisions([row], current_of(now))
    assert [left.reason for left in placed.unmatched] == ["lesion 4 lies there now: decide on it"]
    assert not placed.missed
    assert place_decisions([row], current_of(now, dropped=[3, 4])).missed == [row]
    assert place_decisions([row], current_of(now, {3: "wmh", 4: "wmh"})).missed == [row]
    far = marked_on(BEFORE, 32.0, place_mm=(32.0, 4.0, 7.5))
    assert place_decisions([far], current_of(now)).missed == [far]


def test_a_missed_lesion_beside_one_that_was_there_before_stays():
    now = line(a=(2, 2, 5), b=(1, 9, 9))
    rows = [on(BEFORE, "accepted", 1), marked_on(BEFORE, 12.0)]  # 2 mm from lesion 2
    placed = place_decisions(rows, current_of(now))
    assert placed.missed == rows[1:]


def test_a_lesion_marked_again_on_a_later_map_counts_once():
    now = line(a=(1, 2, 4))
    rows = [
        marked_on(BEFORE, 30.0, date="2026-11-27T12:40:00Z"),
        marked_on(now, 32.0, date="2026-11-28T12:40:00Z"),
        marked_on(now, 34.0, date="2026-11-28T12:41:00Z"),
    ]
    placed = place_decisions(rows, current_of(now))
    assert placed.missed == rows[1:]
    assert [left.decision for left in placed.unmatched] == rows[:1]


def map_at(probability, threshold):
    numbers, _ = ndimage.label(probability > threshold, np.ones((3, 3, 3)))
    return numbers


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.3, 0.5, 0.7]), st.data())
def test_every_decision_is_applied_or_listed_and_follows_its_voxels(seed, threshold, data):
    rng = np.random.default_rng(seed)
    probability = ndimage.gaussian_filter(rng.random(SHAPE), 1)
    probability = (probability - probability.min()) / np.ptp(probability)
    before, now = map_at(probability, 0.5), map_at(probability, threshold)
    rows = []
    for number in encode_each(before):
        for reviewer in data.draw(st.sets(st.sampled_from(["Ann", "Ben"]))):
            verdict = data.draw(st.sampled_from(["accepted", "rejected", "unsure"]))
            rows.append(on(before, verdict, number, reviewer))
    for place in data.draw(st.lists(st.floats(0, 38), max_size=3)):
        rows.append(marked_on(before, place))
    rows.append(complete(lesion_map_sha256=rows[0].lesion_map_sha256 if rows else "a" * 64))
    current = current_of(now, dropped=data.draw(st.sets(st.integers(1, 5))))
    placed = place_decisions(rows, current)
    applied = [row for of_lesion in placed.by_lesion.values() for row in of_lesion]
    everything = applied + placed.missed + placed.complete
    everything += [left.decision for left in placed.unmatched]
    assert sorted(map(str, everything)) == sorted(map(str, rows))
    for number, of_lesion in placed.by_lesion.items():
        for row in of_lesion:
            overlapped = set(now[before == row.lesion]) - {0}
            assert overlapped == {number}
            shared = np.sum((before == row.lesion) & (now == number))
            assert shared >= max(np.sum(before == row.lesion), np.sum(now == number)) / 4
            reviewed = {r.lesion for r in rows if r.lesion}
            assert set(before[now == number]) & reviewed == {row.lesion}
    if threshold == 0.5:
        assert len(applied) == len([row for row in rows if row.lesion])
    review = review_scan(rows, current)
    shown = [row for v in [*review.lesions.values(), *review.missed] for row in v.rows]
    shown += [left.decision for left in review.unmatched]
    assert sorted(map(str, shown)) == sorted(map(str, rows[:-1]))
