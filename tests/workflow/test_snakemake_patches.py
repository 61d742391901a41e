import asyncio
import atexit
import gc
import hashlib
import importlib
import inspect
import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import snakemake.common
import snakemake.io
import snakemake.jobs
import snakemake.rules
import snakemake.sourcecache
from snakemake.iocontainers import Wildcards
from snakemake.ioutils.subpath import subpath

from lesionflow.workflow import snakemake_patches

WILDCARDS = Wildcards(fromdict={"step": "mask"})


@pytest.fixture
def prepared(monkeypatch):
    """The libraries after ``prepare``, until the test ends; and what they were before."""
    before = snakemake.sourcecache.parse_uri, snakemake.common.get_function_params
    monkeypatch.setattr(snakemake.io._IOFile, "checksum", snakemake.io._IOFile.checksum)
    monkeypatch.setattr(snakemake.sourcecache, "parse_uri", before[0])
    for module in (snakemake.common, snakemake.rules):
        monkeypatch.setattr(module, "get_function_params", before[1])
    # Its name is that of a step here, whose script lies in the tests' path.
    monkeypatch.setitem(sys.modules, "tabulate", SimpleNamespace(tabulate=None))
    importlib.import_module("snakemake.cli")  # which imports all of it
    processor = sys.modules["snakemake.dag"].ScriptProcessor
    monkeypatch.setattr(processor, "process_job", processor.process_job)
    monkeypatch.setattr(snakemake.jobs.Job, "conda_env_spec", snakemake.jobs.Job.conda_env_spec)
    thresholds, at_exit = gc.get_threshold(), []
    monkeypatch.setattr(atexit, "register", at_exit.append)
    snakemake_patches.prepare()
    snakemake_patches.prepare()
    assert gc.freeze in at_exit
    yield before
    gc.set_threshold(*thresholds)


def test_a_path_is_parsed_as_before_and_once(prepared):
    own = prepared[0]
    for uri in ("/data/house/scripts/mask.py", "scripts/mask.py", "https://a.org/b.py?c=1"):
        assert snakemake.sourcecache.parse_uri(uri)._asdict() == own(uri)._asdict()
    assert snakemake.sourcecache.parse_uri("/a.py") is snakemake.sourcecache.parse_uri("/a.py")


def test_snakemake_finds_its_scripts_that_way(prepared):
    """Fails when another release of Snakemake looks otherwise: then the memory of paths can go."""
    before = snakemake.sourcecache.parse_uri.cache_info()
    snakemake.sourcecache.LocalSourceFile("/data/house/scripts/of this test.py").get_cache_path()
    after = snakemake.sourcecache.parse_uri.cache_info()
    assert (after.hits, after.misses) == (before.hits, before.misses + 1)


@pytest.mark.parametrize(
    "function",
    [
        lambda wildcards: None,
        lambda wildcards, input, **rest: None,
        subpath(lambda wildcards, attempt: "a/b", parent=True),  # which says itself what it takes
        max,
    ],
)
def test_what_a_function_takes_is_said_as_before(prepared, function):
    own = prepared[1]
    if function is max:  # has no signature: an error, and the same one at every call
        for _ in range(2):
            with pytest.raises(ValueError, match="signature"):
                snakemake.rules.get_function_params(function)
        return
    assert snakemake.rules.get_function_params(function) == own(function)
    assert snakemake.common.get_function_params(function) == own(function)


def test_snakemake_asks_input_functions_that_way(prepared):
    """Fails when another release of Snakemake asks otherwise: then the memory of signatures can go."""
    asking = inspect.getsource(snakemake.rules.Rule.apply_input_function)
    assert "get_function_params(func)" in asking


class Cache:
    """Snakemake's cache of sources, which notes what is read."""

    exists, get_path = staticmethod(lambda source: True), staticmethod(str)

    def __init__(self):
        self.read = []

    def open(self, source):
        self.read.append(source)
        return Path(source.get_path_or_uri(secret_free=True)).open()


class Rule(SimpleNamespace):
    """Of Snakemake's rules what is asked of them; no two are the same."""

    __hash__ = object.__hash__
    __eq__ = object.__eq__


@pytest.mark.parametrize(("path", "reads"), [("mask.py", 1), ("{wildcards.step}.py", 3)])
def test_a_rules_script_is_looked_for_once(prepared, tmp_path, path, reads):
    (tmp_path / "mask.py").touch()
    job = SimpleNamespace(is_script=True, wildcards=WILDCARDS, params=[])
    for script in (path, "missing.py", path):
        cache = Cache()
        dag = SimpleNamespace(workflow=SimpleNamespace(sourcecache=cache))
        job.rule = Rule(basedir=str(tmp_path), script=script)
        for _ in range(3):
            look = sys.modules["snakemake.dag"].ScriptProcessor(dag).process_job
            if script == "missing.py":
                with pytest.raises(FileNotFoundError):
                    look(job)
            else:
                look(job)
        assert len(cache.read) == (3 if script == "missing.py" else reads)


def test_snakemake_looks_for_scripts_that_way(prepared):
    """Fails when another release of Snakemake looks otherwise: then the memory of rules can go."""
    dag = sys.modules["snakemake.dag"]
    assert "self.process_job(job)" in inspect.getsource(dag.DAGProcessorBase.process)
    assert "script.get_source" in inspect.getsource(dag.ScriptProcessor.process_job)


@pytest.mark.parametrize("env", ["envs/a.yaml", "envs/{step}.yaml", lambda wildcards: "a", None])
def test_a_rules_environment_is_found_out_once(prepared, env):
    asked = []

    def expand_conda_env(wildcards, params, input):
        asked.append(wildcards)
        return env and f"environment of {wildcards}"

    rule = Rule(conda_env=env, expand_conda_env=expand_conda_env)
    same = env in (None, "envs/a.yaml")
    for n in range(3):
        job = snakemake.jobs.Job.__new__(snakemake.jobs.Job)
        job.rule, job._wildcards, job._conda_env_spec = rule, None, None
        job.wildcards_dict, job._params, job.input = n, [], []
        assert job.conda_env_spec == (env and f"environment of {0 if same else n}")
    assert asked == ([0] if same else [0, 1, 2])


def test_snakemake_asks_for_environments_that_way(prepared):
    """Fails when another release of Snakemake asks otherwise: then the memory of environments can go."""
    dag = sys.modules["snakemake.dag"]
    assert "job.conda_env_spec" in inspect.getsource(dag.DAG.update_conda_envs)
    own = inspect.getsource(snakemake.jobs.Job.conda_env_spec.fget)
    assert "self.rule.expand_conda_env(" in own
    assert "self.params" in own


@pytest.fixture
def hashed(prepared, tmp_path, monkeypatch):
    """A file; a function that gives Snakemake's checksum of it; and the names of files that were read for one."""
    path, read, own = tmp_path / "scan.nii", [], hashlib.file_digest
    path.write_text("first")

    def file_digest(file, algorithm):
        read.append(file.name)
        return own(file, algorithm)

    monkeypatch.setattr(hashlib, "file_digest", file_digest)
    workflow = SimpleNamespace(iocache=SimpleNamespace(active=False))

    def checksum(*args, **said):
        file = snakemake.io.IOFile(str(path), rule=None)
        file.rule = SimpleNamespace(workflow=workflow)
        return asyncio.run(file.checksum(*args, **said))

    return path, checksum, read


def sha256(content):
    return f"sha256:{hashlib.sha256(content.encode()).hexdigest()}"


def test_a_file_is_hashed_once_as_long_as_it_stays_the_same(hashed):
    path, checksum, read = hashed
    assert [checksum(100) for _ in range(3)] == 3 * [sha256("first")]
    assert read == [str(path)]
    assert checksum(3) is None  # larger than what was asked for
    assert checksum(100, algorithm="md5").startswith("md5:")
    assert checksum(100) == sha256("first")


def test_a_file_elsewhere_is_always_asked_for(prepared, tmp_path, monkeypatch):
    """A local copy says nothing of it."""
    (tmp_path / "scan.nii").write_text("copy")
    there = iter(["sha256:1", "sha256:2"])

    class Elsewhere:
        async def managed_checksum(self):
            return next(there)

    monkeypatch.setattr(snakemake.io._IOFile, "is_storage", True)
    monkeypatch.setattr(snakemake.io._IOFile, "storage_object", Elsewhere())
    file = snakemake.io.IOFile(str(tmp_path / "scan.nii"), rule=None)
    file.rule = SimpleNamespace(workflow=SimpleNamespace(iocache=SimpleNamespace(active=False)))
    assert [asyncio.run(file.checksum(100)) for _ in "12"] == ["sha256:1", "sha256:2"]


@pytest.mark.parametrize("how", ["written", "written, its time set back", "replaced", "removed"])
def test_a_file_that_has_changed_is_hashed_again(hashed, how):
    path, checksum, _ = hashed
    checksum(100)
    time.sleep(0.05)  # file systems count time in steps of some milliseconds
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    if how == "removed":
        path.unlink()
        assert checksum(100) is None
        path.write_text("again")
        assert checksum(100) == sha256("again")
        return
    if how == "replaced":
        new = path.with_name("new")
        new.write_text("other")
        new.replace(path)
    else:
        path.write_text("other")
    if how == "written, its time set back":
        os.utime(path, ns=times)
    assert checksum(100) == sha256("other")


def test_another_release_without_these_names_is_left_alone(prepared, monkeypatch):
    monkeypatch.delattr(snakemake.rules, "get_function_params")
    monkeypatch.delattr(snakemake.io._IOFile, "checksum")
    monkeypatch.delattr(snakemake.jobs.Job, "conda_env_spec")
    monkeypatch.delitem(sys.modules, "snakemake.dag")
    snakemake_patches.prepare()
    assert not hasattr(snakemake.rules, "get_function_params")
    assert not hasattr(snakemake.io._IOFile, "checksum")
