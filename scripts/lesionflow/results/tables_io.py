"""Tables as files."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lesionflow.base.atomic_write import whole

DECIMALS = 4


AS_WRITTEN: dict[str, Any] = {
    "keep_default_na": False,
    "na_values": [""],
}  # a label may be called NA


def write_table(path: Path | str, table: pd.DataFrame) -> None:
    """Write a table whole or not at all: tabs for ``.tsv``, else commas; empty for what is missing.

    Truth values are ``true`` and ``false``; numbers have at most four decimals, small ones (under 0.1,
    as intensities of some scanners are) four digits.
    """
    separator = "\t" if str(path).endswith(".tsv") else ","
    shown = table.copy()
    for name in shown.columns:
        if pd.api.types.is_float_dtype(shown[name]):
            shown[name] = shown[name].map(_short)
        elif shown[name].map(lambda v: isinstance(v, bool | np.bool_)).any():
            shown[name] = shown[name].map({True: "true", False: "false"})
    with whole(path) as partial:
        shown.to_csv(partial, sep=separator, index=False, lineterminator="\n")


def _short(value: float) -> float:
    return float(f"{value:.{DECIMALS}g}") if abs(value) < 0.1 else round(value, DECIMALS)
