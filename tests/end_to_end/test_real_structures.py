"""Real label images through the whole road and through evaluation, against Dice worked out by hand.

The network says of every voxel what its input is, so that predictions are the label images themselves;
the truths are copies that were moved, or grown. LESIONFLOW_DATA names the folder of the real images.
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
NAMES = [f"{part}-{n}" for n in "ab" for part in ("thalamus", "caudate", "putamen", "pallidum")]


def one_hot(x):
    """Labels 0 to 8, stored as 10 to 90, as nine channels."""
    import tensorflow as tf

    labels = tf.round(x[..., 0] * 9 - 1)  # -1 where the box reaches beyond the scan
    return tf.one_hot(tf.cast(tf.maximum(labels, 0), tf.int32), 9)


def changed(labels, how):
    """A truth: the labels themselves, moved by voxels along an axis, or grown by one voxel."""
    if how == "grown":
        grown = ndimage.grey_dilation(labels, footprint=ndimage.generate_binary_structure(3, 1))
        return np.where(labels > 0, labels, grown)
    axis, by = how
    return np.roll(labels, by, axis)


HOW = {"01": (0, 1), "02": (1, 2), "03": (2, -3), "04": "grown", "05": (0, 0)}


def test_dice_of_moved_and_grown_copies(tmp_path):
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
    for name, how in HOW.items():
        source = nib.load(DATA / f"sub-{name}_subcort8.nii.gz")
        labels = np.asanyarray(source.dataobj).astype(np.uint8)
        truth = changed(labels, how)
        dice[name] = [
            2 * np.sum((labels == v) & (truth == v)) / (np.sum(labels == v) + np.sum(truth == v))
            for v in range(1, 9)
        ]
        files = {"t1": labels * 10 + 10, "mask": (labels > 0).astype(np.uint8), "truth": truth}
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
    found = pd.read_csv(tmp_path / "results/evaluation.csv")
    assert found.status.tolist() == ["ok"] * 40
    for name, expected in dice.items():
        own = found[found.scan == f"sub-{name}"]
        assert own.label.tolist() == NAMES
        np.testing.assert_allclose(own.dice, expected, atol=2e-4)
        if HOW[name] == (0, 0):
            assert (own.dice == 1).all() and (own.f1 == 1).all()
            assert (own.volume_error_mm3 == 0).all()
