"""A scan's own table, read without pandas."""

import pandas as pd

from lesionflow.results.tables_io import read_lesions, write_table


def test_rows_are_what_was_written(tmp_path):
    table = pd.DataFrame(
        {
            "label": ["NA", 'say "cmb"'],
            "lesion": [1, 2],
            **{"i": [4, 5], "j": [6, 7], "k": [8, 9]},
            "volume_mm3": [12.5, 3.0],
            "max_probability": [0.98765, 0.00012345],
            "kept": [True, False],
            "dropped_because": ["", "volume under 5 mm3"],
        }
    )
    write_table(tmp_path / "t.tsv", table)
    first, second = read_lesions(tmp_path / "t.tsv").to_dict("records")
    assert first == {
        **{"label": "NA", "lesion": 1, "i": 4, "j": 6, "k": 8, "volume_mm3": 12.5},
        **{"max_probability": 0.9877, "kept": True, "dropped_because": ""},
    }
    assert (second["label"], second["kept"], second["k"]) == ('say "cmb"', False, 9)
    assert second["max_probability"] == 0.0001234 or second["max_probability"] == 0.0001235


def test_no_lesion_is_no_row(tmp_path):
    (tmp_path / "t.tsv").write_text("label\tlesion\ti\tj\tk\tvolume_mm3\tmax_probability\tkept\n")
    assert read_lesions(tmp_path / "t.tsv").to_dict("records") == []
