"""Digests of files are kept for as long as the state of a file stays the same."""

import hashlib
import os

import pytest

from lesionflow.base.file_digests import FileDigests, file_state


@pytest.fixture
def hashed(tmp_path):
    """A function that hashes a file as a new run would, and the files that had to be read."""
    read = []

    def sha256(path):
        digests = FileDigests(tmp_path / "work/digests.jsonl", "work/", lambda p, n: read.append(p))
        return digests.sha256(path)

    sha256.read = read
    return sha256


def test_an_unchanged_file_is_read_once(tmp_path, hashed):
    path = tmp_path / "a"
    path.write_bytes(b"one")
    expected = hashlib.sha256(b"one").hexdigest()
    assert [hashed(path), hashed(path)] == [expected] * 2
    assert hashed.read == [path]
    assert FileDigests(tmp_path / "work/digests.jsonl").known(path) == expected


def test_an_edit_that_keeps_size_and_date_is_noticed(tmp_path, hashed):
    path = tmp_path / "a"
    path.write_bytes(b"one")
    before, state = hashed(path), path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (3, state.st_mtime_ns)
    assert FileDigests(tmp_path / "work/digests.jsonl").known(path) is None
    assert hashed(path) == hashlib.sha256(b"two").hexdigest() != before


def test_a_copy_with_its_date_is_read_and_gives_the_same(tmp_path, hashed):
    (tmp_path / "a").write_bytes(b"one")
    (tmp_path / "b").write_bytes(b"one")
    assert hashed(tmp_path / "a") == hashed(tmp_path / "b")
    (tmp_path / "b").replace(tmp_path / "a")
    hashed(tmp_path / "a")
    assert hashed.read == [tmp_path / "a", tmp_path / "b", tmp_path / "a"]


def test_damaged_entries_cost_time_only(tmp_path, hashed):
    store = tmp_path / "work/digests.jsonl"
    (tmp_path / "a").write_bytes(b"one")
    expected = hashed(tmp_path / "a")
    for text in (b"", b"{", store.read_bytes()[:-20], b"[1]\n{}\n\xff\n" + store.read_bytes()):
        store.write_bytes(text)
        assert hashed(tmp_path / "a") == expected


def test_a_store_that_cannot_be_written_costs_time_only(tmp_path, hashed):
    (tmp_path / "work").write_bytes(b"a file")
    (tmp_path / "a").write_bytes(b"one")
    assert hashed(tmp_path / "a") == hashlib.sha256(b"one").hexdigest()


def test_entries_that_were_replaced_are_dropped(tmp_path, hashed):
    (tmp_path / "a").write_bytes(b"one")
    hashed(tmp_path / "a")
    store = tmp_path / "work/digests.jsonl"
    store.write_bytes(store.read_bytes() * 2000)
    hashed(tmp_path / "a")
    assert store.read_bytes().count(b"\n") == 1
    assert hashed.read == [tmp_path / "a"]


def test_temporary_files_are_not_stored(tmp_path):
    (tmp_path / "a").write_bytes(b"one")
    digests = FileDigests(tmp_path / "store", str(tmp_path / "a"))
    digests.sha256(tmp_path / "a")
    assert digests.known(tmp_path / "a") and not (tmp_path / "store").exists()


def test_what_does_not_exist_has_no_state(tmp_path):
    assert file_state(tmp_path / "none") is None
    assert file_state("a\0b") is None
    with pytest.raises(FileNotFoundError):
        FileDigests(tmp_path / "store").sha256(tmp_path / "none")
