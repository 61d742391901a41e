"""Tables as files: tab-separated for ``.tsv``, else comma-separated."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lesionflow.base.atomic_write import write_atomically

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
    """A table with its numbers as numbers; only an empty cell is missing, since a label may be called NA."""
    return pd.read_csv(path, sep=_separator(path), keep_default_na=False, na_values=[""])


def read_as_text(path: Path | str) -> pd.DataFrame:
    """A table with every cell as the text in the file."""
    return pd.read_csv(path, sep=_separator(path), dtype=str, keep_default_na=False)


def read_lesions(path: Path | str) -> pd.DataFrame:
    """The lesions of one scan (``columns.LESION``): ``kept`` as bool, names and reasons as text, else numbers."""
    return pd.read_csv(
        path,
        sep=_separator(path),
        dtype=LESION_TYPES,
        keep_default_na=False,
    )


def _separator(path: Path | str) -> str:
    return "\t" if str(path).endswith(".tsv") else ","


def _rounded(value: float) -> float:
    return float(f"{value:.{DECIMALS}g}") if abs(value) < 0.1 else round(value, DECIMALS)
