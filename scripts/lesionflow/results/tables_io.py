"""Tables as files: tab-separated for ``.tsv``, else comma-separated."""

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lesionflow.base.atomic_write import write_atomically
from lesionflow.base.errors import DamagedFileError

DECIMALS = 4
LESION_TYPES: Any = {  # a table without a row has them as well
    **dict.fromkeys(("lesion", "i", "j", "k"), int),
    **dict.fromkeys(("label", "region", "dropped_because"), str),
    "kept": bool,
}


def write_table(path: Path | str, table: pd.DataFrame) -> None:
    """Write a table atomically, with an empty cell for a missing value.

    Booleans are ``true`` and ``false``. Numbers have at most four decimals, those below 0.1 (such as the intensities
    of some scanners) four significant digits.
    """
    shown = table.copy()
    for name in shown.columns:
        if pd.api.types.is_float_dtype(shown[name]):
            shown[name] = shown[name].map(_rounded)
        elif shown[name].map(lambda v: isinstance(v, bool | np.bool_)).any():
            shown[name] = shown[name].map({True: "true", False: "false"})
    with write_atomically(path) as partial:
        shown.to_csv(partial, sep=_separator(path), index=False, lineterminator="\n")


def read_table(path: Path | str) -> pd.DataFrame:
    """A table with its numbers as numbers; only an empty cell is missing, since a label may be called NA.

    Raises
    ------
    DamagedFileError
        If the file is empty, cut off or overwritten; the same holds for the other functions that read a table.
    """
    return _read(path, na_values=[""])


def read_as_text(path: Path | str) -> pd.DataFrame:
    """A table with every cell as the text in the file."""
    return _read(path, dtype=str)


def read_lesions(path: Path | str) -> pd.DataFrame:
    """The lesions of one scan (``columns.LESION``): ``kept`` as bool, names and reasons as text, else numbers."""
    return _read(path, dtype=LESION_TYPES, na_values={"edge_distance_mm": [""]})


def _read(path: Path | str, **options: Any) -> pd.DataFrame:
    content, separator = Path(path).read_bytes(), _separator(path)
    try:
        text = content.decode()
        if not text.endswith("\n"):  # as every line that write_table has written
            raise ValueError("its last line has no end" if text else "it is empty")
        if "\0" in text:
            raise ValueError("it holds zero bytes")
        widths = {len(row) for row in csv.reader(io.StringIO(text), delimiter=separator) if row}
        if len(widths) > 1:  # pandas fills up short rows
            raise ValueError("its rows differ in their number of cells")
        return pd.read_csv(io.StringIO(text), sep=separator, keep_default_na=False, **options)
    except (ValueError, csv.Error) as error:  # also those of pandas and of the decoder
        raise DamagedFileError(path, "a table with a header", str(error)) from error


def _separator(path: Path | str) -> str:
    return "\t" if str(path).endswith(".tsv") else ","


def _rounded(value: float) -> float:
    return float(f"{value:.{DECIMALS}g}") if abs(value) < 0.1 else round(value, DECIMALS)
