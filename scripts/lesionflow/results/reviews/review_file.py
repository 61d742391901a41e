"""review.tsv: the decisions of a reviewer. Files that were cut, mixed up or damaged by a spreadsheet are refused."""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from lesionflow.base import json_sidecar
from lesionflow.base.atomic_write import write_atomically
from lesionflow.base.errors import ReviewError
from lesionflow.results.columns import dictionary, names
from lesionflow.results.reviews.lesion_voxels import run_lengths
from lesionflow.results.reviews.review_columns import DECISIONS, FILE

COLUMNS = names(FILE)
MISSING = "n/a"
OF_A_LESION = ("accepted", "rejected", "unsure")
FREE_TEXT = ("reviewer", "note")
AGAIN = "export the review again from the report, and use the file as it is"

_DIGEST = "64 hexadecimal digits", re.compile("[0-9a-f]{64}")
_PLACE = "a number with a decimal point", re.compile(r"-?\d{1,9}(\.\d+)?(e-\d+)?", re.ASCII)
_COUNT = "a whole number from 1", re.compile(r"[1-9]\d{0,8}", re.ASCII)
_TEXT = "text", re.compile(".+", re.DOTALL)
_DATE = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
CELLS = {  # what a cell that is not n/a has to be
    **{"scan": _TEXT, "model": _TEXT, "label": _TEXT, "lesion": _COUNT},
    **dict.fromkeys(("x_mm", "y_mm", "z_mm"), _PLACE),
    "decision": (f"one of {', '.join(DECISIONS)}", re.compile("|".join(DECISIONS))),
    **{"reviewer": _TEXT, "note": _TEXT},
    "date": ("a date such as 2026-11-27T12:40:00Z", re.compile(_DATE, re.ASCII)),
    **{"lesion_map_sha256": _DIGEST, "scan_sha256": _DIGEST, "voxels": _TEXT, "rows": _COUNT},
}
LACKS = {  # cells that are n/a
    **dict.fromkeys(OF_A_LESION, ()),
    "missed": ("lesion", "voxels"),
    "complete": ("label", "lesion", "x_mm", "y_mm", "z_mm", "voxels"),
}


@dataclass(frozen=True)
class Decision:
    """A row of review.tsv.

    Attributes
    ----------
    scan, model, label
        ``label`` is empty for ``complete``.
    decision
        One of ``review_columns.DECISIONS``.
    reviewer, date, note
        ``date`` as in the file; ``note`` with its line breaks, empty if there is none.
    lesion_map_sha256, scan_sha256
        The lesion map and the scan on which the decision was made.
    lesion
        Number of the lesion; 0 for ``missed`` and ``complete``.
    place_mm
        Centroid of the lesion, or the marked place, in world mm; None for ``complete``.
    voxels
        Of the lesion (``lesion_voxels.encode``); empty for ``missed`` and ``complete``.
    source
        File and line, for messages.
    """

    scan: str
    model: str
    label: str
    decision: str
    reviewer: str
    date: str
    note: str
    lesion_map_sha256: str
    scan_sha256: str
    lesion: int = 0
    place_mm: tuple[float, float, float] | None = None
    voxels: str = ""
    source: str = ""

    @property
    def identity(self) -> tuple[object, ...]:
        """What a reviewer decides once."""
        what = (self.label, self.place_mm) if self.decision == "missed" else (self.lesion,)
        return self.scan, self.model, self.lesion_map_sha256, self.reviewer, *what

    @property
    def lesion_identity(self) -> tuple[str, str, str, int]:
        """The lesion of the decision, whoever decided."""
        return self.scan, self.model, self.lesion_map_sha256, self.lesion


def read_reviews(paths: Iterable[str | Path], scans: Collection[str]) -> list[Decision]:
    """The decisions of several files, in their order; a row that two files share is there once.

    Parameters
    ----------
    paths
        Files of ``write_review`` or of the report.
    scans
        Names of all scans of the cohort.

    Raises
    ------
    ReviewError
        If a file cannot be used (``read_review``), names a scan that the cohort does not have, or decides what a file
        has decided otherwise for the same reviewer and lesion map; or if two rows describe one lesion differently.
    """
    scans = set(scans)
    contents: dict[tuple[Decision, ...], str | Path] = {}
    decided: dict[tuple[object, ...], Decision] = {}
    lesions: dict[tuple[object, ...], Decision] = {}
    for path in paths:
        decisions = read_review(path)
        plain = tuple(replace(d, source="") for d in decisions)
        if plain in contents:
            raise ReviewError(f"review: {path} is the same review as {contents[plain]}: name one")
        contents[plain] = path
        sources = {row.source for row in decisions}
        for row in decisions:
            if row.scan not in scans:
                raise ReviewError(
                    f"{row.source}: the cohort has no scan {row.scan!r}: use a review of this cohort"
                )
            if (earlier := decided.setdefault(row.identity, row)) is not row:
                of_other_file = earlier.source not in sources
                if of_other_file and replace(row, source=earlier.source) == earlier:
                    continue  # a reader's export has the decisions of others that he was given
                raise ReviewError(
                    f"{row.source}: {row.reviewer!r} has decided this before ({earlier.source}): keep one of the two, "
                    "as the report exports it"
                )
            if not row.lesion:
                continue
            same = lesions.setdefault(row.lesion_identity, row)
            if (row.place_mm, row.voxels) != (same.place_mm, same.voxels):  # labels are renamed
                raise ReviewError(
                    f"{row.source}: lesion {row.lesion} of {row.scan} is described otherwise than before "
                    f"({same.source}): one of the two files was edited: {AGAIN}"
                )
    return list(decided.values())


def read_review(path: str | Path, joined: bool = False) -> list[Decision]:
    """The decisions of one file.

    What a spreadsheet may do without harm is accepted: line ends of Windows, a byte order mark, quotes around cells,
    sorted rows, ``12.50`` as ``12.5``. A file that a run has ``joined`` from reviews may be of several images of a scan.

    Raises
    ------
    ReviewError
        If there is no such file, or it is not as it was exported.
    """
    lines = _lines(path)
    header, rows = lines[0], lines[1:]
    found = [_unquoted(cell) for cell in header[1].split("\t")]
    if found != COLUMNS:
        raise _error(path, 1, _header_problem(header[1]))
    cells = [(number, line.split("\t")) for number, line in rows if line]
    # cells without free text begin with a quote only if a spreadsheet has quoted them
    place = [n for n, name in enumerate(COLUMNS) if name not in FREE_TEXT]
    quoted = any(row[n].startswith('"') for _, row in cells for n in place if n < len(row))
    decisions: list[Decision] = []
    stated: list[tuple[str, int]] = []  # the cell rows, and its line
    scan_digests: dict[tuple[str, str], str] = {}
    for number, row in cells:
        if len(row) != len(COLUMNS):
            problem = f"{len(row)} cells instead of {len(COLUMNS)}: the file is cut or was edited"
            raise _error(path, number, problem)
        values = {
            name: _unquoted(cell, quoted or name not in FREE_TEXT)
            for name, cell in zip(COLUMNS, row, strict=True)
        }
        decision = _decision(values, path, number)
        stated.append((values["rows"], number))
        digest = scan_digests.setdefault((decision.scan, decision.model), decision.scan_sha256)
        if digest != decision.scan_sha256 and not joined:
            raise _error(path, number, f"scan_sha256 of {decision.scan} differs from other rows")
        decisions.append(decision)
    if not decisions:
        raise _error(path, 1, "there is no decision below the header")
    if wrong := [row for row in stated if int(row[0]) != len(decisions)]:
        written, number = wrong[-1 if len(wrong) == len(decisions) else 0]
        problem = f"the file was written with {written} rows and has {len(decisions)}: rows are missing or were added"
        raise _error(path, number, problem)
    return decisions


def review_row(decision: Decision) -> dict[str, str | int | float | None]:
    """A decision as the report has it: the columns of review.tsv but ``rows``, None for n/a."""
    place = dict(zip(("x_mm", "y_mm", "z_mm"), decision.place_mm or (None,) * 3, strict=True))
    values = vars(decision) | place
    return {name: values[name] or None for name in COLUMNS if name not in ("rows", *place)} | place


def write_review(path: Path | str, decisions: Sequence[Decision]) -> None:
    """Write decisions as the report exports them, and their data dictionary (``.json``) beside the file."""
    lines = ["\t".join(COLUMNS)]
    for decision in decisions:
        place = map(str, decision.place_mm or (MISSING,) * 3)
        values = {**vars(decision), "note": _escaped(decision.note), "rows": len(decisions)}
        values |= dict(zip(("x_mm", "y_mm", "z_mm"), place, strict=True))
        cells = [str(values[name]) if values[name] else MISSING for name in COLUMNS]
        lines.append("\t".join(re.sub(r"[\t\r\n]", " ", cell) for cell in cells))
    with write_atomically(path) as partial:
        partial.write_text("\n".join([*lines, ""]), encoding="utf-8", newline="\n")
    json_sidecar.write(Path(path).with_suffix(".json"), dictionary(FILE))


def _lines(path: str | Path) -> list[tuple[int, str]]:
    """Number and text of each line of a file."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ReviewError(
            f"review: {path}: {error.strerror}: correct the path, or leave it out of the config key review"
        ) from error
    try:
        text = content.decode("utf-8-sig")
        if "\0" in text:
            raise UnicodeDecodeError("utf-8", content, content.index(b"\0"), len(content), "zero")
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        raise _error(path, number, "this is not UTF-8 text") from error
    lines = enumerate(text.split("\n"), start=1)
    return [(number, line.removesuffix("\r")) for number, line in lines]


def _header_problem(header: str) -> str:
    for delimiter, name in {";": "semicolons", ",": "commas"}.items():
        if [_unquoted(cell) for cell in header.split(delimiter)] == COLUMNS:
            return f"cells are separated by {name}, expected tabs"
    shown = header if len(header) <= 80 else f"{header[:80]}..."
    return f"this is not a review.tsv: its first line is {shown!r}, expected {' '.join(COLUMNS)}"


def _unquoted(cell: str, plain: bool = True) -> str:
    """A cell without the quotes of a spreadsheet.

    Free text may itself have quotes at both ends: without ``plain``, only a cell whose inner quotes are doubled, as
    those of a spreadsheet are, counts as quoted.
    """
    inner = cell[1:-1]
    if len(cell) < 2 or not cell[0] == cell[-1] == '"' or '"' in inner.replace('""', ""):
        return cell
    return inner.replace('""', '"') if plain or '"' in inner else cell


def _decision(values: dict[str, str], path: str | Path, number: int) -> Decision:
    """A row, whose cells are checked.

    Raises
    ------
    ReviewError
        If a cell is not what its column holds.
    """
    decision = values["decision"]
    for name, value in {"decision": decision, **values}.items():  # on which other cells depend
        expected, pattern = CELLS[name]
        lacks = name in LACKS.get(decision, ())
        if lacks != (value == MISSING) and name != "note":
            expected = f"{MISSING} for {decision}" if lacks else expected
        elif lacks or value == MISSING or pattern.fullmatch(value):
            continue
        raise _error(path, number, f"{name} is {value[:60]!r}, expected {expected}")
    try:
        datetime.strptime(values["date"], "%Y-%m-%dT%H:%M:%SZ")
        if values["voxels"] != MISSING:
            run_lengths(values["voxels"])
    except ValueError as error:
        raise _error(path, number, str(error)) from error
    has_place = values["x_mm"] != MISSING
    return Decision(
        **{name: values[name] for name in ("scan", "model", "decision", "reviewer", "date")},
        label="" if values["label"] == MISSING else values["label"],
        note="" if values["note"] == MISSING else _unescaped(values["note"]),
        lesion_map_sha256=values["lesion_map_sha256"],
        scan_sha256=values["scan_sha256"],
        lesion=0 if values["lesion"] == MISSING else int(values["lesion"]),
        place_mm=(float(values["x_mm"]), float(values["y_mm"]), float(values["z_mm"]))
        if has_place
        else None,
        voxels="" if values["voxels"] == MISSING else values["voxels"],
        source=f"review: {path}, line {number}",
    )


def _error(path: str | Path, number: int, problem: str) -> ReviewError:
    return ReviewError(f"review: {path}, line {number}: {problem}: {AGAIN}")


def _escaped(note: str) -> str:
    return re.sub(r"\r\n?|\n", r"\\n", note.replace("\\", "\\\\"))


def _unescaped(cell: str) -> str:
    return re.sub(
        r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], cell, flags=re.DOTALL
    )
