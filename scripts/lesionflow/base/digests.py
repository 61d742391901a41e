"""Digests of code and files, so that reruns follow content."""

import ast
import hashlib
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from lesionflow.base.atomic_write import write_atomically

DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def sha256_file(path: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sources(script: Path, root: Path | None = None) -> tuple[Path, ...]:
    """The files that decide what a script does, sorted: itself, the modules it imports, and their data files.

    Imports are followed through packages of any depth: absolute and relative ones, inside functions as well,
    and ``importlib.import_module`` of a literal name. The ``__init__.py`` of every package on the way counts,
    since Python runs it. Only modules below ``root`` count: installed packages have their versions in the
    environment. A data file counts where a module names it by a literal path beside the module, such as
    ``"templates/page.html"``; a folder named so counts with all that is in it.

    Parameters
    ----------
    script
        A Python file.
    root
        Folder that top-level modules are imported from; by default that of the script.
    """
    root = (script.parent if root is None else root).resolve()
    found: set[Path] = set()
    waiting = [script.resolve()]
    while waiting:
        source = waiting.pop()
        if source in found:
            continue
        found.add(source)
        if source.suffix == ".py":
            waiting += _used(source, root, source.read_bytes())
    return tuple(sorted(found))


def code_digest(script: Path, root: Path | None = None) -> str:
    """Digest of what a script does: 16 hexadecimal digits over its ``sources``.

    Comments, docstrings and formatting do not count: code is written anew from its syntax tree.
    """
    texts = [
        _code(source.read_bytes()) if source.suffix == ".py" else sha256_file(source)
        for source in sources(script, root)
    ]
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def code_digests(folder: Path, store: Path) -> dict[str, str]:
    """``code_digest`` of every script directly in a folder, by the script's name.

    Kept in the file ``store`` as long as the content of all files below the folder stays the same: every
    call of Snakemake and every cluster job asks for them, and parsing all modules takes a second.
    """
    content = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path != store and "__pycache__" not in path.parts:
            content.update(f"{path.relative_to(folder)}\0{sha256_file(path)}\0".encode())
    try:
        kept = json.loads(store.read_text(encoding="utf-8"))
        if kept["content"] == content.hexdigest():
            return kept["digests"]
    except (OSError, ValueError, KeyError, TypeError):
        pass  # none yet, or another version's
    digests = {script.stem: code_digest(script) for script in sorted(folder.glob("*.py"))}
    with write_atomically(store) as partial:
        text = json.dumps({"content": content.hexdigest(), "digests": digests})
        partial.write_text(text, encoding="utf-8")
    return digests


@cache  # most modules serve several steps
def _code(text: bytes) -> str:
    """The code of a module without comments and docstrings."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


@cache
def _used(source: Path, root: Path, text: bytes) -> tuple[Path, ...]:
    """The files below ``root`` that a module uses by itself."""
    tree = ast.parse(text, str(source))
    found: dict[Path, None] = {}
    for name in _imported(tree, _package(source, root)):
        found.update(dict.fromkeys(_files_of(name, root)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.update(dict.fromkeys(_data_files(source, node.value)))
    return tuple(found)


def _imported(tree: ast.Module, package: list[str]) -> Iterator[str]:
    """Dotted names that a module imports; of ``from a import b`` both ``a`` and ``a.b``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*parts, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and _name(node.func) in ("import_module", "__import__"):
            literal = node.args[0] if node.args else None
            if isinstance(literal, ast.Constant) and isinstance(literal.value, str):
                yield literal.value


def _name(function: ast.expr) -> str:
    return getattr(function, "attr", getattr(function, "id", ""))


def _package(source: Path, root: Path) -> list[str]:
    """Names of the packages that a module lies in, outermost first."""
    folder = source.parent
    return list(folder.relative_to(root).parts) if folder.is_relative_to(root) else []


def _files_of(name: str, root: Path) -> Iterator[Path]:
    """The files below ``root`` that importing a dotted name runs: its packages' ``__init__.py`` and its own."""
    *packages, last = name.split(".")
    folder = root
    for package in packages:
        folder = folder / package
        if (folder / "__init__.py").is_file():
            yield folder / "__init__.py"
    if last == "*":  # of a package, the modules that it may name in __all__
        yield from sorted(folder.glob("*.py"))
    for path in (folder / last / "__init__.py", folder / f"{last}.py"):
        if path.is_file():
            yield path
            return


def _data_files(source: Path, text: str) -> Iterator[Path]:
    """Data files beside a module that a literal in it names."""
    if not text or len(text) > 200 or "\0" in text or text.startswith(("/", ".")):
        return
    path = source.parent / text
    if path.is_file():
        files = [path]
    elif path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    else:
        return
    yield from (file for file in files if file.suffix not in (".py", ".pyc"))
