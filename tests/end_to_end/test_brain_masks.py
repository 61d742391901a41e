"""Brain masks computed by a card, for scans without a mask or for all scans."""

import json
import re

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import yaml

from support.bids_validator import bids_errors
from support.cohorts import AFFINE, CARD, add_scan, blobs, save_network
from support.runs import jobs, snakemake
from support.volumes import oriented

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def brain_card(tmp_path_factory):
    """A card of a brain mask whose probability is the image divided by 110."""
    folder = tmp_path_factory.mktemp("finder")
    save_network(folder / "weights/fold-1", 1.0, (28, 28, 28))
    card = {
        **CARD,
        "name": "finder",
        "folds": [{"path": "weights/fold-1"}],
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
    path = folder / "finder.yaml"
    path.write_text(yaml.safe_dump(card))
    return path


HOLE = (12, 12, 7)


def head():
    """A block of about 100 with a lesion and a dark voxel, and a bright voxel outside of the block."""
    data = np.zeros((30, 32, 14), np.float32)
    data[4:26, 4:28, 2:12] = blobs([(8, 9, 5)])[4:26, 4:28, 2:12]
    data[HOLE] = 0
    data[0, 0, 0] = 500
    return data


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny, brain_card, models_dir):
    """One run; its directory, a function for further runs, the table, and the jobs of two dry runs."""
    directory = tmp_path_factory.mktemp("masks")
    bids = directory / "bids"
    add_scan(bids, "sub-given", head())
    add_scan(bids, "sub-none", head(), mask=False)
    oblique = oriented("PIR", (0.9, 1.8, 0.9), None, (12, 8, -9))
    add_scan(bids, "sub-oblique", head(), oblique, mask=False)
    add_scan(bids, "sub-dark", 0.01 * head(), mask=False)
    config = {"models": tiny, "models_dir": models_dir}

    def run_again(brain_mask, *args, **options):
        return snakemake(directory, *args, brain_mask=brain_mask, **config | options)

    _, auto = run_again("auto", "--dry-run", models_dir=directory / "no-model-yet")
    _, with_card = run_again(brain_card, "--dry-run")
    run_again(brain_card)
    path = directory / "results/cohort.csv"
    table = pd.read_csv(path, dtype=str, keep_default_na=False).set_index("scan")
    return directory, run_again, table, jobs(auto), jobs(with_card)


def test_auto_computes_only_missing_masks_and_a_card_all_masks(run):
    _, _, _, auto, with_card = run
    assert auto["find_brain"] == 3
    assert with_card["find_brain"] == 4
    assert auto["import_fold"] == 1 + 3  # of the shipped brain mask, and of the ensemble


def test_the_table_has_source_and_volume_of_the_mask(run):
    _, _, table, *_ = run
    assert (table.status.drop("sub-dark") == "ok").all(), table.reason
    assert (table.mask_source.drop("sub-dark") == "finder v0").all()
    volume = table.brain_volume_ml.drop("sub-dark").astype(float)
    expected = 22 * 24 * 10 * 0.9 * 0.9 * 1.8 / 1000
    assert (abs(volume / expected - 1) < 0.15).all(), volume
    flags = table["flags"].drop("sub-dark")
    assert flags.str.contains("brain-volume").all()  # far smaller than a brain


def test_lesions_are_detected_within_computed_masks(run):
    _, _, table, *_ = run
    assert (table.cmb_count.drop("sub-dark") == "1").all()


def test_a_scan_without_a_brain_fails_and_the_others_do_not(run):
    _, _, table, *_ = run
    assert table.status["sub-dark"] == "failed:mask"
    assert "no brain was found" in table.reason["sub-dark"]
    assert table.cmb_count["sub-dark"] == ""


def test_computed_masks_and_failed_scans_are_valid_bids(run):
    directory, *_ = run
    assert bids_errors(directory / "results") == []
    assert bids_errors(directory / "results/tiny") == []
    anat = directory / "results/tiny/sub-none/anat"
    mask = json.loads((anat / "sub-none_space-model_desc-brain_mask.json").read_text())
    scan, network = mask["Sources"]
    assert scan == "bids:raw:sub-none/anat/sub-none_swi.nii.gz"
    assert network.startswith("bids:models:")


def test_the_mask_is_one_component_without_holes(run):
    directory, *_ = run
    name = "sub-none_space-model_desc-brain_mask.nii.gz"
    image = nib.load(directory / "results/tiny/sub-none/anat" / name)
    brain = np.asanyarray(image.dataobj) > 0
    xyz = nib.affines.apply_affine(image.affine, np.argwhere(brain)).mean(axis=0)
    centre_of_block = nib.affines.apply_affine(AFFINE, (14.5, 15.5, 6.5))
    assert np.linalg.norm(xyz - centre_of_block) < 0.7
    hole = nib.affines.apply_affine(np.linalg.inv(image.affine) @ AFFINE, HOLE)
    assert brain[tuple(np.rint(hole).astype(int))]


def test_another_brain_mask_setting_reruns_the_mask(run):
    _, run_again, *_ = run
    _, text = run_again("provided", "--dry-run")
    assert jobs(text).get("find_brain", 0) == 0
    assert jobs(text)["mask"] == 1  # of the scan that has a mask
    _, text = run_again("none", "--dry-run")
    assert jobs(text)["mask"] == 4


def test_an_old_failure_of_find_brain_does_not_affect_a_run_without_it(run):
    directory, run_again, *_ = run
    log = next((directory / "logs/find_brain").rglob("sub-none.log"))
    log.write_text("FAILED: in an earlier run\n")
    status, text = run_again("none")
    assert status == 0, text
    table = pd.read_csv(directory / "results/cohort.csv", dtype=str, keep_default_na=False)
    assert (table.status == "ok").all()


def test_a_scan_is_finished_before_the_next_one_starts(tmp_path, tiny, brain_card, models_dir):
    """In any order of file sizes; otherwise the temporary files of all scans would exist at once."""
    for number, size in enumerate((1.0, 0.5, 0.8, 1.2)):
        volume = head() + np.random.default_rng(number).normal(0, size, (30, 32, 14))
        add_scan(tmp_path / "bids", f"sub-{number}", volume, mask=False)
    config = {"models": tiny, "models_dir": models_dir, "brain_mask": brain_card}
    status, text = snakemake(tmp_path, "--cores", "1", **config)
    assert status == 0, text
    started_job = r"^(?:local)?rule \w+:\n(?:    .*\n)*?    wildcards: .*scan=(sub-\d)"
    scans = re.findall(started_job, text, re.M)
    assert len(scans) == 4 * 14
    changes = [
        scan for scan, previous in zip(scans, ["", *scans], strict=False) if scan != previous
    ]
    assert changes == list(dict.fromkeys(scans))
