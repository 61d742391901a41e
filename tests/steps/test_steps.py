"""Each step's main on one small scan, with a job as Snakemake would give it."""

import json

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from lesionflow.base.errors import ScanError
from lesionflow.imaging.nifti import save
from support.card_defaults import default
from support.cohorts import AFFINE, CARD, blobs
from support.jobs import job
from support.steps import step
from support.volumes import save_scan

average_folds = step("average_folds")
count = step("count")
crop = step("crop")
draw = step("draw")
mask = step("mask")
normalize = step("normalize")
resample = step("resample")
restore = step("restore")
threshold = step("threshold")


@pytest.fixture
def scan(tmp_path):
    return save_scan(tmp_path / "scan.nii.gz", blobs([(8, 9, 5), (20, 22, 9)]), AFFINE)


def run_resample(folder, scan, **params):
    params = {
        "affine": "strict",
        "echo": None,
        "space": default("input"),
        "filled": False,
    } | params
    resample.main(
        job(
            folder,
            "resample",
            {"image": scan, "source": scan, "reference": scan},
            {"image": folder / "resampled.nii", "facts": folder / "source.json"},
            **params,
        )
    )
    return nib.load(folder / "resampled.nii")


def test_resample_writes_the_models_grid_and_says_what_it_read(tmp_path, scan):
    image = run_resample(tmp_path, scan)
    assert nib.aff2axcodes(image.affine) == ("R", "A", "S")
    assert image.shape == (27, 29, 26)  # 30 x 0.9, 32 x 0.9, 14 x 1.8 mm, rounded up
    facts = json.loads((tmp_path / "source.json").read_text())
    assert facts["nonfinite_voxels"] == 0
    assert len(facts["input_sha256"]) == 64
    assert (tmp_path / "resample.log").read_text().endswith("DONE\n")


def test_a_step_that_fails_says_so_in_its_log_and_leaves_nothing(tmp_path):
    flat = save_scan(tmp_path / "flat.nii", np.full((5, 5, 5), 3.0, np.float32))
    with pytest.raises(ScanError, match="every voxel is 3"):
        run_resample(tmp_path, flat)
    assert "FAILED: " in (tmp_path / "resample.log").read_text().splitlines()[-1]
    assert not (tmp_path / "resampled.nii").exists()


def test_two_channels_that_do_not_meet_are_an_error_with_the_numbers(tmp_path, scan):
    away = AFFINE.copy()
    away[0, 3] += 900
    other = save_scan(tmp_path / "other.nii", blobs([]), away)
    files = {"image": other, "source": other, "reference": scan}
    outputs = {"image": tmp_path / "a.nii", "facts": tmp_path / "a.json"}
    params = {"affine": "strict", "echo": None, "space": default("input"), "filled": False}
    with pytest.raises(ScanError, match="do not overlap.*914"):
        resample.main(job(tmp_path, "resample", files, outputs, **params))


def test_from_mask_to_picture(tmp_path, scan):
    run_resample(tmp_path, scan)
    brain = np.zeros((30, 32, 14), np.uint8)
    brain[2:-2, 2:-2, 1:-1] = 1
    given = save_scan(tmp_path / "mask.nii.gz", brain, AFFINE)
    outputs = {"mask": tmp_path / "brain.nii", "facts": tmp_path / "mask.json"}
    files = {"image": [str(tmp_path / "resampled.nii")], "scans": [str(scan)], "mask": given}
    mask.main(job(tmp_path, "mask", files, outputs, affine="strict", echo=None, finder=None))
    facts = json.loads((tmp_path / "mask.json").read_text())
    expected = brain.sum() * 0.9 * 0.9 * 1.8 / 1000
    assert facts["brain_volume_ml"] == pytest.approx(expected, rel=0.06)

    outputs = {name: tmp_path / f"cropped-{name}.nii" for name in ("image", "mask")}
    outputs["facts"] = tmp_path / "crop.json"
    files = {"images": [str(tmp_path / "resampled.nii")], "mask": tmp_path / "brain.nii"}
    crop.main(job(tmp_path, "crop", files, outputs, space=default("input", shape=[32, 34, 30])))
    assert nib.load(outputs["mask"]).shape == (32, 34, 30)
    assert json.loads((tmp_path / "crop.json").read_text()) == {"brain_outside_box": 0}

    files = {"image": outputs["image"], "mask": outputs["mask"]}
    preproc = {"image": tmp_path / "preproc.nii.gz", "facts": tmp_path / "normalize.json"}
    steps = CARD["input"]["normalize"]
    normalize.main(
        job(tmp_path, "normalize", files, preproc, channels=["swi"], steps=steps, mask=None)
    )
    seen = nib.load(preproc["image"])
    assert seen.get_fdata().max() == 1

    folds, facts = [], []
    for number, factor in enumerate((1.0, 0.9), start=1):
        folds.append(str(tmp_path / f"fold{number}.nii.gz"))
        facts.append(str(tmp_path / f"fold{number}.json"))
        inside = nib.load(outputs["mask"]).get_fdata()
        save(folds[-1], (seen.get_fdata() * factor * inside).astype(np.float32), seen.affine)
        how = {"backend": "b", "device": "cpu", "precision": "float32", "weights_sha256": "0" * 64}
        (tmp_path / f"fold{number}.json").write_text(json.dumps(how))
    mean = {
        "probability": tmp_path / "mean.nii.gz",
        "spread": tmp_path / "std.nii.gz",
        "facts": tmp_path / "average.json",
    }
    files = {"folds": folds, "facts": facts, "mask": outputs["mask"], "scan": scan}
    params = {"labels": {1: "cmb"}, "activation": "sigmoid", "cleaned": False}
    params |= {"affine": "strict", "echo": None, "space": default("input")}
    average_folds.main(job(tmp_path, "average_folds", files, mean, n_folds=2, **params))
    assert nib.load(mean["probability"]).get_fdata().max() == pytest.approx(0.95, abs=1e-5)
    with pytest.raises(ValueError, match="3 folds"):
        average_folds.main(job(tmp_path, "average_folds", files, mean, n_folds=3, **params))

    labels = {"labels": tmp_path / "threshold.nii.gz"}
    files = {"probability": mean["probability"]}
    threshold.main(job(tmp_path, "threshold", files, labels, activation="sigmoid", threshold=0.85))
    second = {"input_sha256": "2" * 64, "nonfinite_voxels": 9}  # of a channel after the reference
    (tmp_path / "second.json").write_text(json.dumps(second))
    counted = {
        "lesions": tmp_path / "lesions.nii.gz",
        "labels": tmp_path / "dseg.nii.gz",
        "facts": tmp_path / "dseg.json",
        "table": tmp_path / "lesions.tsv",
        "volumes": tmp_path / "volumes.tsv",
    }
    files = {
        "labels": labels["labels"],
        "probability": mean["probability"],
        "folds": folds,
        "mask": outputs["mask"],
        "scan": scan,
        "facts": [str(tmp_path / n) for n in ("mask.json", "crop.json", "average.json")],
        "channel_facts": [
            str(tmp_path / n) for n in ("source.json", "second.json", "normalize.json")
        ],
    }
    params = {"affine": "strict", "echo": None, "output": default("output", **CARD["output"])}
    params |= {"postprocess": default("postprocess", **CARD["postprocess"]), "version": "v0"}
    count.main(job(tmp_path, "count", files, counted, **params))
    first = json.loads((tmp_path / "source.json").read_text())
    told = json.loads(counted["facts"].read_text())
    assert (told["input_sha256"], told["nonfinite_voxels"]) == (first["input_sha256"], 9)
    volumes = pd.read_csv(counted["volumes"], sep="\t")
    assert volumes["count"].tolist() == [2]
    table = pd.read_csv(counted["table"], sep="\t")
    assert table.fold_agreement.tolist() == [1.0, 1.0]

    native = {n: tmp_path / f"orig-{n}.nii.gz" for n in ("probability", "lesions", "labels")}
    files = {
        "scan": scan,
        "probability": mean["probability"],
        "lesions": counted["lesions"],
        "table": counted["table"],
        "labels": counted["labels"],
    }
    params = {"affine": "strict", "echo": None, "labels": {1: "cmb"}, "activation": "sigmoid"}
    restore.main(job(tmp_path, "restore", files, native, **params))
    numbers = np.asanyarray(nib.load(native["lesions"]).dataobj)
    bright = np.asanyarray(nib.load(scan).dataobj) > 300
    assert (numbers[bright] > 0).mean() > 0.9
    for row in table.itertuples():
        assert numbers[row.i, row.j, row.k] == row.lesion

    files = {
        "image": [str(preproc["image"])],
        "mask": outputs["mask"],
        "lesions": counted["lesions"],
        "labels": counted["labels"],
        "table": counted["table"],
        "facts": counted["facts"],
    }
    params = {"output": {"activation": "sigmoid", "labels": {1: "cmb"}}}
    draw.main(job(tmp_path, "draw", files, {"picture": tmp_path / "qc.png"}, **params))
    assert (tmp_path / "qc.png").stat().st_size > 5000


def test_a_hole_in_any_channel_stops_the_scan(tmp_path, scan):
    run_resample(tmp_path, scan)
    brain = save_scan(tmp_path / "mask.nii.gz", np.ones((30, 32, 14), np.uint8), AFFINE)
    other = blobs([])
    other[15, 15, 7] = np.nan
    other = save_scan(tmp_path / "other.nii.gz", other, AFFINE)
    files = {"image": [str(tmp_path / "resampled.nii")], "mask": brain}
    files["scans"] = [str(scan), str(other)]
    outputs = {"mask": tmp_path / "brain.nii", "facts": tmp_path / "mask.json"}
    with pytest.raises(ScanError, match="other.nii.gz: 1 voxels inside the brain"):
        mask.main(job(tmp_path, "mask", files, outputs, affine="strict", echo=None, finder=None))
