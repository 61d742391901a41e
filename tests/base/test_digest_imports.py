"""Files covered by a digest: imports of every form through packages of any depth, and data files."""

import subprocess
import sys

import pytest

from lesionflow.base.digests import code_digest, code_digests, sources

PACKAGE = {
    "lib/__init__.py": "",
    "lib/deep/__init__.py": "from lib.deep.hidden import name\n",
    "lib/deep/hidden.py": "name = 1\n",
    "lib/deep/deeper/__init__.py": "",
    "lib/deep/deeper/leaf.py": "from ...other import value\n",
    "lib/other.py": "value = 1\n",
    "lib/unused.py": "value = 1\n",
    "lib/plain/module.py": "value = 1\n",  # a namespace package
}
PACKAGES = {"lib/__init__.py", "lib/deep/__init__.py", "lib/deep/hidden.py"}
LEAF = PACKAGES | {"lib/deep/deeper/__init__.py", "lib/deep/deeper/leaf.py", "lib/other.py"}


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("import lib.deep.deeper.leaf\n", LEAF),
        ("import lib.deep.deeper.leaf as short\n", LEAF),
        ("from lib.deep.deeper import leaf\n", LEAF),
        ("from lib.deep.deeper import leaf as short\n", LEAF),
        ("from lib.deep.deeper.leaf import value\n", LEAF),
        ("from lib.deep import name  # from its __init__.py\n", PACKAGES),
        ("def main():\n    from lib.deep.deeper import leaf\n", LEAF),
        ("class A:\n    def f(self):\n        import lib.deep.deeper.leaf as x\n", LEAF),
        (
            "try:\n    from lib import other\nexcept ImportError:\n    pass\n",
            {"lib/__init__.py", "lib/other.py"},
        ),
        (
            "import importlib\nimportlib.import_module('lib.other')\n",
            {"lib/__init__.py", "lib/other.py"},
        ),
        ("from lib import *\n", {"lib/__init__.py", "lib/other.py", "lib/unused.py"}),
        ("from lib.plain import module\n", {"lib/__init__.py", "lib/plain/module.py"}),
        ("import json, os.path\nfrom pathlib import Path\n", set()),
    ],
)
def test_a_digest_covers_the_imports_of_the_step(tmp_path, step, expected):
    write(tmp_path, {**PACKAGE, "step.py": step})
    covered = {str(path.relative_to(tmp_path)) for path in sources(tmp_path / "step.py")}
    assert covered == expected | {"step.py"}
    program = (
        "import sys, runpy; sys.path.insert(0, '.')\n"
        "scope = runpy.run_path('step.py'); scope.get('main', lambda: 0)()\n"
        "print(*[m.__file__ for m in list(sys.modules.values()) if getattr(m, '__file__', None)], sep='\\n')"
    )
    process = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    names = [line.removeprefix("./") for line in process.stdout.split()]
    imported = {name.removeprefix(f"{tmp_path}/") for name in names if "lib/" in name}
    assert imported & set(PACKAGE) <= covered


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from . import leaf\n", "lib/deep/deeper/leaf.py"),
        ("from .leaf import value\n", "lib/deep/deeper/leaf.py"),
        ("from .. import hidden\n", "lib/deep/hidden.py"),
        ("from ..hidden import name\n", "lib/deep/hidden.py"),
        ("from ... import other\n", "lib/other.py"),
    ],
)
def test_relative_imports_are_followed(tmp_path, text, expected):
    step = "from lib.deep.deeper import start\n"
    write(tmp_path, {**PACKAGE, "lib/deep/deeper/start.py": text, "step.py": step})
    assert tmp_path / expected in sources(tmp_path / "step.py")


@pytest.mark.parametrize("name", ["lib/deep/__init__.py", "lib/deep/hidden.py", "lib/other.py"])
def test_an_edit_of_any_imported_module_changes_the_digest(tmp_path, name):
    write(tmp_path, {**PACKAGE, "step.py": "import lib.deep.deeper.leaf\n"})
    before = code_digest(tmp_path / "step.py")
    (tmp_path / "lib/unused.py").write_text("value = 2\n")
    (tmp_path / name).write_text((tmp_path / name).read_text() + "\n# a comment\n")
    assert code_digest(tmp_path / "step.py") == before
    (tmp_path / name).write_text((tmp_path / name).read_text() + "\nmore = 1\n")
    assert code_digest(tmp_path / "step.py") != before


def test_a_digest_covers_the_data_files_that_a_module_names(tmp_path):
    files = {
        "lib/page.py": "from pathlib import Path\nPAGE = Path(__file__).parent / 'templates/page.html'\n",
        "lib/pages.py": "LOADER = 'templates'\n",
        "lib/templates/page.html": "<p>",
        "lib/templates/base.html": "<html>",
        "one.py": "import lib.page\n",
        "all.py": "import lib.pages\n",
        "none.py": "import lib.other\n",
    }
    write(tmp_path, {**PACKAGE, **files})
    scripts = [tmp_path / f"{name}.py" for name in ("one", "all", "none")]
    before = [code_digest(script) for script in scripts]
    (tmp_path / "lib/templates/base.html").write_text("<html lang='en'>")
    between = [code_digest(script) for script in scripts]
    assert [a == b for a, b in zip(before, between, strict=True)] == [True, False, True]
    (tmp_path / "lib/templates/page.html").write_text("<div>")
    after = [code_digest(script) for script in scripts]
    assert [a == b for a, b in zip(between, after, strict=True)] == [False, False, True]


def test_stored_digests_depend_on_content_and_not_on_times(tmp_path):
    """An edit that keeps size and time changes the digest; a new time does not."""
    import os

    folder, store = write(tmp_path / "scripts", {"step.py": "x = 1\n"}), tmp_path / "work/code.json"
    first = code_digests(folder, store)
    stat = (folder / "step.py").stat()
    (folder / "step.py").write_text("x = 2\n")
    os.utime(folder / "step.py", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    second = code_digests(folder, store)
    assert second != first
    os.utime(folder / "step.py")
    assert code_digests(folder, store) == second
