"""Names and paths that the workflow cannot carry, so that they cost only their own scan."""

import re
from pathlib import Path

# Snakemake takes a wildcard of this kind for a rule that calls itself without end.
REPETITION = re.compile(r"(.+?)\1{19,}$")
LONGEST_NAME = 255 - 64  # a file name in Linux, less the rest of the names of the results


def printable(text: str) -> str:
    r"""``text`` with the bytes that are no UTF-8 (Python keeps them as surrogates) as escapes such as ``\udce9``."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def ignores_case(folder: Path) -> bool:
    """Whether names in a folder that differ in case only are the same, as on the usual disks of macOS."""
    for place in (folder.absolute(), *folder.absolute().parents):
        if place.name != place.name.swapcase():  # it has letters
            other = place.with_name(place.name.swapcase())
            return other.exists() and other.samefile(place)
    return False


def path_problem(path: str) -> str:
    """Why a path cannot be passed through Snakemake; empty if it can."""
    if printable(path) != path:
        return f"{printable(path)}: the path is not UTF-8 text: rename the file or folder"
    if bad := sorted({c for c in path if c in "{}" or not c.isprintable()}):
        shown = ", ".join(map(repr, bad))
        return f"{path!r}: the path contains {shown}, which Snakemake reads otherwise: rename the file or folder"
    return ""


def name_problem(name: str) -> str:
    """Why a scan cannot be processed under its name (``Scan.name``); empty if it can."""
    remedy = "give it another name in a scan table"
    if len(name) > LONGEST_NAME:
        return f"the name of the scan has {len(name)} characters, at most {LONGEST_NAME} are possible: {remedy}"
    for part in name.split("_"):
        if REPETITION.search(part):
            return (
                f"the name of the scan repeats itself in {part}, which Snakemake refuses: {remedy}"
            )
    return ""
