"""Durations in words."""

import pytest

from lesionflow.base.time_left import in_words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-3, "0 s"),
        (0.4, "0 s"),
        (89.4, "89 s"),
        (89.6, "2 min"),
        (150, "2 min"),
        (3569, "59 min"),
        (3571, "1 h"),
        (3600 + 600, "1 h 10 min"),
        (24 * 3600, "1 day"),
        (52 * 3600, "2 days 4 h"),
    ],
)
def test_a_duration_in_words(seconds, words):
    assert in_words(seconds) == words
