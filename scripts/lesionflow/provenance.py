"""Marks of code and files, so that reruns follow content."""

import ast
import hashlib
import json
from functools import cache
from pathlib import Path

from lesionflow.whole import whole

DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)


def sha256_file(path: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sources(script: Path) -> tuple[Path, ...]:
    """A script and the ``lesionflow`` modules that it imports, directly or through others.

    Found in the syntax tree, so that imports inside functions count and no list can go stale.
    ``script`` lies in the folder that holds the package ``lesionflow``, or in the package itself.
    """
    root = script.parent if script.parent.name != "lesionflow" else script.parent.parent
    found: dict[Path, None] = {}
    waiting = [script]
    while waiting:
        source = waiting.pop()
        if source in found:
            continue
        found[source] = None
        waiting += [m for name in _read(source)[1] if (m := _module(root, name)) is not None]
    return tuple(sorted(found))


def _module(root: Path, name: str) -> Path | None:
    path = root.joinpath(*name.split(".")).with_suffix(".py")
    return path if path.is_file() else None


def code_digest(script: Path) -> str:
    """Mark of what a step does: its script and every module that it imports.

    Comments, docstrings and formatting do not count: the text is written anew from the tree.
    """
    texts = [_read(source)[0] for source in sources(script)]
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def code_digests(folder: Path, store: Path) -> dict[str, str]:
    """``code_digest`` of every script in a folder, by the script's name.

    Kept in the file ``store`` for as long as sizes and times of the folder's files stay as they are:
    every call and every cluster job asks for them.
    """
    found = ((path, path.stat()) for path in sorted(folder.rglob("*.py")))
    files = {str(p.relative_to(folder)): [s.st_size, s.st_mtime_ns] for p, s in found}
    try:
        kept = json.loads(store.read_text(encoding="utf-8"))
        if kept["files"] == files:
            return kept["marks"]
    except (OSError, ValueError, KeyError, TypeError):
        pass  # none yet, or not whole
    marks = {script.stem: code_digest(script) for script in sorted(folder.glob("*.py"))}
    with whole(store) as partial:
        partial.write_text(json.dumps({"files": files, "marks": marks}), encoding="utf-8")
    return marks


@cache  # most modules serve several steps
def _read(source: Path) -> tuple[str, frozenset[str]]:
    """The code of a file without its docstrings, and the names in ``lesionflow`` that it imports."""
    tree = ast.parse(source.read_bytes(), str(source))
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, DOCUMENTED) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    own = frozenset(name for name in names if name.split(".")[0] == "lesionflow")
    return ast.unparse(tree), own
