"""Errors in a scan stop only that scan; errors in the config or a card stop the run before the first job."""

import gzip

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from lesionflow.networks.inference.backends import nvidia_device
from support import SCRIPTS
from support.cohorts import AFFINE, add_scan, blobs, write_card
from support.runs import jobs, snakemake
from support.volumes import oriented, save_scan, truncate

pytestmark = pytest.mark.slow

LESION = [(8, 9, 5)]


def shift_qform(path):
    """Shift the qform of a NIfTI file by 5 mm."""
    image = nib.load(path)
    data, shifted = np.asanyarray(image.dataobj), image.affine.copy()
    shifted[0, 3] += 5
    image = nib.Nifti1Image(data, image.affine, image.header)
    image.set_qform(shifted, 1)
    nib.save(image, path)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory, tiny, models_dir):
    """One run on scans with different errors: its directory, exit status, output and table."""
    directory = tmp_path_factory.mktemp("bad")
    bids = directory / "bids"
    data = blobs(LESION)

    add_scan(bids, "sub-good", data)
    # errors in the files or headers, detected before the first job
    (bids / "sub-nofile/anat").mkdir(parents=True)
    (bids / "sub-nofile/anat/sub-nofile_T1w.nii.gz").touch()
    add_scan(bids, "sub-empty", data).write_bytes(b"")
    add_scan(bids, "sub-text", data).write_bytes(gzip.compress(b"no image " * 99))
    truncate(add_scan(bids, "sub-cut", data))
    add_scan(bids, "sub-echoes", np.stack([data] * 3, -1), mask=True)
    rgb = np.zeros(data.shape, [("R", "u1"), ("G", "u1"), ("B", "u1")])
    add_scan(bids, "sub-rgb", data)
    save_scan(bids / "sub-rgb/anat/sub-rgb_swi.nii.gz", rgb, AFFINE)
    shift_qform(add_scan(bids, "sub-conflict", data))
    add_scan(bids, "sub-uncoded", data)
    save_scan(bids / "sub-uncoded/anat/sub-uncoded_swi.nii.gz", data, AFFINE, 0, 0)
    add_scan(bids, "sub-two", data)
    save_scan(bids / "sub-two/anat/sub-two_T2starw.nii.gz", data, AFFINE)
    add_scan(bids, "sub-nomask", data, mask=False)

    # unusual but valid
    nonfinite = data.astype(np.float64)
    nonfinite[0, 0, 0], nonfinite[1, 0, 0] = np.nan, np.inf
    add_scan(bids, "sub-nanoutside", nonfinite)
    negative = data.astype(np.int16)
    negative[:, :2] = -50
    add_scan(bids, "sub-negative", negative)
    save_scan(bids / "sub-negative/anat/sub-negative_swi.nii.gz", negative, AFFINE, slope=(0.5, 10))
    sheared = AFFINE.copy()
    sheared[0, 1] = 0.2
    add_scan(bids, "sub-sheared", data, sheared)
    save_scan(bids / "sub-sheared/anat/sub-sheared_swi.nii.gz", data, sheared, 1, 0)
    mask = bids / "sub-sheared/anat/sub-sheared_desc-brain_mask.nii.gz"
    save_scan(mask, np.asanyarray(nib.load(mask).dataobj).copy(), sheared, 1, 0)
    add_scan(bids, "sub-oblique", data, oriented("PIR", (0.9, 1.8, 0.9), data.shape, (12, 8, -9)))
    fine = np.kron(blobs([(10, 10, 7)], (30, 30, 20)), np.ones((3, 3, 3), np.float32))
    add_scan(bids, "sub-fine", fine, np.diag([0.3, 0.3, 0.3, 1]))
    thick = add_scan(
        bids, "sub-thick", blobs([(15, 15, 3)], (30, 32, 7)), np.diag([0.9, 0.9, 6, 1])
    )
    # its mask covers the same field of view with other voxel sizes
    brain = np.zeros((15, 16, 42), np.uint8)
    brain[1:-1, 1:-1, 2:-2] = 1
    affine = np.diag([1.8, 1.8, 1, 1])
    affine[:3, 3] = [0.45, 0.45, -2.5]
    save_scan(thick.parent / "sub-thick_desc-brain_mask.nii.gz", brain, affine)
    add_scan(bids, "sub-small", blobs([(6, 6, 4)], (20, 18, 12)), np.eye(4))
    add_scan(bids, "sub-large", blobs([(25, 26, 20)], (50, 52, 44)), np.eye(4))

    # errors in the voxels, detected by a job
    nonfinite = data.copy()
    nonfinite[15, 15, 7] = np.nan
    add_scan(bids, "sub-naninside", nonfinite)
    add_scan(bids, "sub-zeros", np.zeros_like(data))
    add_scan(bids, "sub-constant", np.full_like(data, 7))
    add_scan(bids, "sub-nomaskvoxel", data)
    mask = bids / "sub-nomaskvoxel/anat/sub-nomaskvoxel_desc-brain_mask.nii.gz"
    save_scan(mask, np.zeros(data.shape, np.uint8), AFFINE)
    add_scan(bids, "sub-maskaway", data)
    shifted = AFFINE.copy()
    shifted[0, 3] += 500
    mask = bids / "sub-maskaway/anat/sub-maskaway_desc-brain_mask.nii.gz"
    save_scan(mask, np.ones(data.shape, np.uint8), shifted)

    config = {"models": tiny, "models_dir": models_dir, "brain_mask": "provided"}
    status, text = snakemake(directory, **config)
    path = directory / "results/cohort.csv"
    table = pd.read_csv(path, dtype=str, keep_default_na=False).set_index("scan")
    return directory, status, text, table


EXPECTED = {
    "sub-nofile": ("missing-input", "no file for swi"),
    "sub-nomask": ("missing-input", "brain_mask: auto computes one"),
    "sub-two": ("missing-input", "sub-two_T2starw.nii.gz"),
    "sub-empty": ("unreadable", "0 bytes"),
    "sub-text": ("unreadable", "not a NIfTI"),
    "sub-cut": ("unreadable", "truncated"),
    "sub-echoes": ("unreadable", "4-D with 3 volumes"),
    "sub-rgb": ("unreadable", "colours"),
    "sub-conflict": ("header-conflict", "5 mm apart"),
    "sub-uncoded": ("header-conflict", "neither"),
    "sub-naninside": ("failed:mask", "1 voxels inside the brain mask are not finite"),
    "sub-zeros": ("failed:resample", "every voxel is 0"),
    "sub-constant": ("failed:resample", "every voxel is 7"),
    "sub-nomaskvoxel": ("failed:mask", "mask is empty"),
    "sub-maskaway": ("failed:mask", "outside of the scan"),
}


@pytest.mark.parametrize("scan", EXPECTED)
def test_scan_with_an_error_has_a_status_and_a_reason(cohort, scan):
    _, _, _, table = cohort
    status, text = EXPECTED[scan]
    assert table.status[scan] == status
    assert text in table.reason[scan]
    assert table.cmb_count[scan] == ""


def test_the_other_scans_are_segmented(cohort):
    _, _, _, table = cohort
    others = table[~table.index.isin(EXPECTED)]
    assert (others.status == "ok").all(), others[["status", "reason"]]
    assert (others.cmb_count.astype(int) == 1).all(), others.cmb_count
    assert len(others) == 9


def test_nonfinite_voxels_and_a_cut_brain_are_flagged(cohort):
    _, _, _, table = cohort
    assert "nonfinite-voxels" in table["flags"]["sub-nanoutside"]
    assert table.nonfinite_voxels["sub-nanoutside"] == "2"
    assert "brain-cut-by-box" in table["flags"]["sub-large"]
    assert float(table.brain_outside_box["sub-large"]) > 0.1
    assert "brain-cut-by-box" not in table["flags"]["sub-small"]


def test_the_run_fails_and_lists_the_failed_scans(cohort):
    directory, status, text, table = cohort
    assert status != 0
    assert "The run failed" in text and "of 24 scans ok" in text
    assert "sub-zeros: failed:resample" in text
    assert (directory / "results/report.html").exists()
    assert len(table) == 24
    lesions = pd.read_csv(directory / "results/lesions.csv")
    assert set(lesions.scan) <= set(table.index[table.status == "ok"])


def test_nonfinite_voxels_outside_the_brain_do_not_change_the_volume(cohort):
    _, _, _, table = cohort
    volume_mm3 = table.cmb_volume_mm3.replace("", "nan").astype(float)
    assert volume_mm3["sub-sheared"] > 0
    assert volume_mm3["sub-nanoutside"] == volume_mm3["sub-good"]


def test_the_next_run_without_the_failed_scans_only_writes_the_tables(cohort, tiny, models_dir):
    directory, _, _, table = cohort
    failed = [scan for scan, (status, _) in EXPECTED.items() if status.startswith("failed")]
    config = {"models": tiny, "models_dir": models_dir, "brain_mask": "provided"}
    status, text = snakemake(directory, exclude=f"[{','.join(failed)}]", **config)
    assert status == 0, text
    assert jobs(text) == {"aggregate": 1, "report": 1}
    final = pd.read_csv(directory / "results/cohort.csv", dtype=str, keep_default_na=False)
    assert set(final.set_index("scan").status[failed]) == {"excluded"}
    assert len(final) == len(table)


def test_config_selects_the_echo_and_the_affine(cohort, tiny, models_dir):
    directory, _, _, _ = cohort
    status, text = snakemake(
        directory,
        "--dry-run",
        include="[sub-echoes,sub-conflict]",
        echo=2,
        affine="sform",
        models=tiny,
        models_dir=models_dir,
    )
    assert status == 0, text
    assert jobs(text)["resample"] == 2


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"modle": 3}, "unknown key 'modle'"),
        ({"threshold": 1.5}, "threshold: 1.5"),
        ({"device": "tpu"}, "device: 'tpu'"),
        ({"models": "shiva-cmb-v9"}, "shiva-cmb-v9"),
        ({"cohort": "nowhere"}, "nowhere does not exist"),
        ({"include": "sub-99"}, "'sub-99' matches no scan"),
    ],
)
def test_error_in_the_config_is_one_line_before_any_job(
    finished, tiny, models_dir, config, message
):
    config = {"models": tiny, "models_dir": models_dir, **config}
    status, text = snakemake(finished, "--dry-run", **config)
    assert status != 0
    assert jobs(text) == {}
    assert any(message in line for line in text.splitlines())
    assert "Traceback" not in text


@pytest.mark.skipif(nvidia_device(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_stops_the_run_before_any_job(tmp_path, tiny, models_dir):
    add_scan(tmp_path / "bids", "sub-1", blobs([]))
    status, text = snakemake(tmp_path, models=tiny, models_dir=models_dir, device="gpu")
    assert status == 1
    assert "config: device: gpu: this machine has no NVIDIA GPU" in text
    assert "Traceback" not in text
    assert not (tmp_path / "logs").exists()
    assert not (tmp_path / "results").exists()


def test_error_in_a_card_names_the_key_without_a_traceback(finished, tmp_path, models_dir):
    card = write_card(tmp_path, postprocess={"threshold": 3})
    status, text = snakemake(finished, "--dry-run", models=card, models_dir=models_dir)
    assert status != 0
    assert "threshold" in text
    assert "Traceback" not in text


def test_error_for_missing_weights_names_the_page_the_file_and_the_folder(finished):
    status, text = snakemake(finished, "--dry-run", models="shiva-cmb-v2", models_dir="weights")
    assert status != 0
    assert "https://cloud.efixia.com/sharing/hwR97APpm" in text
    assert ".zip" in text
    assert "weights" in text


def test_another_copy_of_the_library_is_refused(tmp_path, monkeypatch):
    """Its code would run under the digests of this repository."""
    (tmp_path / "other/lesionflow").mkdir(parents=True)
    (tmp_path / "other/lesionflow/__init__.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "other"))
    status, text = snakemake(tmp_path, "--dry-run")
    assert status != 0
    assert f"{tmp_path}/other/lesionflow/__init__.py is not the lesionflow of" in text


def test_the_folder_of_the_steps_may_be_on_the_path(finished, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(SCRIPTS))
    status, text = snakemake(finished, "--dry-run")
    assert status == 0, text
