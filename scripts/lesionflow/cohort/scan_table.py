"""Scans of a scan table."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

from lesionflow.base.errors import CohortError
from lesionflow.cards.model_card import NOT_CHANNELS
from lesionflow.cohort.scan import Scan, label

# A number as spreadsheets write it into a column of names; without its sign, point and exponent it is another name.
WHOLE_NUMBER = re.compile(r"([0-9]+)[.,]0*")
OTHER_NUMBER = re.compile(r"[+-]?[0-9]*[.,]?[0-9]+([eE][+-]?[0-9]+)?")

PREFIX = {"subject": "sub", "session": "ses"}  # of the labels in columns with another name


def read_table(
    path: Path, channels: Iterable[str], scan_entities: Sequence[str] = ()
) -> list[Scan]:
    """Scans of a scan table, in the order of its rows.

    Columns are ``subject``, optional ``session``, ``run`` and ``scan_entities``, one per channel, and ``mask``,
    ``regions`` and ``truth``. Relative paths are relative to the table.

    Raises
    ------
    CohortError
        If a column is unknown, ``subject`` is missing or empty, or the file is not a table.
    """
    header, lines = _read_cells(path)
    names = ["subject", "session", "run", *scan_entities]
    columns = [*names, *dict.fromkeys([*channels, *NOT_CHANNELS])]
    unknown = [c for n, c in enumerate(header) if c and (c not in columns or c in header[:n])]
    if unknown or "subject" not in header:
        similar = get_close_matches(unknown[0], columns, 1) if unknown else []
        question = f": did you mean {similar[0]}?" if similar and similar[0] not in header else ""
        problem = f"unknown column {unknown[0]!r}{question}" if unknown else "no column 'subject'"
        raise CohortError(f"cohort: {path}: {problem} (columns are {', '.join(columns)})")
    scans = []
    for line, row in enumerate(lines, start=2):
        if not any(row):
            continue
        if any(row[len(header) :]):
            raise CohortError(
                f"cohort: {path}, line {line}: {len(row)} cells under {len(header)} columns"
            )
        cells = [*row, *[""] * (len(header) - len(row))]
        if nameless := [v for c, v in zip(header, cells, strict=False) if v and not c]:
            raise CohortError(
                f"cohort: {path}, line {line}: {nameless[0]!r} is in a column without a name"
            )
        values = {c: v for c, v in zip(header, cells, strict=False) if v not in ("n/a", "NA")}
        place = f"cohort: {path}, line {line}"
        subject, session, run, *others = (
            _name(values.get(key, ""), f"{PREFIX.get(key, key)}-", f"{place}, column {key}")
            for key in names
        )
        if not label(subject):
            raise CohortError(f"{place}: subject {subject!r} is not a name")
        files = {
            c: [str((path.parent / values[c]).absolute())]
            for c in columns[len(names) :]
            if values.get(c)
        }
        entities = dict(zip(scan_entities, others, strict=True))
        scans.append(Scan(subject, session, run, files, entities=entities))
    return scans


def _read_cells(path: Path) -> tuple[list[str], list[list[str]]]:
    """The names of the columns, and the cells of each line after them, without spaces around them."""
    separator = {".tsv": "\t", ".csv": ","}.get(path.suffix.lower())
    if separator is None:
        raise CohortError(f"cohort: {path} is neither a directory nor a .tsv or .csv table")
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = [
            [c.strip() for c in row] for row in csv.reader(io.StringIO(text), delimiter=separator)
        ]
    except UnicodeDecodeError as error:
        raise CohortError(
            f"cohort: {path} is not UTF-8 text: save it as CSV UTF-8, or as tab-separated text in UTF-8"
        ) from error
    except (OSError, csv.Error) as error:
        raise CohortError(f"cohort: {path} cannot be read as a table: {error}") from error
    if not any(map(any, rows)):
        raise CohortError(f"cohort: {path} is empty")
    header, *lines = rows
    if "\0" in text:
        raise CohortError(f"cohort: {path} is not UTF-8 text but perhaps UTF-16: save it as UTF-8")
    for other, name in ((";", "semicolons"), ("\t", "tabs"), (",", "commas")):
        if len(header) == 1 and other in header[0]:
            kind = {"\t": "tabs", ",": "commas"}[separator]
            raise CohortError(
                f"cohort: {path}: its columns are separated by {name}, and those of a {path.suffix} table by {kind}: "
                "save it with the other separator, or under the other extension"
            )
    return header, lines


def _name(cell: str, prefix: str, place: str) -> str:
    """The name in a cell, without its BIDS prefix; of a whole number such as 1.0 the digits before the point.

    Raises
    ------
    CohortError
        If the cell holds another number, whose characters would be lost in a BIDS name.
    """
    if cell.startswith(prefix):
        return cell.removeprefix(prefix)
    if number := WHOLE_NUMBER.fullmatch(cell):
        return number[1]
    if OTHER_NUMBER.fullmatch(cell) and not cell.isdigit():
        raise CohortError(
            f"{place}: {cell!r} is a number in a form that is no name. Write the name that is meant, as {prefix}NAME "
            f"if it is {cell!r}, and format the column as text in a spreadsheet"
        )
    return cell
