"""Digests of code."""

import pytest

from lesionflow.base import digests
from lesionflow.base.digests import code_digest, sources


def write_step(folder, text):
    """Write a step whose module imports another one with this text; returns the digest of the step."""
    package = folder / "lesionflow"
    package.mkdir(exist_ok=True)
    (package / "__init__.py").write_text("")
    (package / "one.py").write_text("from lesionflow.two import x\n")
    (package / "two.py").write_text(text)
    (package / "other.py").write_text("y = 1\n")
    (folder / "step.py").write_text("def main():\n    from lesionflow import one\n")
    return code_digest(folder / "step.py")


def test_the_digest_of_a_step_depends_on_its_imports(tmp_path):
    first = write_step(tmp_path, "x = 1\n")
    names = [path.name for path in sources(tmp_path / "step.py")]
    assert names == ["__init__.py", "one.py", "two.py", "step.py"]
    assert write_step(tmp_path, "x = 2\n") != first


@pytest.mark.parametrize("text", ["# a comment\nx  =  1\n", '"""A docstring."""\nx = 1\n'])
def test_comments_docstrings_and_formatting_do_not_change_the_digest(tmp_path, text):
    assert write_step(tmp_path, text) == write_step(tmp_path, "x = 1\n")


def test_digests_are_stored_until_a_file_changes(tmp_path, monkeypatch):
    first = write_step(tmp_path, "x = 1\n")
    store = tmp_path / "work/code.json"
    assert digests.code_digests(tmp_path, store) == {"step": first}
    with monkeypatch.context() as patch:
        patch.setattr(digests, "code_digest", None)  # not called again
        assert digests.code_digests(tmp_path, store) == {"step": first}
    changed = write_step(tmp_path, "x = 22\n")
    assert digests.code_digests(tmp_path, store) == {"step": changed} != {"step": first}
    store.write_text("{")
    assert digests.code_digests(tmp_path, store) == {"step": changed}
