"""What Snakemake compares of the inputs and outputs of a job."""

import asyncio
import hashlib
import os
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
import snakemake.io

from lesionflow.base.file_digests import FileDigests, file_state
from lesionflow.workflow.rerun_by_content import Contents, _Triggered, _with_digests
from support import SCRIPTS


@pytest.fixture
def contents(tmp_path, monkeypatch):
    """The content of files of a run whose cohort has the file bids/a.nii."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bids").mkdir()
    (tmp_path / "bids/a.nii").write_bytes(b"one")
    planned = {"bids/a.nii": file_state("bids/a.nii"), "bids/none.nii": None}
    return Contents(FileDigests(tmp_path / "store"), planned, "/data/models/", set())


def test_a_file_of_the_cohort_is_its_content(contents, tmp_path):
    before = contents.of_input("bids/a.nii")
    assert before.startswith("sha256:") and "bids" not in before
    (tmp_path / "b.nii").write_bytes(b"one")
    contents.planned["b.nii"] = file_state("b.nii")
    assert contents.of_input("b.nii") == before
    (tmp_path / "b.nii").write_bytes(b"two")
    contents.planned["b.nii"] = file_state("b.nii")
    assert contents.of_input("b.nii") != before


def test_two_inputs_that_change_places_are_a_change(contents, tmp_path):
    """As when the images of two channels, or a MATLAB file and its reference, are exchanged."""
    for name, content in (("b.nii", b"one"), ("c.nii", b"two")):
        (tmp_path / name).write_bytes(content)
        contents.planned[name] = file_state(name)
    assert contents.of_inputs(["b.nii", "c.nii"]) != contents.of_inputs(["c.nii", "b.nii"])


@pytest.mark.parametrize("content", [b"two", b"one"])
def test_a_file_that_was_written_since_the_plan_has_no_known_content(contents, tmp_path, content):
    os.utime(tmp_path / "bids/a.nii", (1, 1))
    (tmp_path / "bids/a.nii").write_bytes(content)
    assert contents.of_input("bids/a.nii").startswith("changed while the run was on")


@pytest.mark.parametrize("path", ["bids/a.nii", "bids/none.nii"])
def test_a_file_that_cannot_be_read_has_no_known_content(contents, tmp_path, path):
    (tmp_path / "bids/a.nii").unlink()
    assert contents.of_input(path).startswith("changed while the run was on")


def test_other_files_are_their_paths_and_folds_are_independent_of_the_folder(contents):
    assert contents.of_input("results/a.nii.gz") == "results/a.nii.gz"
    fold = "m/fold-1-ab12/fold.json"
    assert contents.of_input(f"/data/models/{fold}") == f"models_dir: {fold}"
    assert contents.of_input(f"/data/models2/{fold}") == f"/data/models2/{fold}"


def test_an_output_is_made_again_unless_it_is_as_it_was_written(contents, tmp_path):
    path = tmp_path / "table.csv"
    assert contents.problem(str(path), "sha256:ab") == "is missing"
    path.write_bytes(b"one")
    written = f"sha256:{contents.digests.sha256(path)}"
    assert contents.problem(str(path), written) == ""
    assert "no record" in contents.problem(str(path), None)
    path.write_bytes(b"two")
    assert contents.problem(str(path), written) == "is not as it was written"
    path.unlink()
    path.mkdir()
    assert contents.problem(str(path), written) == "is not as it was written"


@pytest.fixture
def patched(tmp_path, monkeypatch):
    """Snakemake's checksums with the digests of a run, until the test ends."""
    checksum = _with_digests(snakemake.io._IOFile.checksum, FileDigests(tmp_path / "store"))
    monkeypatch.setattr(snakemake.io._IOFile, "checksum", checksum)


@pytest.fixture
def hashed(patched, tmp_path, monkeypatch):
    """A file, a function that returns Snakemake's checksum of it, and the list of files that were hashed."""
    path, read, digest = tmp_path / "scan.nii", [], hashlib.file_digest
    path.write_text("first")

    def file_digest(file, algorithm):
        read.append(file.name)
        return digest(file, algorithm)

    monkeypatch.setattr(hashlib, "file_digest", file_digest)
    workflow = SimpleNamespace(iocache=SimpleNamespace(active=False))

    def checksum(*args, **kwargs):
        file = snakemake.io.IOFile(str(path), rule=None)
        file.rule = SimpleNamespace(workflow=workflow)
        return asyncio.run(file.checksum(*args, **kwargs))

    return path, checksum, read


def sha256(content):
    return f"sha256:{hashlib.sha256(content.encode()).hexdigest()}"


def test_an_unchanged_file_is_hashed_once(hashed):
    path, checksum, read = hashed
    assert [checksum(100) for _ in range(3)] == 3 * [sha256("first")]
    assert read == [str(path)]
    assert checksum(3) is None  # the file is larger than the limit
    assert checksum(100, algorithm="md5").startswith("md5:")
    assert checksum(100) == sha256("first")


def test_checksums_of_files_in_remote_storage_are_not_cached(patched, tmp_path, monkeypatch):
    """The local copy may be older."""
    (tmp_path / "scan.nii").write_text("copy")
    remote = iter(["sha256:1", "sha256:2"])

    class Remote:
        async def managed_checksum(self):
            return next(remote)

    monkeypatch.setattr(snakemake.io._IOFile, "is_storage", True)
    monkeypatch.setattr(snakemake.io._IOFile, "storage_object", Remote())
    file = snakemake.io.IOFile(str(tmp_path / "scan.nii"), rule=None)
    file.rule = SimpleNamespace(workflow=SimpleNamespace(iocache=SimpleNamespace(active=False)))
    assert [asyncio.run(file.checksum(100)) for _ in "12"] == ["sha256:1", "sha256:2"]


@pytest.mark.parametrize("change", ["written", "written, mtime restored", "replaced", "removed"])
def test_a_changed_file_is_hashed_again(hashed, change):
    path, checksum, _ = hashed
    checksum(100)
    time.sleep(0.05)  # file systems count time in steps of some milliseconds
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    if change == "removed":
        path.unlink()
        assert checksum(100) is None
        path.write_text("again")
        assert checksum(100) == sha256("again")
        return
    if change == "replaced":
        new = path.with_name("new")
        new.write_text("other")
        new.replace(path)
    else:
        path.write_text("other")
    if change == "written, mtime restored":
        os.utime(path, ns=times)
    assert checksum(100) == sha256("other")


class File(str):
    is_ancient = False


class Ancient(File):
    is_ancient = True


def test_a_job_is_not_triggered_through_ancient_files_alone(tmp_path):
    (tmp_path / "here").touch()
    here, missing, plain = Ancient(tmp_path / "here"), Ancient(tmp_path / "no"), File("plain")
    depending = {"import": {"a": {here}, "b": {here, plain}, "c": {missing}}}
    assert set(_Triggered(depending)["import"]) == {"b", "c"}


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        ("PersistenceBase", "_input_changed"),
        ("FilePersistence", "_write_record"),
        ("DAG", "check_output_mtime"),
        ("DAG", "bfs"),
    ],
)
def test_another_release_of_snakemake_is_refused(owner, name):
    """In a process of its own, since Snakemake's classes are changed."""
    code = (
        f"import sys; sys.path.append({str(SCRIPTS)!r})\n"
        "from lesionflow.workflow import rerun_by_content as module\n"
        f"delattr(module.{owner}, {name!r})\n"
        "module.ignore_dates({})\nmodule.apply(None, {}, print)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "WorkflowError: this release of Snakemake keeps its records otherwise" in done.stderr


def test_all_that_is_replaced_exists_in_the_installed_release():
    code = (
        f"import sys; sys.path.append({str(SCRIPTS)!r})\n"
        "from types import SimpleNamespace\n"
        "from lesionflow.workflow import rerun_by_content as module\n"
        "module.ignore_dates({})\nmodule.apply(SimpleNamespace(digests=None), {}, print)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
