"""Small networks, their cards, and small cohorts."""

from pathlib import Path

import numpy as np
import yaml

from support.volumes import save_scan

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
