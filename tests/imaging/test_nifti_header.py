"""Impossible values in NIfTI headers are refused, at planning and when the file is read; absent ones have a meaning."""

import gzip
import os

import nibabel as nib
import numpy as np
import pytest

from lesionflow.base.errors import ScanError
from lesionflow.cohort.header_check import inspect
from lesionflow.imaging.nifti import read_scan, read_scan_grid

AFFINE = np.array([[0, 0, 3.0, -10], [-1.0, 0, 0, 20], [0, 2.0, 0, -30], [0, 0, 0, 1]])
NAN, INF = float("nan"), float("inf")
KINDS = {"nii": nib.Nifti1Image, "nii.gz": nib.Nifti1Image, "nifti-2": nib.Nifti2Image}


def write(folder, forms, kind="nii", **fields):
    """An image with these coded forms and raw header fields; a field ``pixdim_3`` is an entry of an array."""
    data = np.arange(6 * 5 * 4, dtype=np.int16).reshape(6, 5, 4)
    image = KINDS[kind](data, AFFINE)
    image.header.set_xyzt_units("mm", "sec")
    image.header.set_slope_inter(1, 0)
    for name, setter in (("sform", image.set_sform), ("qform", image.set_qform)):
        setter(AFFINE, 1 if name in forms else 0, update_affine=False)
    content = bytearray(image.to_bytes())
    header = image.header.structarr.dtype
    values = np.frombuffer(bytes(content[: header.itemsize]), header).copy()
    for field, value in fields.items():
        name, _, index = field.partition("__")
        if index:
            values[name][0, int(index)] = value
        else:
            values[name] = value
    content[: header.itemsize] = values.tobytes()
    path = folder / ("a.nii.gz" if kind == "nii.gz" else "a.nii")
    path.write_bytes(gzip.compress(bytes(content)) if kind == "nii.gz" else bytes(content))
    return path


QFORM = {  # fields of a file whose qform is used, and the message
    "size 0": ({"pixdim__3": 0}, "voxel sizes in pixdim are 1 x 2 x 0 mm"),
    "size below 0": ({"pixdim__1": -1}, "voxel sizes in pixdim are -1 x 2 x 3 mm"),
    "size NaN": ({"pixdim__2": NAN}, "voxel sizes in pixdim are 1 x nan x 3 mm"),
    "size infinite": ({"pixdim__2": INF}, "voxel sizes in pixdim are 1 x inf x 3 mm"),
    "qfac 5": ({"pixdim__0": 5}, r"pixdim\[0\] is 5"),
    "qfac NaN": ({"pixdim__0": NAN}, r"pixdim\[0\] is nan"),
    "quaternion NaN": ({"quatern_b": NAN}, "qform is not an invertible affine"),
    "quaternion above 1": ({"quatern_b": 2}, "qform is not valid"),
    "offset NaN": ({"qoffset_y": NAN}, "qform is not an invertible affine"),
}
ANY = {  # fields that count whatever form is used
    "units 4": ({"xyzt_units": 4}, "xyzt_units is 4"),
    "units 7": ({"xyzt_units": 7}, "xyzt_units is 7"),
    "units 58": ({"xyzt_units": 58}, "xyzt_units is 58"),
    "units 66": ({"xyzt_units": 66}, "xyzt_units is 66"),
    "units 255": ({"xyzt_units": 255}, "xyzt_units is 255"),
    "metres": ({"xyzt_units": 1}, "lengths in metres"),
    "micrometres": ({"xyzt_units": 3}, "lengths in micrometres"),
    "slope infinite": ({"scl_slope": INF}, "scl_slope is inf"),
    "intercept NaN": ({"scl_inter": NAN}, "scl_inter nan"),
    "intercept infinite": ({"scl_inter": -INF}, "scl_inter -inf"),
    "data in the header": ({"vox_offset": 0}, "vox_offset is 0"),
    "data in the extension flag": ({"vox_offset": 348}, "vox_offset is 348"),
    "data before the file": ({"vox_offset": -352}, "vox_offset is -352"),
    "form code -1": ({"sform_code": -1}, "sform_code is -1"),
    "form code 6": ({"qform_code": 6}, "qform_code is 6"),
    "type 99": ({"datatype": 99}, "datatype is 99"),
}
SFORM = {
    "offset NaN": ({"srow_x__3": NAN}, "sform is not an invertible affine"),
    "infinite": ({"srow_y__0": INF}, "sform is not an invertible affine"),
    "singular": ({"srow_z": 0}, "sform is not an invertible affine"),
}
FLOAT_IN_NIFTI_1 = {  # vox_offset is an integer in NIfTI-2
    "part of a byte": ({"vox_offset": 352.5}, "vox_offset is 352.5"),
    "no number": ({"vox_offset": NAN}, "vox_offset is nan"),
    "infinite": ({"vox_offset": INF}, "vox_offset is inf"),
}


def cases(*tables):
    return [pytest.param(*case, id=name) for table in tables for name, case in table.items()]


def assert_refused(path, message, policy="strict"):
    finding = inspect(path, policy)
    assert finding.status == "header-conflict"
    with pytest.raises(ScanError, match=message) as error:
        read_scan(path, policy)
    assert error.value.status == "header-conflict"
    assert str(error.value) == finding.reason
    assert str(path) in finding.reason


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("fields", "message"), cases(QFORM, ANY))
def test_impossible_values_are_refused_if_only_the_qform_is_coded(tmp_path, kind, fields, message):
    assert_refused(write(tmp_path, ["qform"], kind, **fields), message)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("fields", "message"), cases(SFORM, ANY))
def test_impossible_values_are_refused_if_only_the_sform_is_coded(tmp_path, kind, fields, message):
    assert_refused(write(tmp_path, ["sform"], kind, **fields), message)


@pytest.mark.parametrize(("fields", "message"), cases(FLOAT_IN_NIFTI_1))
def test_the_data_begin_at_a_whole_byte(tmp_path, fields, message):
    assert_refused(write(tmp_path, ["sform"], **fields), message)


@pytest.mark.parametrize(("fields", "message"), cases(QFORM))
def test_an_impossible_qform_is_refused_beside_a_valid_sform(tmp_path, fields, message):
    """And the advice leads to the valid one, which is then read."""
    path = write(tmp_path, ["sform", "qform"], **fields)
    assert_refused(path, message)
    assert_refused(path, message, "qform")
    assert "affine: sform uses the sform" in inspect(path).reason
    assert inspect(path, "sform").status == "ok"
    np.testing.assert_allclose(read_scan(path, "sform").affine, AFFINE)


@pytest.mark.parametrize(("fields", "message"), cases(SFORM))
def test_an_impossible_sform_is_refused_beside_a_valid_qform(tmp_path, fields, message):
    path = write(tmp_path, ["sform", "qform"], **fields)
    assert_refused(path, message)
    assert "affine: qform uses the qform" in inspect(path).reason
    np.testing.assert_allclose(read_scan(path, "qform").affine, AFFINE, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "fields",
    [
        {"xyzt_units": 0},
        {"xyzt_units": 2},
        {"scl_slope": 0, "scl_inter": NAN},
        {"scl_slope": NAN, "scl_inter": NAN},
        {"bitpix": 0},
        {"sform_code": 5, "qform_code": 5},
        {"pixdim__4": 0},
    ],
)
def test_absent_values_have_their_documented_meaning(tmp_path, kind, fields):
    path = write(tmp_path, ["sform", "qform"], kind, **fields)
    assert inspect(path).status == "ok"
    image = read_scan(path)
    np.testing.assert_allclose(image.affine, AFFINE, atol=1e-5)
    assert image.get_fdata().ravel().tolist() == list(range(120))


@pytest.mark.parametrize("kind", KINDS)
def test_a_qfac_of_0_is_1(tmp_path, kind):
    """nifti1.h: 'If pixdim[0]=0 (which should not occur), we take qfac=1.'"""
    with_0 = write(tmp_path, ["qform"], kind, pixdim__0=0)
    grid = read_scan_grid(with_0)
    with_1 = write(tmp_path, ["qform"], kind, pixdim__0=1)
    np.testing.assert_array_equal(grid.affine, read_scan_grid(with_1).affine)
    np.testing.assert_array_equal(read_scan(with_1).affine, grid.affine)


def test_voxel_sizes_do_not_count_if_only_the_sform_is_coded(tmp_path):
    path = write(tmp_path, ["sform"], pixdim__3=0, pixdim__0=0)
    assert inspect(path).status == "ok"
    np.testing.assert_array_equal(read_scan(path).affine, AFFINE)


def test_dimensions_that_are_impossible_are_refused(tmp_path):
    for field, value in (("dim__0", 0), ("dim__3", 0), ("dim__3", -4)):
        finding = inspect(write(tmp_path, ["sform"], **{field: value}))
        assert finding.status in ("header-conflict", "unreadable"), field
        assert "is from 1 to 7" in finding.reason or "the image is empty" in finding.reason


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_no_regular_file_is_not_opened(tmp_path, kind):
    path = tmp_path / "a.nii"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    finding = inspect(path)
    assert finding.status == "unreadable"
    assert finding.reason == f"{path} is not a regular file"
