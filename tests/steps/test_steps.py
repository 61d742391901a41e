"""The ``main`` of each step on one small scan, with a stand-in for Snakemake's job object."""

import json

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from lesionflow.base.errors import ScanError
from lesionflow.imaging.nifti import save
from lesionflow.results.reviews.lesion_voxels import decode, map_digest
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
        "source_files": [scan],
    } | params
    resample.main(
        job(
            folder,
            "resample",
            {"image": scan, "source": scan, "reference": scan},
            {"image": folder / "resampled.nii", "sidecar": folder / "source.json"},
            **params,
        )
    )
    return nib.load(folder / "resampled.nii")


def test_resample_writes_the_model_grid_and_the_digest_of_its_input(tmp_path, scan):
    image = run_resample(tmp_path, scan)
    assert nib.aff2axcodes(image.affine) == ("R", "A", "S")
    assert image.shape == (27, 29, 26)  # 30 x 0.9, 32 x 0.9, 14 x 1.8 mm, rounded up
    sidecar = json.loads((tmp_path / "source.json").read_text())
    assert sidecar["nonfinite_voxels"] == 0
    assert len(sidecar["input_sha256"]) == 64
    assert (tmp_path / "resample.log").read_text().endswith("DONE\n")


def test_failed_step_logs_its_failure_and_leaves_no_output(tmp_path):
    constant = save_scan(tmp_path / "constant.nii", np.full((5, 5, 5), 3.0, np.float32))
    with pytest.raises(ScanError, match="every voxel is 3"):
        run_resample(tmp_path, constant)
    assert "FAILED: " in (tmp_path / "resample.log").read_text().splitlines()[-1]
    assert not (tmp_path / "resampled.nii").exists()


def test_error_for_channels_that_do_not_overlap_states_their_extents(tmp_path, scan):
    shifted = AFFINE.copy()
    shifted[0, 3] += 900
    other = save_scan(tmp_path / "other.nii", blobs([]), shifted)
    files = {"image": other, "source": other, "reference": scan}
    outputs = {"image": tmp_path / "a.nii", "sidecar": tmp_path / "a.json"}
    params = {"affine": "strict", "echo": None, "space": default("input"), "filled": False}
    params["source_files"] = [other]
    with pytest.raises(ScanError, match="do not overlap.*914"):
        resample.main(job(tmp_path, "resample", files, outputs, **params))


def test_steps_from_mask_to_figure(tmp_path, scan):
    run_resample(tmp_path, scan)
    brain = np.zeros((30, 32, 14), np.uint8)
    brain[2:-2, 2:-2, 1:-1] = 1
    provided_mask = save_scan(tmp_path / "mask.nii.gz", brain, AFFINE)
    outputs = {"mask": tmp_path / "brain.nii", "sidecar": tmp_path / "mask.json"}
    files = {"image": [str(tmp_path / "resampled.nii")], "scans": [str(scan)]}
    files["mask"] = provided_mask
    mask.main(job(tmp_path, "mask", files, outputs, affine="strict", echo=None, finder=None))
    sidecar = json.loads((tmp_path / "mask.json").read_text())
    expected_ml = brain.sum() * 0.9 * 0.9 * 1.8 / 1000
    assert sidecar["brain_volume_ml"] == pytest.approx(expected_ml, rel=0.06)

    cropped = {name: tmp_path / f"cropped-{name}.nii" for name in ("image", "mask")}
    cropped["sidecar"] = tmp_path / "crop.json"
    files = {"images": [str(tmp_path / "resampled.nii")], "mask": tmp_path / "brain.nii"}
    crop.main(job(tmp_path, "crop", files, cropped, space=default("input", shape=[32, 34, 30])))
    assert nib.load(cropped["mask"]).shape == (32, 34, 30)
    assert json.loads((tmp_path / "crop.json").read_text())["brain_outside_box"] == 0

    files = {"image": cropped["image"], "mask": cropped["mask"]}
    normalized = {"image": tmp_path / "preproc.nii.gz", "sidecar": tmp_path / "normalize.json"}
    steps, channel = CARD["input"]["normalize"], {"channel": "swi", "channels": ["swi"]}
    normalize.main(job(tmp_path, "normalize", files, normalized, steps=steps, mask=None, **channel))
    network_input = nib.load(normalized["image"])
    assert network_input.get_fdata().max() == 1

    folds, sidecars = [], []
    for number, factor in enumerate((1.0, 0.9), start=1):
        folds.append(str(tmp_path / f"fold{number}.nii.gz"))
        sidecars.append(str(tmp_path / f"fold{number}.json"))
        cropped_brain = nib.load(cropped["mask"]).get_fdata()
        probability = network_input.get_fdata() * factor * cropped_brain
        save(folds[-1], probability.astype(np.float32), network_input.affine)
        metadata = {"backend": "b", "device": "cpu", "precision": "float32"}
        metadata["weights_sha256"] = "0" * 64
        (tmp_path / f"fold{number}.json").write_text(json.dumps(metadata))
    averaged = {
        "probability": tmp_path / "mean.nii.gz",
        "spread": tmp_path / "std.nii.gz",
        "sidecar": tmp_path / "average.json",
    }
    files = {"folds": folds, "sidecars": sidecars, "mask": cropped["mask"], "scan": scan}
    params = {"labels": {1: "cmb"}, "activation": "sigmoid", "cleaned": False}
    params |= {"affine": "strict", "echo": None, "space": default("input")}
    average_folds.main(job(tmp_path, "average_folds", files, averaged, n_folds=2, **params))
    assert nib.load(averaged["probability"]).get_fdata().max() == pytest.approx(0.95, abs=1e-5)
    with pytest.raises(ValueError, match="3 folds"):
        average_folds.main(job(tmp_path, "average_folds", files, averaged, n_folds=3, **params))

    thresholded = {"labels": tmp_path / "threshold.nii.gz", "sidecar": tmp_path / "threshold.json"}
    files = {"probability": averaged["probability"]}
    params = {"activation": "sigmoid", "threshold": 0.85}
    threshold.main(job(tmp_path, "threshold", files, thresholded, **params))
    second_channel = {"input_sha256": "2" * 64, "nonfinite_voxels": 9}
    (tmp_path / "second.json").write_text(json.dumps(second_channel))
    counted = {
        "lesions": tmp_path / "lesions.nii.gz",
        "lesions_sidecar": tmp_path / "lesions.json",
        "names": tmp_path / "lesions_dseg.tsv",
        "labels": tmp_path / "dseg.nii.gz",
        "sidecar": tmp_path / "dseg.json",
        "table": tmp_path / "lesions.tsv",
        "volumes": tmp_path / "volumes.tsv",
    }
    files = {
        "labels": thresholded["labels"],
        "probability": averaged["probability"],
        "folds": folds,
        "mask": cropped["mask"],
        "scan": scan,
        "sidecars": [str(tmp_path / n) for n in ("mask.json", "crop.json", "average.json")],
        "channel_sidecars": [
            str(tmp_path / n) for n in ("source.json", "second.json", "normalize.json")
        ],
    }
    params = {"affine": "strict", "echo": None, "output": default("output", **CARD["output"])}
    params |= {"postprocess": default("postprocess", **CARD["postprocess"]), "version": "v0"}
    count.main(job(tmp_path, "count", files, counted, **params))
    reference_channel = json.loads((tmp_path / "source.json").read_text())
    scan_sidecar = json.loads(counted["sidecar"].read_text())
    assert scan_sidecar["input_sha256"] == reference_channel["input_sha256"]
    assert scan_sidecar["nonfinite_voxels"] == 9  # the sum over the channels
    volumes = pd.read_csv(counted["volumes"], sep="\t")
    assert volumes["count"].tolist() == [2]
    table = pd.read_csv(counted["table"], sep="\t")
    assert table.fold_agreement.tolist() == [1.0, 1.0]
    assert (table.edge_distance_mm > 1).all()
    sidecar |= {"mask_source": "none"}
    (tmp_path / "mask.json").write_text(json.dumps(sidecar))
    count.main(job(tmp_path, "count", files, counted | {"table": tmp_path / "none.tsv"}, **params))
    assert pd.read_csv(tmp_path / "none.tsv", sep="\t").edge_distance_mm.isna().all()

    restored = {n: tmp_path / f"orig-{n}.nii.gz" for n in ("probability", "lesions", "labels")}
    restored["sidecar"] = tmp_path / "orig-lesions.json"
    restored |= {f"{n}_sidecar": tmp_path / f"orig-{n}.json" for n in ("probability", "labels")}
    files = {
        "scan": scan,
        "probability": averaged["probability"],
        "lesions": counted["lesions"],
        "table": counted["table"],
        "labels": counted["labels"],
    }
    params = {"affine": "strict", "echo": None, "labels": {1: "cmb"}, "activation": "sigmoid"}
    restore.main(job(tmp_path, "restore", files, restored, **params))
    lesion_map = np.asanyarray(nib.load(restored["lesions"]).dataobj)
    bright = np.asanyarray(nib.load(scan).dataobj) > 300
    assert (lesion_map[bright] > 0).mean() > 0.9
    for row in table.itertuples():
        assert lesion_map[row.i, row.j, row.k] == row.lesion
    sidecar = json.loads(restored["sidecar"].read_text())
    restored_map = nib.load(restored["lesions"])
    assert sidecar["lesion_map_sha256"] == map_digest(lesion_map, restored_map.affine)
    assert np.allclose(sidecar["affine"], restored_map.affine)
    voxels = decode(sidecar["voxels"]["2"], sidecar["shape"])
    assert voxels.tolist() == np.flatnonzero(lesion_map.ravel("F") == 2).tolist()

    files = {
        "scan": scan,
        "mask": cropped["mask"],
        "lesions": restored["lesions"],
        "labels": restored["labels"],
        "table": counted["table"],
        "sidecar": counted["sidecar"],
    }
    params = {"affine": "strict", "echo": None}
    params["output"] = {"activation": "sigmoid", "labels": {1: "cmb"}}
    names = {"picture": "qc.png", "pages": "qc.pdf", "thumbnail": "thumbnail.webp"}
    pictures = {key: tmp_path / name for key, name in names.items()}
    draw.main(job(tmp_path, "draw", files, pictures, **params))
    assert min(path.stat().st_size for path in pictures.values()) > 500


def test_non_finite_voxels_of_any_channel_inside_the_brain_are_an_error(tmp_path, scan):
    run_resample(tmp_path, scan)
    brain = save_scan(tmp_path / "mask.nii.gz", np.ones((30, 32, 14), np.uint8), AFFINE)
    data = blobs([])
    data[15, 15, 7] = np.nan
    other = save_scan(tmp_path / "other.nii.gz", data, AFFINE)
    files = {"image": [str(tmp_path / "resampled.nii")], "mask": brain}
    files["scans"] = [str(scan), str(other)]
    outputs = {"mask": tmp_path / "brain.nii", "sidecar": tmp_path / "mask.json"}
    with pytest.raises(ScanError, match="other.nii.gz: 1 voxels inside the brain"):
        mask.main(job(tmp_path, "mask", files, outputs, affine="strict", echo=None, finder=None))
