"""A small run in which every step of the workflow has a job."""

import numpy as np
import scipy.io
import yaml

from support.cohorts import AFFINE, CARD, add_scan, blobs, save_network
from support.volumes import save_scan

TARGETS = ("all", "evaluate")
STEPS = (
    *("convert", "find_brain", "clean", "count", "draw", "show"),
    *("compare", "show_errors", "aggregate"),
    "evaluate",
)


def write_cards(folder):
    """A card with two labels and components, whose images may be MATLAB files, and a card of a brain mask."""
    import tensorflow as tf

    module = tf.Module()
    signature = tf.TensorSpec([None, *CARD["input"]["shape"], 1], tf.float32, name="image")

    def probability(image):  # bright voxels are the first label, others are background
        bright = image**4
        return {"probability": tf.concat([1 - bright, 0.75 * bright, 0.25 * bright], -1)}

    serve = tf.function(probability, input_signature=[signature])
    tf.saved_model.save(module, str(folder / "net"), signatures={"serving_default": serve})
    save_network(folder / "finder", 1.0, (28, 28, 28))
    components = {"threshold": 0.25, "connectivity": 6, "overall": True, "classes": []}
    card = {
        **CARD,
        "name": "every",
        "folds": [{"path": "net"}],
        "input": {**CARD["input"], "matlab": {"orientation": "RAS"}},
        "output": {"activation": "softmax", "labels": {1: "cmb", 2: "vessel"}},
        "postprocess": {"components": components},
    }
    finder = {
        **CARD,
        "name": "finder",
        "folds": [{"path": "finder"}],
        "input": {
            "channels": ["any"],
            "spacing_mm": [2, 2, 2],
            "interpolation": "linear",
            "shape": [28, 28, 28],
            "normalize": [{"clip_below": 0}, {"divide_by": 110}, {"clip_above": 1}],
        },
        "output": {"labels": {1: "brain"}},
        "postprocess": {"threshold": 0.5},
    }
    for name, content in (("every", card), ("finder", finder)):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
    return folder / "every.yaml", folder / "finder.yaml"


def write_cohort_of_every_step(cohort):
    """A scan table: a MATLAB image, a scan with regions, and one with neither; two have reference segmentations."""
    cohort.mkdir(parents=True)
    data = blobs([(8, 9, 5)])
    scipy.io.savemat(cohort / "one.mat", {"vol": data})
    add_scan(None, "two", blobs([(20, 22, 9)], seed=2), folder=cohort, mask=False)
    add_scan(None, "three", blobs([], seed=3), folder=cohort, mask=False)
    regions = np.zeros(data.shape, np.uint8)
    regions[15:] = 4
    save_scan(cohort / "regions.nii.gz", regions, AFFINE)
    for name, place in (("two", (20, 22, 9)), ("three", (9, 9, 4))):
        truth = np.zeros(data.shape, np.uint8)
        i, j, k = place
        truth[i - 1 : i + 2, j - 1 : j + 2, k] = 1
        save_scan(cohort / f"{name}_truth.nii.gz", truth, AFFINE)
    rows = [
        "subject\tswi\tregions\ttruth",
        "1\tone.mat\t\t",
        "2\ttwo_swi.nii.gz\tregions.nii.gz\ttwo_truth.nii.gz",
        "3\tthree_swi.nii.gz\t\tthree_truth.nii.gz",
    ]
    (cohort / "scans.tsv").write_text("\n".join(rows) + "\n")
