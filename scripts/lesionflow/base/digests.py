"""Digests of code and files: a step runs again if one of them has changed."""

import ast
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from lesionflow.base.atomic_write import write_atomically

DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def sha256_file(path: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_files(
    paths: Sequence[str | Path], digest: Callable[[str | Path], str] = sha256_file
) -> str:
    """SHA-256 of an image by its files: of the file, or of the sorted digests of several, joined.

    Neither their names nor their order matter.
    """
    digests = sorted(map(digest, paths))
    return (
        digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
    )


def sources(script: Path, root: Path | None = None) -> tuple[Path, ...]:
    """The files that determine what a script does, sorted: itself, the modules it imports, and their data files.

    Imports are followed through packages of any depth: absolute and relative ones, those inside functions,
    and ``importlib.import_module`` of a literal name. The ``__init__.py`` of each package on the path is included,
    since Python runs it. Modules outside ``root`` are not: the environment fixes the versions of installed
    packages. A data file is included if a module names it by a literal path relative to the module, such as
    ``"templates/page.html"``; a folder named in this way is included with all its files.

    Parameters
    ----------
    script
        A Python file.
    root
        Folder from which top-level modules are imported; by default that of the script.
    """
    root = (script.parent if root is None else root).resolve()
    visited: set[Path] = set()
    queue = [script.resolve()]
    while queue:
        source = queue.pop()
        if source in visited:
            continue
        visited.add(source)
        if source.suffix == ".py":
            queue += _direct_sources(source, root, source.read_bytes())
    return tuple(sorted(visited))


def code_digest(script: Path, root: Path | None = None) -> str:
    """Digest of the ``sources`` of a script, 16 hexadecimal digits.

    Comments, docstrings and formatting do not change it: code is generated anew from its syntax tree.
    """
    texts = [
        _code(source.read_bytes()) if source.suffix == ".py" else sha256_file(source)
        for source in sources(script, root)
    ]
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def code_digests(folder: Path, store: Path) -> dict[str, str]:
    """``code_digest`` of every script directly in a folder, by the script's name.

    They are stored in the file ``store`` and computed again if any file below the folder has changed: every
    call of Snakemake and every cluster job needs them, and parsing all modules takes a second.
    """
    content = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path != store and "__pycache__" not in path.parts:
            content.update(f"{path.relative_to(folder)}\0{sha256_file(path)}\0".encode())
    try:
        stored = json.loads(store.read_text(encoding="utf-8"))
        if stored["content"] == content.hexdigest():
            return stored["digests"]
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not written yet, or by another version
    digests = {script.stem: code_digest(script) for script in sorted(folder.glob("*.py"))}
    with (
        suppress(OSError),
        write_atomically(store) as partial,
    ):  # they are computed again without it
        text = json.dumps({"content": content.hexdigest(), "digests": digests})
        partial.write_text(text, encoding="utf-8")
    return digests


@cache  # several steps import the same modules
def _code(text: bytes) -> str:
    """The code of a module without comments and docstrings."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


@cache
def _direct_sources(source: Path, root: Path, text: bytes) -> tuple[Path, ...]:
    """The files below ``root`` that a module imports or names directly."""
    tree = ast.parse(text, str(source))
    files: dict[Path, None] = {}
    for name in _imported_names(tree, _package(source, root)):
        files.update(dict.fromkeys(_module_files(name, root)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            files.update(dict.fromkeys(_data_files(source, node.value)))
    return tuple(files)


def _imported_names(tree: ast.Module, package: list[str]) -> Iterator[str]:
    """Dotted names that a module imports; for ``from a import b`` both ``a`` and ``a.b``."""
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
    """Names of the packages that contain a module, outermost first."""
    folder = source.parent
    return list(folder.relative_to(root).parts) if folder.is_relative_to(root) else []


def _module_files(name: str, root: Path) -> Iterator[Path]:
    """The files below ``root`` that run when a dotted name is imported: ``__init__.py`` of packages, and the module."""
    *packages, last = name.split(".")
    folder = root
    for package in packages:
        folder = folder / package
        if (folder / "__init__.py").is_file():
            yield folder / "__init__.py"
    if last == "*":  # a package may name any of its modules in __all__
        yield from sorted(folder.glob("*.py"))
    for path in (folder / last / "__init__.py", folder / f"{last}.py"):
        if path.is_file():
            yield path
            return


def _data_files(source: Path, text: str) -> Iterator[Path]:
    """Data files whose path relative to a module is the literal ``text``."""
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
