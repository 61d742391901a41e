"""DICOM volumes to NIfTI: exact voxels and affine, or an error."""

import json

import nibabel as nib
import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nibabel.orientations import apply_orientation, io_orientation, ornt_transform

from lesionflow.base.errors import ScanError
from lesionflow.imaging.dicom import FATAL, convert_volume
from lesionflow.imaging.nifti import read_scan
from support.dicom import COMBINED, save_enhanced, save_series
from support.volumes import CODES, oriented

DATA = np.random.default_rng(0).integers(1, 3000, (10, 9, 6)).astype(np.int16)
AFFINE = oriented("LPS", (0.5, 0.6, 2.0), DATA.shape, rotation=(10, -20, 30))
MAGNITUDE = {"kind": "magnitude", "echo_time": 20.0, "whole": True}


def convert(paths, folder, **volume):
    sidecar = convert_volume(list(map(str, paths)), MAGNITUDE | volume, folder / "out.nii.gz")
    return read_scan(folder / "out.nii.gz"), sidecar


def stored_like(image, affine):
    """The voxels of an image in the order of another affine, with the affine that they then have."""
    order = ornt_transform(io_orientation(image.affine), io_orientation(affine))
    return apply_orientation(image.get_fdata(), order), image.as_reoriented(order).affine


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    code=st.sampled_from(CODES),
    rotation=st.tuples(*[st.floats(-30, 30)] * 3),
    spacing=st.tuples(*[st.floats(0.4, 3)] * 3),
    origin=st.tuples(*[st.floats(-100, 100)] * 3),
    enhanced=st.booleans(),
)
def test_voxels_keep_their_place_and_value(tmp_path, code, rotation, spacing, origin, enhanced):
    affine = oriented(code, spacing, DATA.shape, rotation, origin=origin)
    if np.linalg.det(affine[:3, :3]) < 0:  # slices of DICOM are ordered by their positions
        affine = affine @ np.diag([-1, 1, 1, 1.0])
    for path in tmp_path.glob("in/*"):
        path.unlink()
    if enhanced:
        paths = [save_enhanced(tmp_path / "in/a", [(DATA, "MAGNITUDE", 20.0)], affine)]
    else:
        paths = save_series(tmp_path / "in", DATA, affine)
    image, _ = convert(paths, tmp_path)
    corners = np.array([[x, y, z, 1] for x in (0, 9) for y in (0, 8) for z in (0, 5)]).T
    voxels = np.linalg.inv(image.affine) @ affine @ corners
    np.testing.assert_allclose(voxels, np.rint(voxels), atol=0.02)
    for corner, voxel in zip(corners.T, np.rint(voxels).astype(int).T, strict=True):
        assert image.get_fdata()[tuple(voxel[:3])] == DATA[tuple(corner[:3])]
    assert np.array_equal(np.sort(image.get_fdata(), axis=None), np.sort(DATA, axis=None))


def test_names_of_files_do_not_matter_and_no_person_is_named(tmp_path):
    paths = save_series(
        tmp_path / "in", DATA, AFFINE, COMBINED, name="a 'b\" $(touch x);{:04d}\n.IMA"
    )
    image, sidecar = convert(paths[::-1], tmp_path, kind="combined SWI")
    assert image.shape == DATA.shape
    written = json.dumps(sidecar) + str(nib.load(tmp_path / "out.nii.gz").header)
    for text in ("Doe", "SECRET123", "ACC77", "19450101", "101010", "20240115"):
        assert text not in written
    assert sidecar["EchoTime"] == 0.02
    assert sidecar["MagneticFieldStrength"] == 3
    assert sidecar["ImageType"] == COMBINED
    assert sidecar["SeriesInstanceUID"] == str(pydicom.dcmread(paths[0]).SeriesInstanceUID)
    assert sidecar["ConversionWarnings"] == []


@pytest.mark.parametrize(("kind", "echo_time", "number"), [("magnitude", 20, 1), ("phase", 10, 2)])
def test_one_volume_of_an_enhanced_file_is_converted(tmp_path, kind, echo_time, number):
    volumes = [(DATA, "MAGNITUDE", 10.0), (DATA + 1, "MAGNITUDE", 20.0), (DATA + 2, "PHASE", 10.0)]
    path = save_enhanced(tmp_path / "a", volumes, AFFINE)
    image, _ = convert([path], tmp_path, kind=kind, echo_time=echo_time)
    assert np.array_equal(np.sort(image.get_fdata(), axis=None), np.sort(DATA + number, axis=None))


@pytest.mark.parametrize("enhanced", [False, True])
@pytest.mark.parametrize("slices", [[0, 1, 2, 4, 5], [0, 3, 4, 5], [0, 5]])
def test_missing_slices_are_an_error(tmp_path, slices, enhanced):
    if enhanced:
        volume = [(DATA, "MAGNITUDE", 20.0)]
        paths = [save_enhanced(tmp_path / "a", volume, AFFINE, frames=slices)]
    else:
        paths = save_series(tmp_path / "in", DATA, AFFINE, instances=slices)
    with pytest.raises(ScanError, match="missing|apart|corners"):
        convert(paths, tmp_path)
    assert not (tmp_path / "out.nii.gz").exists()


def test_a_regular_gap_is_told_by_the_numbers_of_the_images(tmp_path):
    paths = save_series(tmp_path / "in", DATA, AFFINE, instances=[0, 2, 4])
    with pytest.raises(ScanError, match="3 of the 5 from number 1 to 5"):
        convert(paths, tmp_path)
    # as of a series whose other images are another volume
    assert convert(paths, tmp_path, whole=False)[0].shape[2] == 3


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"SamplesPerPixel": 3}, "unreadable", "3 numbers per pixel"),
        ({"PixelSpacing": [0, 0]}, "header-conflict", "not an invertible affine"),
    ],
)
def test_colours_and_lengths_of_zero_are_refused(tmp_path, fields, status, words):
    paths = save_series(tmp_path / "a", DATA, AFFINE)
    for path in paths:
        ds = pydicom.dcmread(path)
        for name, value in fields.items():
            setattr(ds, name, value)
        ds.save_as(path)
    with pytest.raises(ScanError, match=words) as error:
        convert(paths, tmp_path)
    assert error.value.status == status


def test_two_images_at_one_position_are_an_error(tmp_path):
    paths = save_series(tmp_path / "a", DATA, AFFINE)
    paths += save_series(tmp_path / "b", DATA, AFFINE, number=6)
    with pytest.raises(ScanError, match="12 images at 6 positions"):
        convert(paths, tmp_path)


def test_slices_of_two_stacks_are_an_error(tmp_path):
    paths = save_series(tmp_path / "a", DATA, AFFINE)
    paths += save_series(
        tmp_path / "b", DATA, oriented("PSR", (0.5, 0.6, 2.0), DATA.shape), number=6
    )
    with pytest.raises(ScanError, match="orientation"):
        convert(paths, tmp_path)


@pytest.mark.parametrize("share", [0.3, 0.7, 0.98])
def test_a_truncated_file_is_an_error(tmp_path, share):
    paths = save_series(tmp_path / "a", np.tile(DATA, (4, 4, 1)), AFFINE)
    content = paths[2].read_bytes()
    paths[2].write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ScanError, match="IM0003"):
        convert(paths, tmp_path)


def test_a_series_without_positions_is_a_header_conflict(tmp_path):
    paths = save_series(tmp_path / "a", DATA, AFFINE)
    ds = pydicom.dcmread(paths[3])
    del ds.ImagePositionPatient
    ds.save_as(paths[3])
    with pytest.raises(ScanError, match="IM0004.*where its slices lie") as error:
        convert(paths, tmp_path)
    assert error.value.status == "header-conflict"


def test_the_warnings_of_dcm2niix_that_make_a_volume_unusable():
    for line in (
        "Warning: Interslice distance varies in this volume (incompatible with NIfTI format).",
        "Warning: Unable to rotate 3D volume: slices not equidistant: 2 != 4",
        "Warning: File not large enough to store image data: 00003.dcm",
    ):
        assert FATAL.search(line)
    assert not FATAL.search("Warning: Instance Number (0020,0013) order is not spatial.")
