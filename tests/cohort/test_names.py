"""Names and paths that the workflow cannot carry."""

import os

import pytest

from lesionflow.cohort.listing import list_scans
from lesionflow.cohort.names import LONGEST_NAME, name_problem, path_problem, printable
from lesionflow.cohort.scan import Scan

LATIN_1 = os.fsdecode(b"Jos\xe9")


def test_bytes_that_are_no_utf8_are_printed_as_escapes():
    assert printable(LATIN_1) == "Jos\\udce9"
    assert printable("José 王") == "José 王"


@pytest.mark.parametrize("path", ["/data/José/王_swi.nii", "/a b/c'd/(e)[f]*?&$.nii"])
def test_usual_paths_have_no_problem(path):
    assert path_problem(path) == ""


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (f"/data/{LATIN_1}_swi.nii", "Jos\\udce9_swi.nii: the path is not UTF-8 text"),
        ("/data/{sub}/a.nii", "'/data/{sub}/a.nii': the path contains '{', '}'"),
        ("/data/a\nb.nii", "'/data/a\\nb.nii': the path contains '\\n'"),
        ("/data/a\x1b[31m.nii", "'/data/a\\x1b[31m.nii': the path contains '\\x1b'"),
    ],
)
def test_a_path_that_snakemake_cannot_carry_has_a_reason_that_can_be_printed(path, message):
    reason = path_problem(path)
    assert message in reason
    assert reason.isprintable()
    reason.encode("utf-8")


@pytest.mark.parametrize(
    ("subject", "words"),
    [
        ("a" * 120, "repeats itself in sub-aaa"),
        ("0" * 20, "repeats itself"),
        ("ab" * 20, "repeats itself"),
        ("x" + "abc" * 25, "repeats itself"),
        ("".join(f"{n:03d}" for n in range(80)), "has 244 characters, at most 191 are possible"),
    ],
)
def test_a_name_that_cannot_be_processed_has_a_reason(subject, words):
    assert words in name_problem(Scan(subject).name)
    assert len(name_problem(Scan(subject).name)) < 350


@pytest.mark.parametrize("subject", ["01", "a" * 15, "0000000001", "NDARINV00000000", "ab" * 9])
def test_usual_names_have_no_problem(subject):
    assert name_problem(Scan(subject, "1", "2").name) == ""
    assert len(Scan(subject, "1", "2").name) < LONGEST_NAME


def test_a_folder_in_another_encoding_is_listed_with_a_printable_name(tmp_path):
    anat = tmp_path / os.fsdecode(b"sub-Jos\xe9") / "anat"
    anat.mkdir(parents=True)
    (anat / "a_swi.nii").touch()
    (scan,) = list_scans(tmp_path, {"swi": ["*_swi.nii"]}).scans
    scan.subject.encode("utf-8")
    assert scan.name == "sub-Josudce9"
    assert "not UTF-8" in path_problem(scan.files["swi"][0])
