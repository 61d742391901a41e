"""Real label images through the pipeline and the evaluation, compared with Dice computed on the arrays.

The network returns its input, so that predictions are the label images themselves. References are shifted or
dilated copies. LESIONFLOW_DATA names the folder of the real images.
"""

import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import ndimage

from support.paths import REPOSITORY
from support.runs import snakemake
from support.stand_ins import save_function

DATA = Path(os.environ.get("LESIONFLOW_DATA", REPOSITORY.parent / "shared/data")) / "abide"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"no real images: {DATA} is missing"),
]
STRUCTURES = ("thalamus", "caudate", "putamen", "pallidum")
NAMES = [f"{structure}-{side}" for side in "ab" for structure in STRUCTURES]


def one_hot(x):
    """Labels 0 to 8, stored as intensities 10 to 90 and divided by 90, as nine channels."""
    import tensorflow as tf

    labels = tf.round(x[..., 0] * 9 - 1)  # -1 in the padding
    return tf.one_hot(tf.cast(tf.maximum(labels, 0), tf.int32), 9)


def reference_of(labels, change):
    """A reference: the labels shifted by voxels along an axis, or dilated by one voxel."""
    if change == "dilated":
        dilated = ndimage.grey_dilation(labels, footprint=ndimage.generate_binary_structure(3, 1))
        return np.where(labels > 0, labels, dilated)
    axis, shift = change
    return np.roll(labels, shift, axis)


CHANGES = {"01": (0, 1), "02": (1, 2), "03": (2, -3), "04": "dilated", "05": (0, 0)}


def test_dice_of_shifted_and_dilated_copies(tmp_path):
    card = {
        "name": "echo",
        "version": "1",
        "format": "savedmodel",
        "folds": [{"path": "net"}],
        "input": {
            "channels": ["t1"],
            "spacing_mm": None,
            "shape": [96, 64, 96],
            "orientation": "LIA",
            "normalize": [{"divide_by": 90}],
        },
        "output": {"activation": "softmax", "labels": dict(enumerate(NAMES, start=1))},
    }
    save_function(tmp_path / "net", one_hot, [96, 64, 96])
    (tmp_path / "echo.yaml").write_text(yaml.safe_dump(card))
    rows, dice = ["subject\tt1\tmask\ttruth"], {}
    for name, change in CHANGES.items():
        source = nib.load(DATA / f"sub-{name}_subcort8.nii.gz")
        labels = np.asanyarray(source.dataobj).astype(np.uint8)
        reference = reference_of(labels, change)
        dice[name] = []
        for value in range(1, 9):
            predicted, drawn = labels == value, reference == value
            dice[name].append(2 * (predicted & drawn).sum() / (predicted.sum() + drawn.sum()))
        files = {"t1": labels * 10 + 10, "mask": (labels > 0).astype(np.uint8), "truth": reference}
        for kind, data in files.items():
            image = nib.Nifti1Image(data, source.affine)
            image.set_sform(source.affine, 1)
            nib.save(image, tmp_path / f"{name}_{kind}.nii.gz")
        rows.append("\t".join([name, *(f"{name}_{kind}.nii.gz" for kind in files)]))
    (tmp_path / "scans.tsv").write_text("\n".join(rows) + "\n")
    status, text = snakemake(
        tmp_path, "evaluate", cohort=tmp_path / "scans.tsv", models=tmp_path / "echo.yaml"
    )
    assert status == 0, text
    evaluation = pd.read_csv(tmp_path / "results/evaluation.csv")
    assert evaluation.status.tolist() == ["ok"] * 40
    for name, expected in dice.items():
        rows = evaluation[evaluation.scan == f"sub-{name}"]
        assert rows.label.tolist() == NAMES
        np.testing.assert_allclose(rows.dice, expected, atol=2e-4)
        if CHANGES[name] == (0, 0):
            assert (rows.dice == 1).all() and (rows.f1 == 1).all()
            assert (rows.volume_error_mm3 == 0).all()
