"""Scans without a mask: computed by a card, only where it is wanted."""

import re

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import yaml

from support.cohorts import AFFINE, CARD, add_scan, blobs, save_network
from support.runs import jobs, snakemake
from support.volumes import oriented

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def finder(tmp_path_factory):
    """A card whose probability of brain is the image over 110."""
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


def head(place, dark=(12, 12, 7)):
    """A block of 100 with a lesion and a dark hole in it, and a small bright piece beside it."""
    data = np.zeros((30, 32, 14), np.float32)
    data[4:26, 4:28, 2:12] = blobs([place])[4:26, 4:28, 2:12]
    data[dark] = 0
    data[0, 0, 0] = 500
    return data


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny, finder, models_dir):
    directory = tmp_path_factory.mktemp("masks")
    bids = directory / "bids"
    add_scan(bids, "sub-given", head((8, 9, 5)))
    add_scan(bids, "sub-none", head((8, 9, 5)), mask=False)
    turned = oriented("PIR", (0.9, 1.8, 0.9), None, (12, 8, -9))
    add_scan(bids, "sub-turned", head((8, 9, 5)), turned, mask=False)
    add_scan(bids, "sub-dark", 0.01 * head((8, 9, 5)), mask=False)
    config = {"models": tiny, "models_dir": models_dir}

    def again(word=finder, *args, **other):
        return snakemake(directory, *args, brain_mask=word, **config | other)

    _, plan = again("auto", "--dry-run", models_dir=directory / "no-model-yet")
    _, own = again(finder, "--dry-run")
    status, text = again(finder)
    path = directory / "results/cohort.partial.csv"
    table = pd.read_csv(path, dtype=str, keep_default_na=False).set_index("scan")
    return directory, again, table, jobs(plan), jobs(own), text


def test_auto_computes_only_what_is_not_given(run):
    _, _, _, plan, own, _ = run
    assert plan["find_brain"] == 3
    assert own["find_brain"] == 4
    assert plan["import_fold"] == 1 + 3  # the shipped mask's, and the ensemble's


def test_the_table_says_whose_mask_it_is_and_how_large(run):
    _, _, table, *_ = run
    assert (table.status.drop("sub-dark") == "ok").all(), table.reason
    assert (table.mask_source.drop("sub-dark") == "finder v0").all()
    volume = table.brain_volume_ml.drop("sub-dark").astype(float)
    true = 22 * 24 * 10 * 0.9 * 0.9 * 1.8 / 1000
    assert (abs(volume / true - 1) < 0.15).all(), volume
    assert (
        table["flags"].str.contains("brain-volume").drop("sub-dark").all()
    )  # it is no whole brain


def test_lesions_are_found_in_computed_masks(run):
    _, _, table, *_ = run
    assert (table.cmb_count.drop("sub-dark") == "1").all()


def test_a_scan_without_a_brain_fails_alone_and_says_so(run):
    _, _, table, *_ = run
    assert table.status["sub-dark"] == "failed:mask"
    assert "no brain was found" in table.reason["sub-dark"]
    assert table.cmb_count["sub-dark"] == ""


def test_the_mask_is_one_piece_without_holes_where_the_head_is(run):
    directory, *_ = run
    name = "sub-none_space-model_desc-brain_mask.nii.gz"
    image = nib.load(directory / "results/tiny/sub-none/anat" / name)
    brain = np.asanyarray(image.dataobj) > 0
    xyz = nib.affines.apply_affine(image.affine, np.argwhere(brain)).mean(axis=0)
    middle = nib.affines.apply_affine(AFFINE, (14.5, 15.5, 6.5))
    assert np.linalg.norm(xyz - middle) < 0.7
    hole = nib.affines.apply_affine(np.linalg.inv(image.affine) @ AFFINE, (12, 12, 7))
    assert brain[tuple(np.rint(hole).astype(int))]


def test_another_word_reruns_the_mask_and_what_follows(run):
    _, again, *_ = run
    _, text = again("provided", "--dry-run")
    assert jobs(text).get("find_brain", 0) == 0
    assert jobs(text)["mask"] == 1  # the one that brings it
    _, text = again("none", "--dry-run")
    assert jobs(text)["mask"] == 4


def test_a_search_that_failed_of_old_says_nothing_of_a_scan_that_is_measured_without_it(run):
    directory, again, *_ = run
    log = next((directory / "logs/find_brain").rglob("sub-none.log"))
    log.write_text("FAILED: of old\n")
    status, text = again("none")
    assert status == 0, text
    table = pd.read_csv(directory / "results/cohort.csv", dtype=str, keep_default_na=False)
    assert (table.status == "ok").all()


def test_a_scan_that_was_begun_is_finished_before_another_one_is(
    tmp_path, tiny, finder, models_dir
):
    """Whatever their sizes: else a cohort's temporaries would all be there at once."""
    for number, size in enumerate((1.0, 0.5, 0.8, 1.2)):
        volume = head((8, 9, 5)) + np.random.default_rng(number).normal(0, size, (30, 32, 14))
        add_scan(tmp_path / "bids", f"sub-{number}", volume, mask=False)
    config = {"models": tiny, "models_dir": models_dir, "brain_mask": finder}
    status, text = snakemake(tmp_path, "--cores", "1", **config)
    assert status == 0, text
    begun = re.findall(
        r"^(?:local)?rule (\w+):\n(?:    .*\n)*?    wildcards: .*scan=(sub-\d)", text, re.M
    )
    scans = [scan for _, scan in begun]
    assert len(scans) == 4 * 13
    assert [s for s, before in zip(scans, ["", *scans], strict=False) if s != before] == sorted(
        set(scans), key=scans.index
    )
