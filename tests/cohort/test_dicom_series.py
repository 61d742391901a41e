"""Which DICOM series is a scan's channel: a choice by rules, or a status with the candidates, never a guess."""

import json
import os
import shutil

import numpy as np
import pydicom
import pytest
from pydicom.uid import BasicTextSRStorage

from lesionflow.cohort.dicom_archive import DicomHeaders
from lesionflow.cohort.dicom_directory import list_dicom_directory
from lesionflow.cohort.dicom_series import choose_volume
from lesionflow.imaging.dicom_headers import kind_of_image
from support.dicom import COMBINED, MINIP, PHASE, save_enhanced, save_series

SMALL = np.arange(4 * 5 * 3, dtype=np.int16).reshape(4, 5, 3) + 1
AFFINE = np.diag([-0.5, -0.5, 2, 1.0])
GLOBS = ["*swi*", "*swan*", "*t2[*]*"]


def save(folder, number, image_type, description="swi3d", **options):
    return save_series(folder, SMALL, AFFINE, image_type, description, number, **options)


def chosen(folder, channel="swi", globs=GLOBS, echo=None, series="", foreign=("*t1*",)):
    """Numbers and kinds of the chosen series, or status and reason."""
    archive = DicomHeaders(folder / "none.json").archive(str(folder))
    volume, status, reason = choose_volume(archive, channel, globs, echo, series, foreign)
    return (volume.number, volume.kind) if volume else (status, reason)


@pytest.mark.parametrize(
    ("image_type", "description", "kind"),
    [
        ("ORIGINAL/PRIMARY/M/ND/NORM", "Mag_Images", "magnitude"),
        ("ORIGINAL/PRIMARY/M/SWI/ND/NORM", "SWI_Images", "combined SWI"),
        ("ORIGINAL/PRIMARY/P/ND", "Pha_Images", "phase"),
        ("ORIGINAL/PRIMARY/MNIP/SWI/ND", "mIP_Images(SW)", "minIP"),
        ("DERIVED/PRIMARY/MINIMUM", "ax swan", "minIP"),
        ("DERIVED/SECONDARY/MIP", "TOF", "MIP"),
        ("DERIVED/PRIMARY/PROJECTION IMAGE", "swi", "MIP"),
        ("ORIGINAL/PRIMARY/OTHER", "Ax SWAN 3D", "combined SWI"),
        ("ORIGINAL/PRIMARY/OTHER", "FILT_PHA: Ax SWAN", "phase"),
        ("ORIGINAL/PRIMARY/M_FFE/M/FFE", "SWIp", "combined SWI"),
        ("ORIGINAL/PRIMARY/PHASE MAP/P/FFE", "SWIp", "phase"),
        ("ORIGINAL/PRIMARY/M_FFE/M/FFE", "T2*w FFE", "magnitude"),
        ("DERIVED/PRIMARY/QSM", "QSM_minIP", "QSM"),
        ("ORIGINAL/PRIMARY/M/ND", "localizer", "localizer"),
        ("ORIGINAL/PRIMARY/M/ND/MOSAIC", "bold", "mosaic"),
        ("DERIVED/PRIMARY/MPR", "swi_tra", "reformat"),
        ("ORIGINAL/PRIMARY/OTHER", "t1_mprage", "image"),
        ("ORIGINAL/PRIMARY/M/ND", "empirical_alphabet", "magnitude"),
    ],
)
def test_the_kind_of_an_image_follows_from_its_type_and_description(image_type, description, kind):
    assert kind_of_image(image_type.split("/"), description) == kind


def test_the_combined_image_is_taken_of_a_siemens_acquisition(tmp_path):
    save(tmp_path / "mag", 3, ["ORIGINAL", "PRIMARY", "M", "ND"], "Mag_Images_swi")
    save(tmp_path / "pha", 4, PHASE, "Pha_Images_swi")
    save(tmp_path / "mip", 5, MINIP, "mIP_Images(SW)")
    save(tmp_path / "swi", 6, COMBINED, "SWI_Images")
    assert chosen(tmp_path) == (6, "combined SWI")
    assert chosen(tmp_path, "t2star", ["*swi*"]) == (3, "magnitude")
    shutil.rmtree(tmp_path / "swi")
    assert chosen(tmp_path) == (3, "magnitude")
    shutil.rmtree(tmp_path / "mag")
    status, reason = chosen(tmp_path)
    assert status == "missing-input"
    for text in ("'Pha_Images_swi' (phase", "'mIP_Images(SW)' (minIP", "3 slices", "series 4"):
        assert text in reason


def test_two_candidates_are_listed_and_one_is_chosen_by_its_uid(tmp_path):
    save(tmp_path / "first", 3, COMBINED)
    save(tmp_path / "second", 9, COMBINED)
    status, reason = chosen(tmp_path)
    assert status == "missing-input"
    assert "series 3 'swi3d'" in reason and "series 9 'swi3d'" in reason
    assert "FOLDER#SeriesInstanceUID" in reason
    headers = DicomHeaders(tmp_path / "none.json")
    uid = headers.archive(str(tmp_path)).volumes[1].series
    assert uid in reason
    assert chosen(tmp_path, series=uid) == (9, "combined SWI")
    archive, series = headers.cell(f"{tmp_path}#{uid}")
    assert choose_volume(archive, "swi", GLOBS, None, series)[0].number == 9
    archive, series = headers.cell(str(tmp_path / "first/IM0002.dcm".replace(".dcm", "")))
    assert choose_volume(archive, "swi", GLOBS, None, series)[0].number == 3
    assert "no series 1.2.3" in chosen(tmp_path, series="1.2.3")[1]


def test_the_distortion_corrected_copy_is_taken(tmp_path):
    save(tmp_path / "nd", 3, ["ORIGINAL", "PRIMARY", "M", "SWI", "ND"], "swi_ND")
    save(tmp_path / "dis", 4, ["ORIGINAL", "PRIMARY", "M", "SWI", "DIS3D", "DIS2D"], "swi")
    assert chosen(tmp_path) == (4, "combined SWI")


def test_an_echo_of_a_classic_or_enhanced_series_is_selected(tmp_path):
    for echo, time in ((1, 10), (2, 20)):
        save(
            tmp_path / "c",
            3,
            ["ORIGINAL", "PRIMARY", "M"],
            EchoNumbers=echo,
            EchoTime=time,
            name=f"{echo}_{{}}",
        )
    volumes = [(SMALL, "MAGNITUDE", 10.0), (SMALL, "MAGNITUDE", 20.0), (SMALL, "PHASE", 20.0)]
    save_enhanced(tmp_path / "e/a", volumes, AFFINE, number=7)
    for folder in (tmp_path / "c", tmp_path / "e"):
        status, reason = chosen(folder)
        assert status == "missing-input" and "echo: 1, 2" in reason and "echo time 20 ms" in reason
        archive = DicomHeaders(folder / "none.json").archive(str(folder))
        volume, *_ = choose_volume(archive, "swi", GLOBS, 2)
        assert (volume.echo_time, volume.kind, volume.n_slices) == (20, "magnitude", 3)
        assert chosen(folder, echo=3)[0] == "missing-input"


def test_copies_count_once_and_contradictory_copies_are_refused(tmp_path):
    paths = save(tmp_path / "a", 3, COMBINED)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    archive = DicomHeaders(tmp_path / "none.json").archive(str(tmp_path))
    assert [(v.n_slices, len(v.files)) for v in archive.volumes] == [(3, 3)]
    content = bytearray(paths[1].read_bytes())
    content[-1] ^= 1
    paths[1].write_bytes(content)
    status, reason = chosen(tmp_path)
    assert status == "unreadable" and "same SOPInstanceUID" in reason


def test_a_damaged_file_and_one_that_is_not_dicom(tmp_path):
    paths = save(tmp_path / "a", 3, COMBINED)
    (tmp_path / "a/README.txt").write_text("hello")
    (tmp_path / "a/scan.nii.gz").write_bytes(paths[0].read_bytes())
    os.mkfifo(tmp_path / "a/pipe.dcm")
    (tmp_path / "a/gone.dcm").symlink_to("nowhere")
    (tmp_path / "a/loop").symlink_to(".")
    report = pydicom.dcmread(paths[0])
    report.file_meta.MediaStorageSOPClassUID = report.SOPClassUID = BasicTextSRStorage
    report.save_as(tmp_path / "a/report.dcm")
    assert chosen(tmp_path) == (3, "combined SWI")
    for length in (140, 200, 400, 800, 1200):
        (tmp_path / "a/cut.dcm").write_bytes(paths[0].read_bytes()[:length])
        status, reason = chosen(tmp_path)
        assert status == "unreadable" and "cut.dcm is a damaged DICOM file" in reason, length
    (tmp_path / "a/cut.dcm").write_bytes(b"")
    assert "it is empty" in chosen(tmp_path)[1]
    (tmp_path / "b").mkdir()
    assert "has no MR image in DICOM" in chosen(tmp_path / "b")[1]


def test_hostile_texts_are_one_printable_line(tmp_path):
    save(tmp_path, 3, PHASE, "a\n\x1b[31m'\"; rm -rf /{x}" + "y" * 500)
    reason = chosen(tmp_path)[1]
    assert reason.isprintable()
    assert len(reason) < 500 + len(str(tmp_path))


def test_headers_are_read_once(tmp_path):
    (path, *_) = save(tmp_path / "a", 3, COMBINED)
    headers = DicomHeaders(tmp_path / "cache.json")
    volumes = headers.archive(str(tmp_path / "a")).volumes
    headers.save()
    content = json.loads((tmp_path / "cache.json").read_text())
    content["files"][str(path)][1]["number"] = 77
    (tmp_path / "cache.json").write_text(json.dumps(content))
    again = DicomHeaders(tmp_path / "cache.json").archive(str(tmp_path / "a")).volumes
    assert [v.number for v in again] == [77]
    os.utime(path, ns=(1, 1))
    assert DicomHeaders(tmp_path / "cache.json").archive(str(tmp_path / "a")).volumes == volumes
    (tmp_path / "cache.json").write_text('{"half')
    assert DicomHeaders(tmp_path / "cache.json").stored == {}


def test_subjects_and_sessions_of_a_directory(tmp_path):
    save(tmp_path / "sub-01/anything", 3, COMBINED)
    save(tmp_path / "02/ses-a/x", 3, COMBINED)
    save(tmp_path / "02/ses-b", 3, COMBINED, date="20240301")
    save(tmp_path / "03/study1", 3, COMBINED, date="20230101")
    save(tmp_path / "03/study2", 3, COMBINED, date="20240101")
    (tmp_path / "04").mkdir()
    (tmp_path / "IM1").write_text("x")
    listing = list_dicom_directory(tmp_path, DicomHeaders(tmp_path / "none.json"))
    scans = {scan.name: len(scan.archive.volumes) for scan in listing.scans}
    assert scans == {
        "sub-01": 1,
        **{"sub-02_ses-a": 1, "sub-02_ses-b": 1},
        **{"sub-03_ses-20230101": 1, "sub-03_ses-20240101": 1},
        "sub-04": 0,
    }
    assert [len(paths) for paths in listing.left_out.values()] == [1]


def test_two_patients_in_a_folder_are_never_a_scan(tmp_path):
    t1 = ["ORIGINAL", "PRIMARY", "M"]
    save(tmp_path, 3, t1, "t1_mprage", name="a{}", PatientID="7001")
    save(tmp_path, 4, COMBINED, name="b{}", PatientID="7002", date="20240301")
    status, reason = chosen(tmp_path)
    assert status == "missing-input" and "2 patients (PatientID)" in reason and "7002" not in reason
    (dicom,) = (
        v for v in DicomHeaders(tmp_path / "c").archive(str(tmp_path)).volumes if v.number == 4
    )
    assert chosen(tmp_path, series=dicom.series) == (4, "combined SWI")


def test_the_sessions_of_a_folder_with_two_patients_are_not_used(tmp_path):
    save(tmp_path / "01", 3, COMBINED, name="a{}", PatientID="7001")
    save(tmp_path / "01", 4, COMBINED, name="b{}", PatientID="7002", date="20240301")
    listing = list_dicom_directory(tmp_path, DicomHeaders(tmp_path / "none.json"))
    found = [choose_volume(scan.archive, "swi", GLOBS) for scan in listing.scans]
    assert ["2 patients" in reason for _, _, reason in found] == [True, True]


@pytest.mark.parametrize(
    ("other", "what"),
    [
        ({"PatientID": "7002"}, "patients"),
        ({"StudyInstanceUID": "1.2.3"}, "studies"),
        ({"StudyDate": "20250101"}, "dates"),
    ],
)
def test_images_of_two_studies_are_never_one_volume(tmp_path, other, what):
    save(tmp_path, 3, COMBINED, name="a{}", instances=[0, 1])
    save(tmp_path, 3, COMBINED, name="b{}", instances=[2], **other)
    status, reason = chosen(tmp_path)
    assert status == "unreadable" and f"are of two {what}" in reason


def test_a_series_of_another_channel_is_not_taken_for_want_of_a_better_one(tmp_path):
    save(tmp_path / "only", 3, ["ORIGINAL", "PRIMARY", "M"], "t1_mprage", name="a{}")
    assert chosen(tmp_path / "only")[0] == "missing-input"
    assert chosen(tmp_path / "only", "t1", ["*t1*"], foreign=GLOBS) == (3, "magnitude")
    save(tmp_path / "phase", 3, ["ORIGINAL", "PRIMARY", "M"], "gre", name="a{}")
    assert chosen(tmp_path / "phase") == (3, "magnitude")
    save(tmp_path / "phase", 4, PHASE, "gre", name="b{}")
    assert chosen(tmp_path / "phase")[0] == "missing-input"


def test_a_study_without_a_date_has_none_of_another_study(tmp_path):
    save(tmp_path / "01", 3, COMBINED, name="a{}", StudyDate="")
    save(tmp_path / "01", 4, COMBINED, name="b{}", date="20240301")
    listing = list_dicom_directory(tmp_path, DicomHeaders(tmp_path / "none.json"))
    numbers = {scan.name: [v.number for v in scan.archive.volumes] for scan in listing.scans}
    assert numbers == {"sub-01": [3], "sub-01_ses-20240301": [4]}


@pytest.mark.parametrize(
    ("image_type", "technique", "kind"),
    [
        ("DERIVED/PRIMARY/SWI/MIN_IP", "", "minIP"),
        ("DERIVED/PRIMARY/SWI/NONE", "MIN_IP", "minIP"),
        ("DERIVED/PRIMARY/M/NONE", "MAX_IP", "MIP"),
        ("DERIVED/PRIMARY/M/NONE", "CURVED_MPR", "reformat"),
        ("ORIGINAL/PRIMARY/SWI/NONE", "NONE", "combined SWI"),
    ],
)
def test_projections_of_enhanced_files_are_told_by_their_technique(image_type, technique, kind):
    assert kind_of_image(image_type.split("/"), "swi3d", "MAGNITUDE", technique) == kind


def test_a_folder_that_cannot_be_listed_makes_the_choice_impossible(tmp_path, monkeypatch):
    save(tmp_path, 3, COMBINED)
    (tmp_path / "closed").mkdir()
    scandir = os.scandir

    def deny(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", deny)
    status, reason = chosen(tmp_path)
    assert status == "unreadable" and "closed cannot be listed: Permission denied" in reason
