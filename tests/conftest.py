"""Small networks, small cohorts, and real runs of the workflow on them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from lesionflow.workflow import sockets
from lesionflow.workflow.sockets import CODE, RUN
from paths import HOUSE
from volumes import save_scan

CARD = {
    "name": "tiny",
    "version": "v0",
    "description": "A network for tests: its probability is the image that it is given.",
    "source": {"url": "none", "licence": "MIT", "citation": "none"},
    "format": "savedmodel",
    "folds": [{"path": f"weights/fold-{n}"} for n in (1, 2, 3)],
    "input": {
        "channels": ["swi"],
        "orientation": "RAS",
        "spacing_mm": [1, 1, 1],
        "interpolation": "linear",
        "shape": [32, 34, 30],
        "crop": "brain",
        "normalize": [
            {"clip_below": 0},
            {"divide_by_percentile": 99, "within": "brain"},
            {"clip_above": 1.3},
            {"divide_by": 1.3},
        ],
        "view": "volume",
    },
    "output": {"activation": "sigmoid", "labels": {1: "cmb"}, "mask": "brain"},
    "postprocess": {
        "threshold": 0.85,
        "connectivity": 26,
        "min_volume_mm3": 0,
        "outside_brain": 0.25,
    },
}


def save_network(folder, factor, shape=(32, 34, 30)):
    """A SavedModel whose output is its input times ``factor``."""
    import tensorflow as tf

    module = tf.Module()
    module.factor = tf.Variable(factor, dtype=tf.float32)
    signature = tf.TensorSpec([None, *shape, 1], tf.float32, name="image")
    serve = tf.function(lambda x: {"probability": x * module.factor}, input_signature=[signature])
    tf.saved_model.save(module, str(folder), signatures={"serving_default": serve})


def write_card(folder, **changes):
    """The tiny card with some of its top-level keys changed; returns its path."""
    path = Path(folder, "tiny.yaml")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump({**CARD, **changes}))
    return path


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """The tiny card beside its weights; fold k gives 1, 0.99 and 0.98 times the image."""
    folder = tmp_path_factory.mktemp("tiny")
    for number, factor in enumerate((1.0, 0.99, 0.98), start=1):
        save_network(folder / f"weights/fold-{number}", factor)
    return write_card(folder)


def blobs(places, shape=(30, 32, 14), seed=0):
    """Intensities of about 100 with bright blobs of three voxels a side."""
    data = 100 + np.random.default_rng(seed).random(shape)
    for i, j, k in places:
        data[i - 1 : i + 2, j - 1 : j + 2, k] = 400
    return data.astype(np.float32)


AFFINE = np.array([[-0.9, 0, 0, 14], [0, 0.9, 0, -13], [0, 0, 1.8, -12], [0, 0, 0, 1.0]])


def add_scan(cohort, name, data, affine=AFFINE, mask=True, folder=None):
    """A scan of a BIDS cohort and, unless told otherwise, its mask; returns the scan's path."""
    parts = [part for part in name.split("_") if part[:3] in ("sub", "ses")]
    anat = Path(cohort, *parts, "anat") if folder is None else Path(folder)
    if mask:
        brain = np.zeros(data.shape[:3], np.uint8)
        brain[2:-2, 2:-2, 1:-1] = 1
        save_scan(anat / f"{name}_desc-brain_mask.nii.gz", brain, affine)
    return save_scan(anat / f"{name}_swi.nii.gz", data, affine)


def snakemake(directory, *args, house=HOUSE, **config):
    """Run the workflow as a user would; returns (exit status, all that it said)."""
    pairs = [f"{key}={value}" for key, value in config.items()]
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--snakefile",
        str(house / "Snakefile"),
    ]
    command += ["--workflow-profile", str(house / "profiles/default"), "--cores", "2"]
    command += ["--directory", str(directory), *args]
    done = subprocess.run(
        [*command, *(["--config", *pairs] if pairs else [])],
        capture_output=True,
        text=True,
        check=False,
        cwd=directory,
    )
    return done.returncode, done.stdout + done.stderr


def jobs(text):
    """Jobs by rule, from what a run or dry run says, without the targets."""
    table = re.search(r"Job stats:\njob +count\n-+ +-+\n(.*?)\ntotal", text, re.S)
    if table is None:
        return {}
    rows = (line.split() for line in table[1].splitlines())
    return {rule: int(count) for rule, count in rows if rule != "all"}


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

    def run(*args, house=HOUSE, **config):
        config = {"models": tiny, "models_dir": models_dir, **config}
        return snakemake(directory, *args, house=house, **config)

    return directory, run


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A process that stands for the Snakemake of a run; the processes of this test end with it."""
    stand_in = subprocess.Popen(["sleep", "60"])
    monkeypatch.setenv(RUN, str(stand_in.pid))
    monkeypatch.setenv(CODE, "v1")
    monkeypatch.setenv("PYTHONPATH", str(HOUSE / "tests"))
    monkeypatch.setenv("LESIONFLOW_TEST_PARENT", str(os.getpid()))
    monkeypatch.setattr(sockets.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(sockets, "LONGEST", 200)
    yield stand_in
    stand_in.kill()
    stand_in.wait()
