"""The same scan in several formats gives the same lesions, and runs again only if its content changes."""

import gzip
import json
import shutil

import nibabel as nib
import numpy as np
import pandas as pd
import pydicom
import pytest

from support.cohorts import AFFINE, add_scan, blobs
from support.dicom import COMBINED, MINIP, PHASE, save_series
from support.formats import save_mgh, save_pair, save_with_itk
from support.runs import jobs, snakemake

pytestmark = pytest.mark.slow
DATA = np.rint(blobs([(8, 9, 5), (20, 22, 9)], seed=1)).astype(np.int16)


SOURCES = ("scan.nhdr", "scan.mhd", "pair.img", "dicom", "incomplete", "two")


def same_scan_in_each_format(folder):
    """A scan table of one scan in each format."""
    folder.mkdir()
    nifti = add_scan(folder, "sub-1", DATA, folder=folder)
    mask = np.asanyarray(nib.load(folder / "sub-1_desc-brain_mask.nii.gz").dataobj)
    regions = np.where(np.arange(30)[:, None, None] < 15, 1035, 2035) * np.ones_like(mask, np.int32)
    save_mgh(folder / "aparc+aseg.mgz", regions.astype(np.int32), AFFINE)
    save_mgh(folder / "truth.mgz", (DATA > 300).astype(np.uint8), AFFINE)
    save_with_itk(folder / "mask.mha", mask, AFFINE)
    save_with_itk(folder / "scan.nhdr", DATA, AFFINE)
    save_with_itk(folder / "scan.mhd", DATA, AFFINE, compressed=True)
    save_pair(folder / "pair.hdr", DATA, AFFINE)
    stored = DATA[:, ::-1], AFFINE @ [[1, 0, 0, 0], [0, -1, 0, 31], [0, 0, 1, 0], [0, 0, 0, 1]]
    save_series(folder / "dicom/mag", *stored, number=3, description="Mag_Images")
    save_series(folder / "dicom/swi", *stored, COMBINED, "SWI_Images", 4)
    save_series(folder / "dicom/mip", *stored, MINIP, "mIP_Images(SW)", 5)
    save_series(folder / "incomplete", *stored, COMBINED, instances=[0, *range(2, 14)])
    save_series(folder / "two/a", *stored, COMBINED, number=3)
    save_series(folder / "two/b", *stored, COMBINED, number=4)
    rows = [
        f"1\t\t{nifti.name}\tsub-1_desc-brain_mask.nii.gz\taparc+aseg.mgz\ttruth.mgz",
        *(
            f"{number}\tacq-{number}\t{name}\tmask.mha\taparc+aseg.mgz\ttruth.mgz"
            for number, name in enumerate(SOURCES, 2)
        ),
    ]
    (folder / "scans.tsv").write_text(
        "\n".join(["subject\tacq\tswi\tmask\tregions\ttruth", *rows]) + "\n"
    )
    return folder / "scans.tsv"


@pytest.fixture(scope="module")
def formats(tmp_path_factory, tiny, models_dir):
    directory = tmp_path_factory.mktemp("formats")
    config = {"cohort": same_scan_in_each_format(directory / "cohort")}
    config |= {"models": tiny, "models_dir": models_dir, "scan_entities": "[acq]"}
    config |= {"dicom_seg": "True"}
    status, text = snakemake(directory, "all", "evaluate", **config)
    assert status != 0, text  # one scan fails
    return directory, config


SAME = ("sub-1", "sub-2_acq-2", "sub-3_acq-3", "sub-4_acq-4", "sub-5_acq-5")


def rows_by_scan(path):
    table = pd.read_csv(path)
    table = table.drop(columns=[c for c in ("subject", "reference_sha256") if c in table])
    return {scan: rows.drop(columns="scan") for scan, rows in table.groupby("scan")}


def test_the_same_scan_in_each_format_has_the_same_lesions(formats):
    directory, _ = formats
    for table in ("lesions.csv", "cohort.csv"):
        rows = rows_by_scan(directory / "results" / table)
        if table == "lesions.csv":  # dcm2niix stores the first axis the other way round
            rows[SAME[-1]]["i"] = 29 - rows[SAME[-1]]["i"]
        first, *others = (rows[scan] for scan in SAME)
        assert len(first)
        for other in others:
            left_out = [c for c in first if c == "input_sha256"]
            pd.testing.assert_frame_equal(
                *(t.drop(columns=left_out).reset_index(drop=True) for t in (first, other))
            )
    lesions = pd.read_csv(directory / "results/lesions.csv")
    assert sorted(lesions.region[lesions.scan == "sub-1"]) == [1035, 2035]
    for scan in SAME:
        pattern = f"results/tiny/*/anat/{scan}_space-orig_desc-lesions_dseg.nii.gz"
        (path,) = directory.glob(pattern)
        if scan != SAME[-1]:
            np.testing.assert_allclose(nib.load(path).affine, AFFINE, atol=1e-5)


def test_a_scan_that_cannot_be_converted_or_chosen_costs_only_itself(formats):
    directory, _ = formats
    rows = pd.read_csv(directory / "results/cohort.csv").set_index("scan")
    assert rows.status["sub-6_acq-6"] == "failed:convert_dicom"
    assert "13 of the 14" in rows.reason["sub-6_acq-6"]
    assert rows.status["sub-7_acq-7"] == "missing-input"
    assert "series 3 'swi3d'" in rows.reason["sub-7_acq-7"]
    assert set(rows.status[list(SAME)]) == {"ok"}


def test_no_result_names_the_person(formats):
    directory, _ = formats
    (sidecar,) = directory.glob("results/tiny/sub-5/anat/*_desc-dicom_swi.json")
    assert json.loads(sidecar.read_text())["ImageType"] == COMBINED
    (segmentation,) = directory.glob("results/**/*.dcm")  # a PACS needs the name there
    assert pydicom.dcmread(segmentation).SegmentSequence[0].SegmentLabel == "cmb"
    for path in [*directory.glob("results/**/*"), *directory.glob("logs/**/*")]:
        if path.is_file() and path != segmentation:
            content = path.read_bytes()
            content = gzip.decompress(content) if path.suffix == ".gz" else content
            assert b"SECRET123" not in content and b"Doe^" not in content, path


def test_only_the_content_of_both_files_counts(formats, tmp_path):
    directory, config = formats
    again = tmp_path / "again"
    shutil.copytree(directory, again)
    cohort = again / "cohort"  # another folder, other dates
    config = {**config, "cohort": cohort / "scans.tsv"}
    for path in cohort.iterdir():
        path.touch()
    for number, path in enumerate(sorted((cohort / "dicom/swi").iterdir())):
        path.rename(cohort / f"dicom/x{number:02d}")
    shutil.rmtree(cohort / "dicom/mip")
    save_series(cohort / "dicom/other", DATA, AFFINE, PHASE, "Pha_Images", 8)
    planned = jobs(snakemake(again, "--dry-run", **config)[1])
    assert planned["convert_dicom"] == planned["resample"] == 1, (
        planned
    )  # of the scan that has failed
    assert "convert" not in planned
    raw = bytearray((cohort / "scan.raw").read_bytes())
    raw[-2:] = b"\x07\x00"
    (cohort / "scan.raw").write_bytes(raw)
    planned = jobs(snakemake(again, "--dry-run", **config)[1])
    assert (planned["convert"], planned["convert_dicom"], planned["resample"]) == (1, 1, 2), planned
