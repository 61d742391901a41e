"""Steps find_brain and mask: the shipped network on a simulated head, from the file to the model's grid."""

import json

import nibabel as nib
import numpy as np
import pytest

from lesionflow.base.errors import ScanError
from lesionflow.cards.load_card import load_card
from lesionflow.networks.importing.import_fold import import_card
from lesionflow.simulation.scan import simulated_head, simulated_scan
from support.card_defaults import default
from support.jobs import job
from support.paths import REPOSITORY
from support.steps import step
from support.volumes import noise, save_scan

find_brain = step("find_brain")
mask = step("mask")
resample = step("resample")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def card():
    return load_card("brainmask", REPOSITORY / "config/models")


@pytest.fixture(scope="module")
def folds(card, tmp_path_factory):
    folders = import_card(card, tmp_path_factory.mktemp("models"), 2)
    return [str(folder / "fold.json") for folder in folders]


@pytest.fixture(scope="module")
def head():
    return simulated_head(11, 0, 2.0)


def find(folder, path, card, folds):
    out = {"probability": folder / "found.nii"}
    params = {"affine": "strict", "echo": None, "card": card}
    find_brain.main(job(folder, "find_brain", {"image": path, "folds": folds}, out, **params))
    return out["probability"]


@pytest.mark.parametrize("sequence, code", [("swi", "LPS"), ("t1", "PSR"), ("flair", "RAI")])
def test_the_brain_of_a_head_that_it_never_saw(tmp_path, head, card, folds, sequence, code):
    scan = simulated_scan(head, 1, sequence, (1.0, 1.0, 3.0), code)
    path = tmp_path / "scan.nii.gz"
    nib.save(scan.image, path)
    found = find(tmp_path, path, card, folds)
    outputs = {"image": tmp_path / "resampled.nii", "facts": tmp_path / "resample.json"}
    params = {"space": default("input", spacing_mm=[2, 2, 2]), "filled": False}
    params |= {"affine": "strict", "echo": None}
    given = {"image": path, "source": path, "reference": path}
    resample.main(job(tmp_path, "resample", given, outputs, **params))
    files = {"image": [str(outputs["image"])], "scans": [str(path)], "probability": found}
    out = {"mask": tmp_path / "mask.nii", "facts": tmp_path / "mask.json"}
    finder = {"name": "brainmask", "version": "1", "threshold": 0.5}
    params = {"affine": "strict", "echo": None, "finder": finder}
    mask.main(job(tmp_path, "mask", files, out, **params))
    image = nib.load(out["mask"])
    brain = np.asanyarray(image.dataobj) > 0
    index = np.argwhere(brain)
    own = nib.affines.apply_affine(np.linalg.inv(scan.image.affine) @ image.affine, index)
    own = np.clip(np.rint(own).astype(int), 0, np.array(scan.brain.shape) - 1)
    assert scan.brain[tuple(own.T)].mean() > 0.9  # the template's brain has the CSF with it
    facts = json.loads((tmp_path / "mask.json").read_text())
    true = scan.brain.sum() * 3.0 / 1000
    assert 0.65 * true < facts["brain_volume_ml"] < 1.05 * true
    assert facts["mask_source"] == "brainmask 1"
    assert facts["brain_at_edge"] < 0.02


def test_what_is_empty_is_told_with_its_name(tmp_path, card, folds):
    path = save_scan(tmp_path / "dark.nii.gz", 0 * noise((20, 20, 20)), np.diag([8, 8, 8, 1]))
    with pytest.raises(ScanError, match="dark.nii.gz: .*nothing to divide by"):
        find(tmp_path, path, card, folds)
