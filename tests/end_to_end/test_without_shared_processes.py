"""The workflow without ``workflow/processes``: equal tables, and the modules that each step imports.

Every job is then a separate Python process, in which ``sitecustomize`` records the imported modules. The digest of
the step must cover them all; otherwise an edit of a module would not rerun the step.
"""

import json
import os
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import scipy.io
import yaml

from lesionflow.base.digests import sources
from support import SCRIPTS
from support.cohorts import AFFINE, CARD, add_scan, blobs
from support.dicom import save_series
from support.paths import REPOSITORY
from support.runs import snakemake

pytestmark = pytest.mark.slow

STEPS = sorted(path.stem for path in SCRIPTS.glob("*.py"))
SITECUSTOMIZE = """
import atexit, json, os, sys

def write():
    words = os.path.basename(sys.argv[0]).split(".")  # Snakemake runs tmpXXXX.STEP.py
    if len(words) == 3 and words[0].startswith("tmp"):
        files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
        with open({folder!r} + f"/{{words[1]}}-{{os.getpid()}}.json", "w") as file:
            json.dump([os.path.realpath(name) for name in files if name], file)

atexit.register(write)
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A copy of the repository without the package."""
    copy = tmp_path_factory.mktemp("copy") / "repository"
    for name in ("rules", "scripts", "config", "profiles", "envs", "resources"):
        shutil.copytree(
            REPOSITORY / name, copy / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(REPOSITORY / "Snakefile", copy)
    shutil.rmtree(copy / "scripts/lesionflow/workflow/processes")
    return copy


@pytest.fixture(scope="module")
def imports(tmp_path_factory):
    """Folder to which the jobs write the modules that they imported."""
    folder, site = tmp_path_factory.mktemp("imports"), tmp_path_factory.mktemp("site")
    (site / "sitecustomize.py").write_text(SITECUSTOMIZE.format(folder=str(folder)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(site))
        yield folder


@pytest.fixture(scope="module")
def separate(repository, imports, finished, tiny, models_dir, tmp_path_factory):
    """The run of ``finished`` with separate processes, and an evaluation of one scan."""
    directory = tmp_path_factory.mktemp("separate")
    shutil.copytree(finished / "bids", directory / "bids")
    anat = directory / "bids/sub-02/anat"
    reference = nib.Nifti1Image(np.zeros((30, 32, 14), np.uint8), AFFINE)
    nib.save(reference, anat / "sub-02_desc-truth_dseg.nii.gz")
    config = {"models": tiny, "models_dir": models_dir}
    for target in ("all", "evaluate", "check_model"):
        status, text = snakemake(directory, target, repository=repository, **config)
        assert status == 0, text
    return directory


@pytest.fixture(scope="module")
def other_steps(repository, imports, tiny, models_dir, tmp_path_factory):
    """Jobs of the steps that ``separate`` does not run: of images in other formats, clean, find_brain, import_fold, simulate."""
    import tensorflow as tf

    directory = tmp_path_factory.mktemp("matlab")
    module = tf.Module()
    signature = tf.TensorSpec([None, 32, 34, 30, 1], tf.float32, name="image")
    serve = tf.function(
        lambda x: {"probability": tf.concat([1 - x, 0.75 * x, 0.25 * x], -1)},
        input_signature=[signature],
    )
    tf.saved_model.save(module, str(directory / "net"), signatures={"serving_default": serve})
    components = {"threshold": 0.25, "connectivity": 6, "overall": True, "classes": []}
    card = {
        **CARD,
        "name": "matlab",
        "folds": [{"path": "net"}],
        "input": {**CARD["input"], "matlab": {"orientation": "RAS"}},
        "output": {"activation": "softmax", "labels": {1: "cmb", 2: "vessel"}},
        "postprocess": {"components": components},
    }
    (directory / "matlab.yaml").write_text(yaml.safe_dump(card))
    brain = np.zeros((30, 32, 14), np.uint8)
    brain[2:-2, 2:-2, 1:-1] = 1
    for name, data in (("swi", blobs([(8, 9, 5)])), ("mask", brain)):
        scipy.io.savemat(directory / f"{name}.mat", {"vol": data})
    (directory / "scans.tsv").write_text("subject\tswi\tmask\n1\tswi.mat\tmask.mat\n")
    status, text = snakemake(
        directory,
        repository=repository,
        cohort=directory / "scans.tsv",
        models=directory / "matlab.yaml",
        models_dir=directory / "models",
    )
    assert status == 0, text
    add_scan(directory / "bids", "sub-1", blobs([]), mask=False)
    save_series(directory / "dicom/1/swi", np.rint(blobs([(8, 9, 5)])).astype(np.int16), AFFINE)
    config = {"models": tiny, "models_dir": models_dir, "brain_mask": "none"}
    config |= {"dicom": "dicom", "dicom_seg": "True"}
    status, text = snakemake(directory, repository=repository, **config)
    assert status == 0, text
    until = ["--until", "find_brain"]
    config = {"models": directory / "matlab.yaml", "models_dir": directory / "models"}
    status, text = snakemake(directory, *until, repository=repository, cohort="bids", **config)
    assert status == 0, text
    simulate = ["--snakefile", str(repository / "rules/simulate.smk")]
    status, text = snakemake(directory, *simulate, repository=repository, scans=1, sequences="t1")
    assert status == 0, text


def test_tables_equal_those_of_a_run_with_shared_processes(separate, finished):
    assert (separate / ".snakemake/scripts").exists()  # Snakemake ran the scripts itself
    assert not (finished / ".snakemake/scripts").exists()
    tables = [
        *(finished / "results").glob("*.csv"),
        *(finished / "results/tiny").rglob("*_lesions.tsv"),
        *(finished / "results/tiny").rglob("*_volumes.tsv"),
    ]
    assert len(tables) == 2 + 2 * 3
    for table in tables:
        path = separate / table.relative_to(finished)
        assert path.read_bytes() == table.read_bytes()


@pytest.mark.parametrize("step", STEPS)
def test_the_digest_of_a_step_covers_every_module_that_it_imports(
    step, repository, separate, other_steps, imports
):
    files = {
        Path(name)
        for path in imports.glob(f"{step}-*.json")
        for name in json.loads(path.read_text())
    }
    scripts = Path(os.path.realpath(repository / "scripts"))
    imported = {path for path in files if path.is_relative_to(scripts)}
    assert imported, f"no job of {step} was recorded"
    assert imported <= set(sources(scripts / f"{step}.py"))
    step_scripts = {scripts / f"{other}.py" for other in STEPS}
    assert not imported & step_scripts  # no script of a step shadows a package
