"""Scan tables."""

import pytest

from lesionflow.base.errors import CohortError
from lesionflow.cohort.listing import list_scans

PATTERNS = {
    "swi": ["*_swi.nii", "*_swi.nii.gz", "*_T2starw.nii", "*_T2starw.nii.gz"],
    "t1": ["*_T1w.nii.gz"],
    "mask": ["*_desc-brain_mask.nii.gz"],
}


def test_a_scan_table_is_listed_by_row(tmp_path):
    (tmp_path / "scans.tsv").write_text(
        "subject\tsession\trun\tswi\tmask\n01\t2\t\tx/a.nii\tm.nii\nsub-02\t\t1\t/abs/b.nii\tn/a\n"
    )
    first, second = list_scans(tmp_path / "scans.tsv", PATTERNS).scans
    assert (first.name, first.files) == (
        "sub-01_ses-2",
        {"swi": [f"{tmp_path}/x/a.nii"], "mask": [f"{tmp_path}/m.nii"]},
    )
    assert (second.name, second.files) == ("sub-02_run-1", {"swi": ["/abs/b.nii"]})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("subject,swii\n1,a.nii\n", "unknown column 'swii': did you mean swi[?] .columns are"),
        ("subject,swi,zzz\n1,a.nii,1\n", "unknown column 'zzz' .columns are"),
        ("subject;swi\n1;a.nii\n", "columns are separated by semicolons, and those of a .csv"),
        ("subject\tswi\n1\ta.nii\n", "columns are separated by tabs, and those of a .csv"),
        ("", "scans.csv is empty"),
        ("\n\n , ,\n", "scans.csv is empty"),
        ("subject,swi,\n1,a.nii,x\n", "line 2: 'x' is in a column without a name"),
        ("swi\na.nii\n", "no column 'subject'"),
        ("subject,swi\n,a.nii\n", "line 2: subject ''"),
        ("subject,swi\n1,a.nii\n1,b.nii\n", "two scans have the name sub-1"),
    ],
)
def test_a_mistake_in_a_table_is_one_line(tmp_path, text, message):
    (tmp_path / "scans.csv").write_text(text)
    with pytest.raises(CohortError, match=message) as error:
        list_scans(tmp_path / "scans.csv", PATTERNS)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "latin-1"])
def test_a_table_in_another_encoding_is_one_line(tmp_path, encoding):
    (tmp_path / "scans.csv").write_bytes("subject,swi\né,a.nii\n".encode(encoding))
    with pytest.raises(CohortError, match="scans.csv is not UTF-8 text") as error:
        list_scans(tmp_path / "scans.csv", PATTERNS)
    assert "\n" not in str(error.value)


def test_empty_columns_of_a_spreadsheet_are_ignored(tmp_path):
    (tmp_path / "scans.csv").write_text("\ufeffsubject,,swi,,\n01,,a.nii,,\n,,,,\n", "utf-8")
    (scan,) = list_scans(tmp_path / "scans.csv", PATTERNS).scans
    assert (scan.name, scan.files) == ("sub-01", {"swi": [str(tmp_path / "a.nii")]})


def test_empty_cells_of_a_table_are_ignored_and_surplus_cells_are_refused(tmp_path):
    table = tmp_path / "scans.tsv"
    table.write_text("subject\tsession\trun\tswi\t\n".rstrip("\t\n") + "\n"
                     "001\tn/a\tn/a\ta.nii\t\n\t\t\t\n002\t1\n")  # fmt: skip
    first, second = list_scans(table, PATTERNS).scans
    assert (first.name, first.files) == ("sub-001", {"swi": [str(tmp_path / "a.nii")]})
    assert (second.name, second.files) == ("sub-002_ses-1", {})
    table.write_text("subject\tswi\n01\ta.nii\tm.nii\n")
    with pytest.raises(CohortError, match="line 2: 3 cells under 2 columns"):
        list_scans(table, PATTERNS)
