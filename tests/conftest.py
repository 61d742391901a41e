"""Fixtures of all tests."""

import os
import shutil
import subprocess

import pytest

from lesionflow.workflow.processes import sockets
from lesionflow.workflow.processes.sockets import CODE, RUN, SECRET
from support.cohorts import add_scan, blobs, save_network, write_card
from support.paths import REPOSITORY
from support.runs import snakemake


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """The tiny card beside its weights; fold k gives 1, 0.99 and 0.98 times the image."""
    folder = tmp_path_factory.mktemp("tiny")
    for number, factor in enumerate((1.0, 0.99, 0.98), start=1):
        save_network(folder / f"weights/fold-{number}", factor)
    return write_card(folder)


@pytest.fixture(scope="session")
def models_dir(tmp_path_factory):
    """Folder of imported folds that all runs share."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def finished(tmp_path_factory, tiny, models_dir):
    """A finished run on three scans: two lesions, one session each, and none."""
    directory = tmp_path_factory.mktemp("finished")
    cohort = directory / "bids"
    add_scan(cohort, "sub-01_ses-1", blobs([(8, 9, 5), (20, 22, 9)], seed=1))
    add_scan(cohort, "sub-01_ses-2", blobs([(8, 9, 5)], seed=2))
    add_scan(cohort, "sub-02", blobs([], seed=3))
    status, text = snakemake(directory, models=tiny, models_dir=models_dir)
    assert status == 0, text
    return directory


@pytest.fixture
def again(finished, tmp_path, tiny, models_dir):
    """A copy of the finished run, and a function that runs Snakemake in it."""
    directory = tmp_path / "again"
    shutil.copytree(finished, directory)

    def run(*args, repository=REPOSITORY, **config):
        config = {"models": tiny, "models_dir": models_dir, **config}
        return snakemake(directory, *args, repository=repository, **config)

    run.config = {"models": tiny, "models_dir": models_dir}
    return directory, run


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A process that stands for the Snakemake of a run; the processes of this test end with it."""
    stand_in = subprocess.Popen(["sleep", "60"])
    monkeypatch.setenv(RUN, str(stand_in.pid))
    monkeypatch.setenv(CODE, "v1")
    monkeypatch.setenv(SECRET, "of this test")
    monkeypatch.setenv("LESIONFLOW_TEST_PARENT", str(os.getpid()))
    monkeypatch.setattr(sockets.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(sockets, "MAX_FOLDER_LENGTH", 200)
    yield stand_in
    stand_in.kill()
    stand_in.wait()
