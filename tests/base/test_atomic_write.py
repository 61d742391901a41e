"""Files that are written atomically."""

import errno
import gzip
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from lesionflow.base import atomic_write, leftovers
from lesionflow.base.atomic_write import write_atomically
from lesionflow.imaging.nifti import save
from support import SCRIPTS

LONG = "sub-" + "ä" * 90 + "_space-model_desc-preproc_" + "x" * 40  # 250 bytes


def killed_writer(path):
    """Let a process write to ``path`` and be killed; returns the name of what it leaves."""
    code = (
        f"import os, signal, sys; sys.path.append({str(SCRIPTS)!r})\n"
        "from lesionflow.base.atomic_write import write_atomically\n"
        f"with write_atomically({str(path)!r}) as partial:\n"
        "    partial.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    (leftover,) = (p for p in path.parent.iterdir() if p.name != path.name)
    return leftover


def age(path, days):
    then = time.time() - days * 86400
    os.utime(path, (then, then))


def test_an_interrupted_write_leaves_no_file(tmp_path):
    with pytest.raises(KeyboardInterrupt), write_atomically(tmp_path / "a.txt") as partial:
        partial.write_text("half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.nii.gz", f"{LONG}.nii.gz"[:160]])
def test_what_a_killed_writer_left_is_removed_by_the_next_one(tmp_path, name):
    leftover = killed_writer(tmp_path / name)
    assert leftover.name.startswith(".")
    with write_atomically(tmp_path / name) as partial:
        partial.write_text("all")
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a.nii.gz", f"{LONG}.nii.gz"[-150:]])
def test_what_a_writer_within_a_writer_left_is_removed(tmp_path, name):
    """As predict_fold, which writes its image to a temporary path."""
    code = (
        f"import os, signal, sys; sys.path.append({str(SCRIPTS)!r})\n"
        "from lesionflow.base.atomic_write import write_atomically\n"
        "with write_atomically(sys.argv[1]) as outer, write_atomically(outer) as inner:\n"
        "    inner.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / name], check=False)
    assert len(list(tmp_path.iterdir())) == 1
    with write_atomically(tmp_path / name) as outer, write_atomically(outer) as inner:
        inner.write_text("all")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [(name, "all")]


def test_a_full_disk_within_a_writer_names_the_final_file(tmp_path):
    with (
        pytest.raises(OSError, match="No space") as caught,
        write_atomically(tmp_path / "a.txt") as outer,
        write_atomically(outer),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert caught.value.filename == str(tmp_path / "a.txt")


def test_a_leftover_is_removed_also_if_the_next_writer_fails(tmp_path):
    killed_writer(tmp_path / "a.txt")
    with pytest.raises(ValueError, match="no"), write_atomically(tmp_path / "a.txt"):
        raise ValueError("no")
    assert list(tmp_path.iterdir()) == []


def test_files_of_running_writers_and_of_other_names_stay(tmp_path):
    other = killed_writer(tmp_path / "b-a.txt")
    with (
        write_atomically(tmp_path / "a.txt") as first,
        write_atomically(tmp_path / "a.txt") as second,
    ):
        first.write_text("1")
        second.write_text("2")
        assert first != second  # as of two threads
    assert (tmp_path / "a.txt").read_text() == "1"  # the last one to finish
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([other.name, "a.txt"])


def test_a_writer_on_another_host_counts_as_running_for_a_week(tmp_path, monkeypatch):
    """A process id says nothing about a process on another node of a cluster, or in another container."""
    for module in (atomic_write, leftovers):
        monkeypatch.setattr(module, "host", lambda: "0" * 8)
    leftover = killed_writer(tmp_path / "a.txt")
    for days, names in ((6, [leftover.name, "a.txt"]), (8, ["a.txt"])):
        age(leftover, days)
        with write_atomically(tmp_path / "a.txt") as partial:
            partial.write_text("all")
        assert sorted(p.name for p in tmp_path.iterdir()) == names


def test_a_folder_with_the_name_of_a_leftover_stops_no_writer(tmp_path):
    leftover = killed_writer(tmp_path / "a.txt")
    leftover.unlink()
    leftover.mkdir()
    with write_atomically(tmp_path / "a.txt") as partial:
        partial.write_text("all")
    assert (tmp_path / "a.txt").read_text() == "all"


@pytest.mark.parametrize("ending", [".nii.gz", ".json", ""])
@pytest.mark.parametrize("length", [1, 230, 255])
def test_a_name_as_long_as_the_system_allows_can_be_written(tmp_path, ending, length):
    """The temporary name ends like the final one, from which writers take the format."""
    stem = LONG.encode()[: max(length - len(ending), 1)].decode(errors="ignore")
    path = tmp_path / f"{stem}{'x' * (length - len((stem + ending).encode()))}{ending}"
    with write_atomically(path) as partial:
        assert partial.name.endswith(ending)
        partial.write_text("all")
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_threads_that_write_the_same_file_do_not_share_a_temporary_one(tmp_path):
    barrier, errors = threading.Barrier(4), []

    def write(text):
        try:
            with write_atomically(tmp_path / "a.txt") as partial:
                barrier.wait()
                partial.write_text(text * 1000)
                barrier.wait()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(text,)) for text in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(set((tmp_path / "a.txt").read_text())) == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_the_data_are_on_the_disk_before_the_file_has_its_name(tmp_path, monkeypatch):
    synced, fsync = [], os.fsync

    def record(number):
        synced.append((os.fstat(number).st_ino, os.fstat(number).st_size))
        assert not (tmp_path / "a.nii.gz").exists()
        fsync(number)

    monkeypatch.setattr(os, "fsync", record)
    save(tmp_path / "a.nii.gz", np.arange(24, dtype=np.float32).reshape(2, 3, 4), np.eye(4))
    ((inode, size),) = synced
    written = (tmp_path / "a.nii.gz").stat()
    assert inode == written.st_ino
    assert size == written.st_size  # the writer has closed it
    assert len(gzip.decompress((tmp_path / "a.nii.gz").read_bytes())) == 352 + 24 * 4


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_leaves_the_earlier_file_and_is_an_error_that_names_it(
    tmp_path, monkeypatch, code
):
    path = tmp_path / "a.txt"
    path.write_text("before")

    def full(number):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"a\.txt") as caught, write_atomically(path) as partial:
        partial.write_text("all")
    assert (caught.value.errno, caught.value.filename) == (code, str(path))
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a.txt", "before")]


def test_the_wait_for_the_disk_can_be_switched_off(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda number: pytest.fail("waited"))
    monkeypatch.setenv("LESIONFLOW_FSYNC", "0")
    with write_atomically(tmp_path / "a.txt") as partial:
        partial.write_text("all")
    assert (tmp_path / "a.txt").read_text() == "all"


def test_a_file_system_that_cannot_sync_is_no_error(tmp_path, monkeypatch):
    """Some file systems in user space refuse fsync."""

    def refuse(number):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(os, "fsync", refuse)
    with write_atomically(tmp_path / "a.txt") as partial:
        partial.write_text("all")
    assert (tmp_path / "a.txt").read_text() == "all"


def test_a_reading_error_while_a_file_is_written_is_not_that_of_the_file(tmp_path):
    with (
        pytest.raises(OSError, match="Input/output") as caught,
        write_atomically(tmp_path / "a.txt"),
    ):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    assert caught.value.filename is None
