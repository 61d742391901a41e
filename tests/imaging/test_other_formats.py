"""Images in other formats: the same voxels and affine as NIfTI, and files that are refused."""

import gzip

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lesionflow.base.errors import ScanError
from lesionflow.cohort.header_check import HeaderCache, inspect
from lesionflow.imaging.nifti import read_label_image, read_scan
from lesionflow.imaging.other_formats import convert_image, image_files, read_image
from support.formats import save_mgh, save_nrrd, save_pair, save_with_itk
from support.volumes import CODES, noise, oriented, truncate

OBLIQUE = oriented("LPI", (0.5, 0.6, 2.0), (5, 6, 7), rotation=(10, -20, 30))
WRITERS = {
    "a.mgz": save_mgh,
    "a.mgh": save_mgh,
    "a.hdr": save_pair,
    "a.nrrd": save_with_itk,
    "a.nhdr": save_with_itk,
    "a.mha": save_with_itk,
    "a.mhd": save_with_itk,
}


def converted(path, folder, name="out.nii.gz"):
    convert_image(path, folder / name)
    return nib.load(folder / name)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    name=st.sampled_from(sorted(WRITERS)),
    code=st.sampled_from(CODES),
    rotation=st.tuples(*[st.floats(-180, 180)] * 3),
    spacing=st.tuples(*[st.floats(0.3, 4)] * 3),
    origin=st.tuples(*[st.floats(-200, 200)] * 3),
    shape=st.tuples(*[st.integers(1, 7)] * 3),
    dtype=st.sampled_from(["u1", "i2", "i4", "f4"]),
)
def test_voxels_and_affine_are_those_of_the_file(
    tmp_path, name, code, rotation, spacing, origin, shape, dtype
):
    if max(np.multiply(spacing, shape)) < 1:
        return
    data = np.random.default_rng(1).integers(0, 200, shape).astype(dtype)
    affine = oriented(code, spacing, shape, rotation, origin=origin)
    path = WRITERS[name](tmp_path / name, data, affine)
    finding = inspect(path)
    assert (finding.status, finding.reason) == ("ok", "")
    image = converted(path, tmp_path)
    assert np.array_equal(np.asanyarray(image.dataobj), data)
    assert image.get_data_dtype() == data.dtype
    corners = np.array([[0, 0, 0, 1], [*np.subtract(shape, 1), 1]]).T
    np.testing.assert_allclose(image.affine @ corners, affine @ corners, atol=1e-3)
    np.testing.assert_allclose(image.affine, affine, atol=2e-5)
    read_scan(tmp_path / "out.nii.gz")  # sform and qform agree


@pytest.mark.parametrize("space", ["RAS", "left-anterior-superior", "left-posterior-superior"])
def test_a_sheared_nrrd_in_each_space_has_the_affine_of_itk(tmp_path, space):
    data = noise((4, 5, 6))
    directions = "(0.5,0.1,0) (-0.2,1.5,0.3) (0,0.4,-2)"
    fields = {"space": space, "space directions": directions, "space origin": "(7,-8,9)"}
    fields["type"] = "float"
    path = save_nrrd(tmp_path / "a.nrrd", data, fields)
    assert inspect(path).status == "ok"
    image = converted(path, tmp_path)
    signs = {"RAS": (1, 1), "left-anterior-superior": (-1, 1)}.get(space, (-1, -1))
    stated = [[0.5, -0.2, 0, 7], [0.1, 1.5, 0.4, -8], [0, 0.3, -2, 9], [0, 0, 0, 1]]
    np.testing.assert_allclose(image.affine, np.diag([*signs, 1, 1]) @ stated, atol=1e-6)
    assert image.header["qform_code"] == 0  # it could not express the shear
    assert np.array_equal(read_scan(tmp_path / "out.nii.gz").dataobj, data)
    itk = sitk.ReadImage(str(path))
    for voxel in ((0, 0, 0), (3, 4, 5)):
        itk_ras = np.multiply(itk.TransformIndexToPhysicalPoint(voxel), (-1, -1, 1))
        np.testing.assert_allclose((image.affine @ [*voxel, 1])[:3], itk_ras, atol=1e-4)


def test_a_pair_keeps_its_header_its_byte_order_and_its_scaling(tmp_path):
    data = noise((5, 6, 7)).astype(np.int16)
    path = save_pair(tmp_path / "a.hdr", data, OBLIQUE, ">", slope=(0.5, 3))
    image = converted(path, tmp_path)
    pair = nib.load(path)
    assert np.array_equal(image.get_fdata(), pair.get_fdata())
    assert image.header.endianness == ">"
    for key in ("srow_x", "quatern_b", "sform_code", "qform_code", "pixdim", "xyzt_units"):
        assert np.array_equal(image.header[key], pair.header[key])
    # the other file of the pair names the same image
    assert image_files(tmp_path / "a.img") == [path, tmp_path / "a.img"]


def test_a_pair_with_two_positions_follows_the_config(tmp_path):
    path = save_pair(tmp_path / "a.hdr", noise((5, 6, 7)), OBLIQUE)
    image = nib.load(path)
    image.set_qform(oriented("RAS", (1, 1, 1), (5, 6, 7)), 1)
    nib.save(nib.Nifti1Pair(noise((5, 6, 7)), None, image.header), path)
    assert inspect(path).status == "header-conflict"
    assert inspect(path, "sform").status == "ok"
    converted(path, tmp_path)
    np.testing.assert_allclose(
        read_scan(tmp_path / "out.nii.gz", "sform").affine, OBLIQUE, atol=1e-5
    )


def test_every_digit_of_a_parcellation_is_kept(tmp_path):
    labels = np.array([0, 2, 1035, 2035, 16777217, 2147483647], np.int32).reshape(1, 2, 3)
    path = save_mgh(tmp_path / "aparc+aseg.mgz", labels, np.diag([-1.0, 1, 1, 1]))
    converted(path, tmp_path)
    assert np.array_equal(read_label_image(tmp_path / "out.nii.gz")[0], labels)


def test_a_reference_in_another_format_is_read_like_nifti(tmp_path):
    data = noise((5, 6, 7)).astype(np.uint8)
    image = read_image(save_with_itk(tmp_path / "a.nrrd", data, OBLIQUE), "strict")
    assert np.array_equal(image.dataobj, data)
    np.testing.assert_allclose(image.affine, OBLIQUE, atol=1e-5)


def test_an_analyze_file_is_refused_for_its_missing_position(tmp_path):
    nib.save(nib.AnalyzeImage(noise((5, 6, 7)), np.diag([2.0, 2, 2, 1])), tmp_path / "a.img")
    finding = inspect(tmp_path / "a.hdr")
    assert finding.status == "unreadable"
    assert "ANALYZE" in finding.reason
    nib.save(nib.Spm99AnalyzeImage(noise((5, 6, 7)), OBLIQUE), tmp_path / "b.img")
    assert "ANALYZE" in inspect(tmp_path / "b.hdr").reason


def test_a_freesurfer_image_without_a_position_is_refused(tmp_path):
    path = save_mgh(tmp_path / "a.mgh", noise((5, 6, 7)), OBLIQUE)
    content = bytearray(path.read_bytes())
    content[28:30] = b"\0\0"  # goodRASFlag
    path.write_bytes(content)
    assert inspect(path).status == "header-conflict"


@pytest.mark.parametrize("name", [*WRITERS, "b.mha", "b.nrrd"])
@pytest.mark.parametrize("share", [0.02, 0.6, 0.99])
def test_a_truncated_image_is_refused_and_never_converted(tmp_path, name, share):
    data = noise((12, 13, 14)).astype(np.float32)
    writer = {"b.mha": save_with_itk, "b.nrrd": save_with_itk, **WRITERS}[name]
    options = {"compressed": True} if name.startswith("b") else {}
    path = writer(tmp_path / name, data, OBLIQUE, **options)
    truncate(image_files(path)[-1], share)
    if inspect(path).status == "ok":  # of compressed files, only reading them tells
        with pytest.raises(ScanError, match="a\\.|b\\."):
            converted(path, tmp_path)
        assert not (tmp_path / "out.nii.gz").exists()


def test_a_damaged_mgz_is_refused(tmp_path):
    path = save_mgh(tmp_path / "a.mgz", noise((20, 20, 20)), OBLIQUE)
    content = bytearray(gzip.compress(gzip.decompress(path.read_bytes())))
    content[-8:-4] = b"\0\0\0\0"  # its checksum
    path.write_bytes(content)
    with pytest.raises(ScanError, match=r"a\.mgz"):
        converted(path, tmp_path)


@pytest.mark.parametrize(
    ("fields", "status", "reason"),
    [
        ({"space": None}, "header-conflict", "does not state where"),
        ({"space": "scanner-xyz"}, "header-conflict", "does not state where"),
        ({"space directions": None, "spacings": "1 1 1"}, "header-conflict", "does not state"),
        ({"space origin": None}, "header-conflict", "does not state where"),
        ({"space units": '"m" "m" "m"'}, "header-conflict", "not in mm"),
        ({"space directions": "(1,0,0) (1,0,0) (0,0,1)"}, "header-conflict", "invertible"),
        ({"space directions": "none (1,0,0) (0,1,0)"}, "unreadable", "space directions"),
        ({"kinds": "RGB-color domain domain"}, "unreadable", "one number per voxel"),
        ({"sizes": "4 5"}, "unreadable", "3-D"),
        ({"sizes": "4 five 6"}, "unreadable", "a.nrrd"),
        ({"encoding": "unknown"}, "unreadable", "a.nrrd"),
        ({"data file": "/etc/passwd"}, "unreadable", "only one file in the same folder"),
        ({"data file": "../b.raw"}, "unreadable", "only one file in the same folder"),
        ({"data file": "slice%03d.raw 1 9 1"}, "unreadable", "only one file in the same folder"),
        ({"data file": "LIST"}, "unreadable", "only one file in the same folder"),
        ({"data file": "b.raw"}, "missing-input", "b.raw"),
    ],
)
def test_a_nrrd_file_that_says_too_little_or_too_much_is_refused(tmp_path, fields, status, reason):
    path = save_nrrd(tmp_path / "a.nrrd", noise((4, 5, 6)), {"type": "float"} | fields)
    finding = inspect(path)
    assert (finding.status, reason in finding.reason) == (status, True), finding


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        (b"TransformMatrix", b"Unknown", "header-conflict"),
        (b"Offset = ", b"Unknown = ", "header-conflict"),
        (b"ElementSpacing", b"ElementSize", "header-conflict"),
        (b"ElementDataFile = a.raw", b"ElementDataFile = /etc/passwd", "unreadable"),
        (b"ElementDataFile = a.raw", b"ElementDataFile = ../a.raw", "unreadable"),
        (b"ElementDataFile = a.raw", b"ElementDataFile = LIST\na.raw", "unreadable"),
        (b"ElementDataFile = a.raw", b"", "unreadable"),
        (b"NDims = 3", b"NDims = 3\nElementNumberOfChannels = 3", "unreadable"),
        (b"NDims = 3", b"NDims = 3\nElementToIntensityFunctionSlope = 2", "unreadable"),
        (b"DimSize = 4", b"DimSize = -4", "unreadable"),
        (b"ObjectType", b"\0\xff\0 nothing", "unreadable"),
    ],
)
def test_a_metaimage_that_says_too_little_or_too_much_is_refused(tmp_path, old, new, status):
    path = save_with_itk(tmp_path / "a.mhd", noise((4, 5, 6)), OBLIQUE)
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))
    finding = inspect(path)
    assert finding.status == status, finding
    assert "a.mhd" in finding.reason


def test_vectors_and_4d_images_of_itk_are_refused(tmp_path):
    image = sitk.GetImageFromArray(noise((4, 5, 6, 3)), isVector=True)
    for name in ("a.nrrd", "a.mha"):
        sitk.WriteImage(image, str(tmp_path / name))
        assert "number" in inspect(tmp_path / name).reason
    sitk.WriteImage(
        sitk.GetImageFromArray(noise((3, 4, 5, 6)), isVector=False), str(tmp_path / "b.mha")
    )
    assert "3-D image" in inspect(tmp_path / "b.mha").reason


def test_the_volume_of_a_4d_freesurfer_image_is_selected_by_echo(tmp_path):
    data = noise((4, 5, 6, 2))
    path = save_mgh(tmp_path / "a.mgz", data, OBLIQUE)
    assert "4-D with 2 volumes" in inspect(path).reason
    assert inspect(path, echo=2).status == "ok"
    converted(path, tmp_path)
    assert np.array_equal(read_scan(tmp_path / "out.nii.gz", echo=2).dataobj, data[..., 1])


def test_both_files_of_an_image_are_watched(tmp_path):
    path = save_with_itk(tmp_path / "a.mhd", noise((4, 5, 6)), OBLIQUE)
    cache = HeaderCache(tmp_path / "headers.json")
    assert cache.inspect(path, "strict", None).status == "ok"
    assert set(cache.states) == {str(path), str(tmp_path / "a.raw")}
    cache.save()
    truncate(tmp_path / "a.raw")
    again = HeaderCache(tmp_path / "headers.json")
    assert again.stored
    assert again.inspect(path, "strict", None).status == "unreadable"
