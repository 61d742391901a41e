"""Marks of code and files, so that reruns follow content."""

import ast
import hashlib
from functools import cache
from pathlib import Path


def sha256_file(path: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
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
        waiting += [m for name in _imported(source) if (m := _module(root, name)) is not None]
    return tuple(sorted(found))


def _imported(source: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(_tree(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] == "lesionflow"}


def _module(root: Path, name: str) -> Path | None:
    path = root.joinpath(*name.split(".")).with_suffix(".py")
    return path if path.is_file() else None


@cache
def _tree(source: Path) -> ast.Module:
    return ast.parse(source.read_bytes(), str(source))


@cache
def code_digest(script: Path) -> str:
    """Mark of what a step does: its script and every module that it imports.

    Comments, docstrings and formatting do not count: the text is written anew from the tree.
    """
    texts = [ast.unparse(_without_docstrings(_tree(source))) for source in sources(script)]
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return tree
