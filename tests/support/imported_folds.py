"""Import a toy model, and compare its predictions."""

import numpy as np

from lesionflow.networks.importing.fold_folder import write_fold
from lesionflow.networks.inference.fold_runner import predict
from lesionflow.networks.inference.random_volume import random_volume
from support.stand_ins import toy_spec

SMALL = (9, 12, 7)


DIGESTS = {"md5": "m" * 32, "sha256": "s" * 64}


def volume(shape, channels=1, seed=7):
    return random_volume((*shape, channels), seed)


def imported(path, tmp_path, shape, threads=2, **about):
    folder = tmp_path / "toy/fold-1"
    write_fold(toy_spec(path, shape, **about), path, DIGESTS, folder, threads)
    return folder


def largest_difference(folder, image, expected, backend):
    probability, settings = predict(folder, image, backend, "cpu", threads=2)
    assert settings == {"backend": backend, "device": "cpu", "precision": "float32"}
    return float(np.abs(probability - expected).max())
