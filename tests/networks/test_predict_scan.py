"""Which files the folds of a scan read."""

import os

import numpy as np
import pytest

from lesionflow.imaging.nifti import load, save
from lesionflow.networks.inference import predict_scan

CARD = {"input": {"view": "volume", "tiles": None}, "output": {"floor": 0.0, "mask": "none"}}


@pytest.fixture
def fold_of(tmp_path, monkeypatch):
    """A function that runs a fold returning its input; it returns the written value and the files that were read."""
    read = []

    def loaded(path):
        read.append(str(path))
        return load(path)

    monkeypatch.setattr(predict_scan, "load", loaded)
    monkeypatch.setattr(predict_scan, "predict", lambda fold, stack, inferer: (stack.copy(), {}))
    mask, written = str(tmp_path / "mask.nii"), tmp_path / "probability.nii"
    save(mask, np.ones((2, 3, 4), np.uint8), np.eye(4))

    def run(image):
        read.clear()
        predict_scan.predict_scan([str(image)], mask, tmp_path, written, CARD)
        return np.asarray(load(written).dataobj)[0, 0, 0], [p for p in read if p == str(image)]

    return run


def write(path, value):
    save(path, np.full((2, 3, 4), value, np.float32), np.eye(4))


def test_folds_of_alternating_scans_read_each_scan_once(tmp_path, fold_of):
    one, other = tmp_path / "one.nii", tmp_path / "other.nii"
    write(one, 0.25)
    write(other, 0.5)
    assert fold_of(one) == (0.25, [str(one)])
    assert fold_of(other) == (0.5, [str(other)])
    assert fold_of(one) == (0.25, [])
    assert fold_of(other) == (0.5, [])


def test_a_rewritten_image_is_read_again(tmp_path, fold_of):
    image = tmp_path / "one.nii"
    write(image, 0.25)
    fold_of(image)
    write(image, 0.75)
    os.utime(image, ns=(0, 1_000_000_000))
    assert fold_of(image) == (0.75, [str(image)])
