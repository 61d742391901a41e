"""review.tsv: what is accepted, and what is refused with the line that is wrong."""

import json
import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lesionflow.base.errors import ReviewError
from lesionflow.results.reviews.review_file import COLUMNS, read_review, read_reviews, write_review
from support.reviews import OTHER_MAP, SCAN, complete, decision, mark

HEADER = (
    "scan\tmodel\tlabel\tlesion\tx_mm\ty_mm\tz_mm\tdecision\treviewer\tdate\tnote\tlesion_map_sha256\t"
    "scan_sha256\tvoxels\trows\n"
)
ROW = f"\t2026-11-27T12:40:00Z\tn/a\t{'a' * 64}\t{'c' * 64}\t"
TEXT = (
    f"{HEADER}"
    f"sub-1\tm\tcmb\t1\t-12.5\t1.0\t30.0\taccepted\tAnn{ROW}100,3\t4\n"
    f"sub-1\tm\tcmb\t2\t-12.5\t2.0\t30.0\trejected\tAnn{ROW}200,3\t4\n"
    f"sub-1\tm\tcmb\tn/a\t3.25\t4.0\t5.0\tmissed\tAnn{ROW}n/a\t4\n"
    f"sub-1\tm\tn/a\tn/a\tn/a\tn/a\tn/a\tcomplete\tAnn{ROW}n/a\t4\n"
)
DECISIONS = [
    decision(),
    decision("rejected", 2),
    mark(3.25, 4.0, 5.0),
    complete(),
]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "review.tsv"


def read(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return plain(read_review(path))


def plain(decisions):
    """Decisions without their source."""
    return [type(d)(**vars(d) | {"source": ""}) for d in decisions]


def refused(path, text, line, match):
    with pytest.raises(ReviewError, match=match) as error:
        read(path, text)
    message = str(error.value)
    assert f"review.tsv, line {line}: " in message
    assert "\n" not in message
    assert message.endswith("use the file as it is")


def test_the_format_of_the_browser_is_read_and_written(path):
    assert read(path, TEXT) == DECISIONS
    write_review(path, DECISIONS)
    assert path.read_text() == TEXT
    dictionary = json.loads(path.with_suffix(".json").read_text())
    assert list(dictionary) == COLUMNS
    assert set(dictionary["decision"]["Levels"]) == {
        *("accepted", "rejected", "unsure", "missed", "complete")
    }


@settings(deadline=None)
@given(
    st.text(min_size=1).filter(lambda note: note != "n/a"),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(
        lambda name: name != "n/a" and not name.startswith('"')
    ),
    st.floats(-999, 999),
)
def test_notes_and_places_survive_the_way_to_the_file_and_back(tmp_path_factory, note, name, x):
    note = re.sub("[\0\t]", " ", note.encode(errors="replace").decode())
    assume(not re.fullmatch('"(?=.*"")([^"]|"")*"', note, re.DOTALL))  # as a spreadsheet quotes it
    path = tmp_path_factory.mktemp("review") / "review.tsv"
    rows = [decision("unsure", 1, name, note=note, place_mm=(round(x, 4), 0.0, -0.5))]
    write_review(path, rows)
    (found,) = plain(read_review(path))
    assert found.note == re.sub("\r\n?", "\n", note)
    assert (found.reviewer, found.place_mm) == (name, rows[0].place_mm)


@pytest.mark.parametrize(
    "note",
    ["<script>alert(1)</script>", "=cmd|' /C calc'!A0", 'a "vein"', '"vein"', "'; DROP", "a\nb\\n"],
)
def test_hostile_notes_stay_text(path, note):
    write_review(path, [decision(note=note)])
    assert read_review(path)[0].note == note


def quoted(text, everything):
    """As spreadsheets write a file: quotes around all cells, or around those with commas or quotes."""

    def cell(text):
        special = everything or "," in text or '"' in text
        return '"' + text.replace('"', '""') + '"' if special else text

    return "\n".join("\t".join(map(cell, line.split("\t"))) for line in text.split("\n"))


@pytest.mark.parametrize("everything", [True, False])
def test_what_a_spreadsheet_does_without_harm_is_accepted(path, everything):
    text = TEXT.replace("\tn/a\taaa", '\tsay "vein", or, not\taaa', 1)
    (first, *others) = read(path, text)
    assert first.note == 'say "vein", or, not'
    windows = "\ufeff" + quoted(text[:-1], everything).replace("\n", "\r\n") + "\r\n"
    assert read(path, windows) == [first, *others]
    assert read(path, text.replace("\t1.0\t", "\t1\t")) == [first, *others]
    assert read(path, text[:-1]) == [first, *others]
    header, *rows = text.splitlines()
    assert sorted(map(str, read(path, "\n".join([header, *rows[::-1], "", ""])))) == sorted(
        map(str, [first, *others])
    )


def test_a_note_in_quotes_keeps_them(path):
    text = TEXT.replace("\tn/a\taaa", '\t"vein"\taaa', 1)
    assert read(path, text)[0].note == '"vein"'


@pytest.mark.parametrize(
    ("old", "new", "line", "match"),
    [
        ("\t", ";", 1, "separated by semicolons, expected tabs"),
        ("scan\tmodel", "scan\tlabel", 1, "this is not a review.tsv"),
        ("200,3\t4", "200,3", 3, "14 cells instead of 15"),
        ("200,3\t4", "200,3\t4\t", 3, "16 cells instead of 15"),
        ("200,3\t4", "200,3\t5", 3, "written with 5 rows and has 4"),
        ("200,3\t4", "200,3\t4.0", 3, "rows is '4.0', expected a whole number"),
        ("200,3", "200", 3, "no list of voxels"),
        ("200,3", "200.3", 3, "no list of voxels"),
        ("200,3", "2E+05", 3, "no list of voxels"),
        ("200,3", "n/a", 3, "voxels is 'n/a', expected text"),
        ("\t2\t-12.5", "\tn/a\t-12.5", 3, "lesion is 'n/a', expected a whole number"),
        ("\t2\t-12.5", "\t2.0\t-12.5", 3, "lesion is '2.0'"),
        ("\t2\t-12.5", "\t2\t-12,5", 3, "x_mm is '-12,5', expected a number with a decimal point"),
        ("\t2\t-12.5", "\t2\t1E+05", 3, "x_mm is '1E.05'"),
        ("\tmissed", "\tMISSED", 4, "decision is 'MISSED', expected one of accepted, rejected"),
        ("\tmissed", "\tcomplete", 4, "label is 'cmb', expected n/a for complete"),
        ("\trejected\tAnn", "\trejected\tn/a", 3, "reviewer is 'n/a', expected text"),
        ("\trejected\tAnn", "\trejected\t", 3, "reviewer is ''"),
        ("sub-1\tm\tn/a", "n/a\tm\tn/a", 5, "scan is 'n/a'"),
        ("c\tn/a\t4\nsub-1\tm\tn", "d\tn/a\t4\nsub-1\tm\tn", 4, "scan_sha256 of sub-1 differs"),
        ("aa\tccc", "a\tccc", 2, "lesion_map_sha256 .* expected 64 hexadecimal digits"),
        ("Ann\t2026-11-27T12:40:00Z", "Ann\t27.11.2026 12:40", 2, "date is '27.11.2026 12:40'"),
        ("2026-11-27", "2026-13-27", 2, "2026-13-27"),
    ],
)
def test_damaged_files_are_refused_with_the_line(path, old, new, line, match):
    count = -1 if old == "\t" else 1
    assert old in TEXT
    refused(path, TEXT.replace(old, new, count), line, match)


def test_cut_files_are_refused_at_every_place(path):
    for length in range(len(TEXT) - 1):
        with pytest.raises(ReviewError, match="review.tsv, line "):
            read(path, TEXT[:length])
    refused(path, TEXT[: TEXT.rindex("sub-1")], 4, "written with 4 rows and has 3")
    refused(path, HEADER, 1, "no decision")


def test_rows_that_were_added_are_refused(path):
    last = TEXT.splitlines()[2].replace("\t2\t", "\t3\t")
    refused(path, TEXT + last + "\n", 6, "written with 4 rows and has 5")


def test_other_kinds_of_files_are_refused(path):
    refused(path, TEXT.encode("utf-16"), 1, "not UTF-8 text")
    refused(path, TEXT.replace("Ann", "Änn").encode("latin-1"), 2, "not UTF-8 text")
    refused(path, TEXT.replace("Ann", "A\0n"), 2, "not UTF-8 text")
    refused(path, "scan,status\nsub-1,ok\n", 1, "its first line is 'scan,status'")
    refused(path, b"", 1, "its first line is ''")
    with pytest.raises(ReviewError, match="other.tsv: No such file"):
        read_review(path.with_name("other.tsv"))
    with pytest.raises(ReviewError, match="Is a directory"):
        read_review(path.parent)


def written(tmp_path, *files):
    paths = [tmp_path / f"{name}.tsv" for name in "abc"[: len(files)]]
    for path, decisions in zip(paths, files, strict=True):
        write_review(path, decisions)
    return paths


def test_reviews_of_several_people_and_lesion_maps_go_together(tmp_path):
    paths = written(
        tmp_path,
        DECISIONS,
        [decision("rejected", 1, "Ben"), complete("Ben"), mark(3.25, 4, 5, "Ben")],
        [decision("rejected", 1, lesion_map_sha256=OTHER_MAP, voxels="7,1")],
    )
    assert len(read_reviews(paths, ["sub-1", "sub-2"])) == 8


@pytest.mark.parametrize(
    ("other", "match"),
    [
        (DECISIONS, r"b.tsv is the same review as .*a.tsv: name one"),
        ([decision("rejected")], r"b.tsv, line 2: 'Ann' has decided this before .*a.tsv, line 2"),
        (
            [mark(9, 9, 9), complete(note="x")],
            r"b.tsv, line 3: 'Ann' has decided this before .*line 5",
        ),
        ([mark(3.25, 4, 5, note="x")], r"b.tsv, line 2: 'Ann' has decided this before"),
        ([decision("accepted", 1, "Ben", scan="sub-9")], "b.tsv, line 2: .* has no scan 'sub-9'"),
        (
            [decision("accepted", 1, "Ben", place_mm=(1.0, 2.0, 3.0))],
            "b.tsv, line 2: lesion 1 of sub-1 is described otherwise than before .*a.tsv, line 2",
        ),
        ([decision("accepted", 1, "Ben", voxels="100,2")], "described otherwise"),
    ],
)
def test_doubled_and_foreign_decisions_are_refused(tmp_path, other, match):
    paths = written(tmp_path, DECISIONS, other)
    with pytest.raises(ReviewError, match=match) as error:
        read_reviews(paths, {"sub-1"})
    assert "\n" not in str(error.value)


def test_a_row_that_two_files_share_counts_once(tmp_path):
    """A reader who was given another one's decisions exports them with the own ones."""
    ben = [decision("rejected", 1, "Ben")]
    paths = written(tmp_path, [*DECISIONS, *ben], ben)
    assert len(read_reviews(paths, ["sub-1", "sub-2"])) == len(DECISIONS) + 1


def test_a_decision_twice_in_a_file_is_refused(tmp_path):
    (path,) = written(tmp_path, [decision(), decision()])
    with pytest.raises(ReviewError, match=r"line 3: 'Ann' has decided this before .*line 2"):
        read_reviews([path], ["sub-1"])
    (path,) = written(tmp_path, [decision(), decision("rejected", scan_sha256=SCAN)])
    with pytest.raises(ReviewError, match=r"line 3: 'Ann' has decided this before .*line 2"):
        read_reviews([path], ["sub-1"])
