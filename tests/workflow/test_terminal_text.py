"""The result of a scan in words, and the summary of many."""

import pytest

from lesionflow.workflow.terminal_text import (
    names_in_short,
    printable,
    problem_lines,
    scan_result,
    shortened,
    status_counts,
)


def volumes(**labels):
    return [
        {"index": str(n), "name": name, "count": str(count), "volume_mm3": str(volume)}
        for n, (name, (count, volume)) in enumerate(labels.items(), 1)
    ]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (volumes(cmb=(7, 512.4)), "7 lesions, 512 mm³"),
        (volumes(cmb=(1, 1234.6)), "1 lesion, 1,235 mm³"),
        (volumes(cmb=(0, 0.0)), "0 lesions"),
        (volumes(cmb=(2, 9), lacune=(0, 0)), "2 cmb, 9 mm³; 0 lacune"),
        (volumes(a=(1, 5), b=(1, 6), c=(0, 0), d=(1, 7)), "3 of 4 structures found"),
    ],
)
def test_the_result_of_a_scan(table, words):
    assert scan_result(table) == words


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("sub-Ä 頭", "sub-Ä 頭"),
        ("a\x1b[31mb\x07", "a\\x1b[31mb\\x07"),
        ("two\nlines\tand a tab", "two lines and a tab"),
        ("right\u202eleft", "right\\u202eleft"),
        ("\udcff", "\\udcff"),
        ("\x9b2J", "\\x9b2J"),
    ],
)
def test_no_character_controls_the_terminal(text, shown):
    assert printable(text) == shown


def test_of_many_names_the_first_are_listed():
    assert names_in_short(["a", "b", "c"], limit=2) == "a, b, c"
    assert names_in_short(["a", "b", "c", "d"], limit=2) == "a, b and 2 more"


def test_a_long_reason_is_cut():
    assert shortened("x" * 300) == "x" * 300
    assert shortened("x" * 301) == "x" * 297 + "..."


def test_scans_are_counted_by_status_and_model():
    states = {
        ("sub-1", "m"): ("ok", ""),
        ("sub-2", "m"): ("failed:mask", "empty"),
        ("sub-3", "m"): ("unreadable", "empty file"),
        ("sub-4", "m"): ("unreadable", "another"),
    }
    assert status_counts(states, ["m"]) == ["1 of 4 scans ok, 2 unreadable, 1 failed:mask"]
    states |= {("sub-1", "n"): ("ok", "")}
    assert status_counts(states, ["m", "n"]) == [
        "m: 1 of 4 scans ok, 2 unreadable, 1 failed:mask",
        "n: 1 of 1 scan ok",
    ]


def test_scans_that_are_not_ok_are_named_with_their_reason():
    states = {
        ("sub-0", "m"): ("excluded", "config"),
        ("sub-1", "m"): ("unreadable", "bids/\x1b[2J is empty"),
        ("sub-2", "m"): ("ok", ""),
        ("sub-3", "m"): ("failed:crop", "no space"),
        ("sub-4", "m"): ("failed:crop", "no space"),
        ("sub-5", "m"): ("missing-input", ""),
    }
    assert problem_lines(states, ["m"], "cohort.csv") == [
        "sub-3, sub-4: failed:crop: no space",
        "sub-1: unreadable: bids/\\x1b[2J is empty",
        "sub-5: missing-input",
        "sub-0: excluded: config",
    ]


def test_a_scan_with_the_same_problem_under_every_model_has_one_line():
    states = {
        ("sub-1", "m"): ("unreadable", "empty"),
        ("sub-1", "n"): ("unreadable", "empty"),
        ("sub-2", "m"): ("ok", ""),
        ("sub-2", "n"): ("failed:show", "no space"),
    }
    assert problem_lines(states, ["m", "n"], "cohort.csv") == [
        "sub-2 (n): failed:show: no space",
        "sub-1: unreadable: empty",
    ]


def test_a_long_list_ends_with_where_the_rest_is():
    states = {(f"sub-{n}", "m"): ("failed:crop", f"reason {n}") for n in range(12)}
    lines = problem_lines(states, ["m"], "results/cohort.csv")
    assert len(lines) == 11
    assert lines[-1] == "and 2 more scans: see status and reason in results/cohort.csv"
