"""Files that killed processes leave behind, and the temporary folder of a process."""

import os
import subprocess
import sys
import tempfile
import time

import pytest

from lesionflow.base import leftovers
from lesionflow.base.leftovers import (
    is_leftover,
    process_folder,
    remove_process_folder,
    temporary_folder,
)
from support import SCRIPTS


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder for temporary files, empty; this process has no folder in it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(leftovers, "_folders", {})
    return tmp_path


def end_process(temporary, how):
    """Let a process write to its folder and end."""
    code = (
        f"import os, signal, sys; sys.path.append({str(SCRIPTS)!r})\n"
        "from lesionflow.base.leftovers import process_folder, remove_process_folder\n"
        f"(process_folder() / 'generated.py').touch()\n{how}\n"
    )
    environment = {**os.environ, "TMPDIR": str(temporary)}
    subprocess.run([sys.executable, "-c", code], check=False, env=environment)
    return list(temporary.iterdir())


def test_the_folder_of_a_process_is_its_own_and_only_the_user_can_open_it(temporary):
    folder = process_folder()
    assert (folder.parent, folder.stat().st_mode & 0o777) == (temporary, 0o700)
    assert process_folder() == folder
    if not (pid := os.fork()):
        other = process_folder()
        remove_process_folder()
        os._exit(other == folder)
    assert os.waitpid(pid, 0)[1] == 0
    assert folder.is_dir()  # not that of the fork
    folder.rmdir()  # by a program that empties /tmp
    assert process_folder().is_dir()
    remove_process_folder()
    remove_process_folder()
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("how", ["", "raise SystemExit(1)", "remove_process_folder(); os._exit(0)"])
def test_a_process_that_ends_leaves_no_folder(temporary, how):
    assert end_process(temporary, how) == []


def test_the_folder_of_a_killed_process_is_removed_by_the_next_one(temporary):
    (folder,) = end_process(temporary, "os.kill(os.getpid(), signal.SIGKILL)")
    (temporary / "lesionflow-0").mkdir()
    (temporary / f"{folder.name}-notes.txt").touch()
    link = temporary / folder.name.replace("lesionflow-", "lesionflow-", 1)[:-1]
    link.symlink_to(temporary / "lesionflow-0")
    mine = process_folder()
    assert sorted(temporary.iterdir()) == sorted(
        [mine, temporary / "lesionflow-0", temporary / f"{folder.name}-notes.txt", link]
    )
    remove_process_folder()


def test_a_process_id_counts_only_on_its_own_host(tmp_path):
    file = tmp_path / "file"
    file.touch()
    here, elsewhere = leftovers.host(), "0" * 8
    assert is_leftover(file, here, 999999999)
    assert not is_leftover(file, here, os.getpid())
    assert not is_leftover(file, elsewhere, 999999999)
    os.utime(file, (time.time() - 8 * 86400,) * 2)
    assert is_leftover(file, elsewhere, 999999999)
    assert not is_leftover(file, here, os.getpid())


def test_a_temporary_folder_ends_with_its_block_and_removes_those_of_killed_processes(tmp_path):
    code = (
        f"import os, sys; sys.path.append({str(SCRIPTS)!r})\n"
        "from pathlib import Path\n"
        "from lesionflow.base.leftovers import temporary_folder\n"
        f"with temporary_folder(Path({str(tmp_path)!r}), 'import') as folder:\n"
        "    (folder / 'half').touch(); os._exit(1)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    assert len(list(tmp_path.iterdir())) == 1
    other = tmp_path / f".import-{leftovers.host()}-{os.getpid()}-x"
    other.mkdir()  # of a thread of this process
    with temporary_folder(tmp_path, "import") as folder:
        (folder / "half").touch()
        assert sorted(tmp_path.iterdir()) == sorted([folder, other])
    assert list(tmp_path.iterdir()) == [other]
