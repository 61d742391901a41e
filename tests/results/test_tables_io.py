"""Tables as files."""

import pandas as pd
import pytest

from lesionflow.base.errors import DamagedFileError
from lesionflow.results.tables_io import read_as_text, read_lesions, read_table, write_table

HEADER = (
    "scan\tlabel\tlesion\ti\tj\tk\tvolume_mm3\tmax_probability\tregion\tkept\tdropped_because\n"
)


def test_lesions_are_read_as_they_were_written(tmp_path):
    table = pd.DataFrame(
        {
            "label": ["NA", 'say "cmb"'],
            "lesion": [1, 2],
            **{"i": [4, 5], "j": [6, 7], "k": [8, 9]},
            "volume_mm3": [12.5, 3.0],
            "max_probability": [0.98765, 0.00012345],
            "region": ["7", ""],
            "kept": [True, False],
            "dropped_because": ["", "volume under 5 mm3"],
        }
    )
    write_table(tmp_path / "t.tsv", table)
    first, second = read_lesions(tmp_path / "t.tsv").to_dict("records")
    assert first == {
        **{"label": "NA", "lesion": 1, "i": 4, "j": 6, "k": 8, "volume_mm3": 12.5},
        **{"max_probability": 0.9877, "region": "7", "kept": True, "dropped_because": ""},
    }
    assert (second["label"], second["kept"], second["k"]) == ('say "cmb"', False, 9)
    assert second["max_probability"] == 0.0001234 or second["max_probability"] == 0.0001235


def test_a_table_without_a_lesion_has_the_same_types(tmp_path):
    (tmp_path / "t.tsv").write_text(HEADER)
    lesions = read_lesions(tmp_path / "t.tsv")
    assert lesions.to_dict("records") == []
    assert {lesions[name].dtype.kind for name in ("lesion", "i", "j", "k")} == {"i"}
    assert lesions.kept.dtype == bool


def test_a_distance_that_was_not_measured_is_missing(tmp_path):
    (tmp_path / "t.tsv").write_text("lesion\tedge_distance_mm\tregion\n1\t\t\n2\t3.5\t\n")
    lesions = read_lesions(tmp_path / "t.tsv")
    assert lesions.edge_distance_mm.isna().tolist() == [True, False]
    assert lesions.region.tolist() == ["", ""]


def test_a_label_may_be_a_number(tmp_path):
    row = "sub-1\t1\t1\t4\t6\t8\t12.5\t0.9\t\ttrue\t\n"
    (tmp_path / "t.tsv").write_text(HEADER + row)
    lesion = read_lesions(tmp_path / "t.tsv").iloc[0]
    assert (lesion.label, lesion.region) == ("1", "")
    assert lesion.kept


def test_numbers_and_text_of_a_table(tmp_path):
    (tmp_path / "t.csv").write_text("name,value\nNA,1.50\nb,\n")
    table = read_table(tmp_path / "t.csv")
    assert table["name"].tolist() == ["NA", "b"] and table.value.isna().tolist() == [False, True]
    assert read_as_text(tmp_path / "t.csv").value.tolist() == ["1.50", ""]


def test_small_numbers_keep_four_digits(tmp_path):
    table = pd.DataFrame({"x": [1884.66712, 0.000427351, -0.00000123456, 0.0, float("nan")]})
    write_table(tmp_path / "t.csv", table)
    lines = (tmp_path / "t.csv").read_text().split()
    assert lines == ["x", "1884.6671", "0.0004274", "-1.235e-06", "0.0", '""']


READERS = pytest.mark.parametrize("read", [read_as_text, read_lesions, read_table])
ROW = "sub-1\tcmb\t1\t4\t6\t8\t12.5\t0.9\t\ttrue\t\n"


@READERS
@pytest.mark.parametrize(
    "content",
    [
        "",
        "\n",
        HEADER.rstrip(),
        HEADER + ROW[:-3],
        HEADER + ROW[:20] + "\n",  # pandas would fill up the row
        HEADER + ROW + ROW.replace("\n", "\t5\n"),
        HEADER + ROW.replace("cmb", '"cmb'),
        HEADER + ROW.replace("cmb", "c\rb"),
        HEADER.replace("t", "\0"),
        HEADER + "\0" * 30 + "\n",
        (HEADER + ROW).encode("utf-16"),
    ],
)
def test_a_damaged_table_is_named_with_the_remedy(tmp_path, read, content):
    path = tmp_path / "sub-1_lesions.tsv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DamagedFileError) as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith(f"{path} is damaged: it should be a table with a header, but ")
    assert message.endswith("Delete it and run the same command again")
    assert "\n" not in message


def test_a_lesion_table_with_text_in_place_of_a_number_is_damaged(tmp_path):
    (tmp_path / "a.tsv").write_text(HEADER + ROW.replace("\t4\t", "\tfour\t"))
    with pytest.raises(DamagedFileError, match=r"a\.tsv is damaged"):
        read_lesions(tmp_path / "a.tsv")


@READERS
def test_a_missing_table_is_not_a_damaged_one(tmp_path, read):
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "a.tsv")


@pytest.mark.parametrize("columns", [["a", "b"], ["a"]])
def test_a_cell_may_hold_any_text(tmp_path, columns):
    cells = ["", 'a "b"', "c\td,e", "two\nlines", "#", "ä", " x "]
    table = pd.DataFrame({name: cells for name in columns})
    for name in ("t.csv", "t.tsv"):
        write_table(tmp_path / name, table)
        assert read_as_text(tmp_path / name).to_dict("list") == table.to_dict("list")
