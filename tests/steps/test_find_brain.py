"""Steps find_brain and mask: the shipped network on a simulated head, from the file to the model grid."""

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


def run_find_brain(folder, path, card, folds):
    outputs = {"probability": folder / "brain_probability.nii"}
    params = {"affine": "strict", "echo": None, "card": card}
    files = {"image": path, "folds": folds}
    find_brain.main(job(folder, "find_brain", files, outputs, **params))
    return outputs["probability"]


@pytest.mark.parametrize("sequence, code", [("swi", "LPS"), ("t1", "PSR"), ("flair", "RAI")])
def test_brain_mask_of_an_unseen_head_covers_the_brain(tmp_path, head, card, folds, sequence, code):
    scan = simulated_scan(head, 1, sequence, (1.0, 1.0, 3.0), code)
    path = tmp_path / "scan.nii.gz"
    nib.save(scan.image, path)
    probability = run_find_brain(tmp_path, path, card, folds)
    outputs = {"image": tmp_path / "resampled.nii", "sidecar": tmp_path / "resample.json"}
    params = {"space": default("input", spacing_mm=[2, 2, 2]), "filled": False}
    params["source_files"] = [path]
    params |= {"affine": "strict", "echo": None}
    files = {"image": path, "source": path, "reference": path}
    resample.main(job(tmp_path, "resample", files, outputs, **params))
    files = {"image": [str(outputs["image"])], "scans": [str(path)], "probability": probability}
    outputs = {"mask": tmp_path / "mask.nii", "sidecar": tmp_path / "mask.json"}
    finder = {"name": "brainmask", "version": "1", "threshold": 0.5}
    params = {"affine": "strict", "echo": None, "finder": finder}
    mask.main(job(tmp_path, "mask", files, outputs, **params))
    image = nib.load(outputs["mask"])
    brain = np.asanyarray(image.dataobj) > 0
    model_index = np.argwhere(brain)
    index_map = np.linalg.inv(scan.image.affine) @ image.affine
    scan_index = np.rint(nib.affines.apply_affine(index_map, model_index)).astype(int)
    scan_index = np.clip(scan_index, 0, np.array(scan.brain.shape) - 1)
    assert scan.brain[tuple(scan_index.T)].mean() > 0.9
    sidecar = json.loads((tmp_path / "mask.json").read_text())
    reference_ml = scan.brain.sum() * 3.0 / 1000  # the reference includes the CSF
    assert 0.65 * reference_ml < sidecar["brain_volume_ml"] < 1.05 * reference_ml
    assert sidecar["mask_source"] == "brainmask 1"
    assert sidecar["brain_at_edge"] < 0.02


def test_error_for_an_empty_image_names_the_file(tmp_path, card, folds):
    path = save_scan(tmp_path / "dark.nii.gz", 0 * noise((20, 20, 20)), np.diag([8, 8, 8, 1]))
    with pytest.raises(ScanError, match="dark.nii.gz: .*nothing to divide by"):
        run_find_brain(tmp_path, path, card, folds)
