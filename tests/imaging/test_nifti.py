"""Reading and writing of NIfTI files."""

import gzip

import nibabel as nib
import numpy as np
import pytest

from lesionflow.base.errors import ScanError
from lesionflow.imaging.nifti import load, read_scan, read_scan_grid, save, save_like
from support.volumes import CODES, in_two_members, noise, oriented, save_scan, truncate


def test_slope_and_intercept_are_applied(tmp_path):
    path = save_scan(
        tmp_path / "a.nii", np.arange(24, dtype=np.int16).reshape(2, 3, 4), slope=(2, 5)
    )
    header = nib.load(path).header
    assert header["scl_slope"] != 0
    assert np.allclose(read_scan(path).get_fdata().ravel(), nib.load(path).get_fdata().ravel())


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_scans_of_all_number_types_are_read_as_float32(tmp_path, dtype):
    path = save_scan(tmp_path / "a.nii.gz", noise(dtype=dtype))
    assert read_scan(path).get_data_dtype() is not None
    assert np.asanyarray(read_scan(path).dataobj).dtype == np.float32


def test_an_echo_selects_a_volume(tmp_path):
    data = noise((4, 5, 6, 3))
    path = save_scan(tmp_path / "a.nii", data)
    assert np.array_equal(read_scan(path, echo=2).dataobj, data[..., 1])
    with pytest.raises(ScanError, match="select one with echo: 1 to 3"):
        read_scan(path)


def test_a_truncated_scan_is_an_error_with_its_name(tmp_path):
    path = save_scan(tmp_path / "a.nii.gz", noise())
    truncate(path, 0.6)
    with pytest.raises(ScanError, match="a.nii.gz"):
        read_scan(path)


def test_the_policy_selects_the_affine_if_sform_and_qform_differ(tmp_path):
    path = save_scan(tmp_path / "a.nii.gz", noise())
    image = nib.load(path)
    shifted = np.eye(4)
    shifted[0, 3] = 5
    image.set_qform(shifted, 1)
    nib.save(image, tmp_path / "b.nii.gz")
    with pytest.raises(ScanError, match="5 mm apart"):
        read_scan(tmp_path / "b.nii.gz")
    assert read_scan(tmp_path / "b.nii.gz", "sform").affine[0, 3] == 0
    assert read_scan(tmp_path / "b.nii.gz", "qform").affine[0, 3] == 5


def test_only_a_coded_form_is_used(tmp_path):
    affine = np.diag([2.0, 2, 2, 1])
    path = save_scan(tmp_path / "a.nii.gz", noise(), affine, sform=0, qform=2)
    image = nib.load(path)
    image.header["srow_x"] = 9
    assert np.allclose(read_scan_grid(path).affine, affine)


@pytest.mark.parametrize("code", CODES[::5])
@pytest.mark.parametrize("codes", [(1, 1), (4, 0), (0, 1), (2, 3)])
def test_maps_on_the_grid_of_a_scan_have_its_shape_affine_and_codes(tmp_path, code, codes):
    affine = oriented(code, (0.5, 0.7, 2.5), (7, 8, 9), (8, -5, 3))
    path = save_scan(
        tmp_path / "a.nii.gz",
        noise((7, 8, 9), dtype=np.int16),
        affine,
        *codes,
        slope=(2, 1),
    )
    labels = np.arange(504, dtype=np.int32).reshape(7, 8, 9)
    save_like(tmp_path / "b.nii.gz", labels, path)
    source, result = nib.load(path), nib.load(tmp_path / "b.nii.gz")
    assert result.shape == source.shape
    assert np.array_equal(result.affine, source.affine)
    for form in ("qform", "sform"):
        affine, code = getattr(result.header, f"get_{form}")(coded=True)
        expected_affine, expected_code = getattr(source.header, f"get_{form}")(coded=True)
        assert code == expected_code
        assert np.array_equal(affine, expected_affine) or affine is expected_affine is None
    assert np.array_equal(result.header["pixdim"][:4], source.header["pixdim"][:4])
    assert np.array_equal(np.asanyarray(result.dataobj), labels)


def test_maps_of_a_multi_echo_scan_have_their_own_fourth_axis(tmp_path):
    path = save_scan(tmp_path / "a.nii", noise((4, 5, 6, 3)))
    save_like(tmp_path / "b.nii", np.ones((4, 5, 6), np.float32), path)
    assert nib.load(tmp_path / "b.nii").shape == (4, 5, 6)
    save_like(tmp_path / "c.nii", np.ones((4, 5, 6, 2), np.float32), path)
    assert nib.load(tmp_path / "c.nii").shape == (4, 5, 6, 2)


def test_a_map_of_another_shape_is_refused(tmp_path):
    path = save_scan(tmp_path / "a.nii", noise())
    with pytest.raises(ValueError, match="shape"):
        save_like(tmp_path / "b.nii", np.ones((2, 2, 2)), path)


def test_saved_images_have_equal_sform_and_qform(tmp_path):
    affine = oriented("RAS", (1, 1, 1), (5, 5, 5), (10, 20, 5))
    save(tmp_path / "a.nii.gz", noise((5, 5, 5)), affine)
    header = nib.load(tmp_path / "a.nii.gz").header
    assert np.allclose(header.get_qform(coded=True)[0], affine, atol=1e-4)
    assert np.allclose(header.get_sform(coded=True)[0], affine, atol=1e-4)
    assert [p.name for p in tmp_path.iterdir()] == ["a.nii.gz"]


@pytest.mark.parametrize("fraction", [0.2, 0.5, 0.9])
def test_a_gzip_file_with_a_changed_byte_is_refused(tmp_path, fraction):
    path = save_scan(tmp_path / "a.nii.gz", noise((30, 30, 30)))
    data = bytearray(path.read_bytes())
    data[int(fraction * len(data))] ^= 0x10
    path.write_bytes(data)
    with pytest.raises(ScanError, match="a.nii.gz"):
        read_scan(path)


@pytest.mark.parametrize(("unit", "name"), [("meter", "metres"), ("micron", "micrometres")])
def test_headers_with_lengths_in_other_units_are_refused(tmp_path, unit, name):
    image = nib.Nifti1Image(noise(), np.eye(4))
    image.header.set_xyzt_units(unit)
    nib.save(image, tmp_path / "a.nii")
    with pytest.raises(ScanError, match=f"in {name}") as error:
        read_scan(tmp_path / "a.nii")
    assert error.value.status == "header-conflict"


@pytest.mark.parametrize("spacing", [1e-3, 1e3])
def test_a_field_of_view_that_is_too_small_or_large_is_refused(tmp_path, spacing):
    path = save_scan(tmp_path / "a.nii", noise(), np.diag([spacing] * 3 + [1]))
    with pytest.raises(ScanError, match="field of view"):
        read_scan(path)


def test_a_form_that_is_not_used_may_be_invalid(tmp_path):
    path = save_scan(tmp_path / "a.nii", noise())
    header = bytearray(path.read_bytes())
    header[256:268] = np.array([2, 2, 2], np.float32).tobytes()  # not a unit quaternion
    path.write_bytes(header)
    assert read_scan(path, "sform").shape == (12, 13, 14)
    with pytest.raises(ScanError, match="not valid"):
        read_scan(path, "strict")


def compressed_scan(path, shape=(30, 30, 30)):
    return save_scan(path, noise(shape))


def test_a_gzip_file_of_several_members_or_with_trailing_zeros_is_read_to_its_end(tmp_path):
    path = compressed_scan(tmp_path / "a.nii.gz")
    expected = noise((30, 30, 30))
    in_two_members(path)
    assert np.array_equal(read_scan(path).dataobj, expected)
    assert np.array_equal(load(path).dataobj, expected)
    path.write_bytes(path.read_bytes() + bytes(512))
    assert np.array_equal(read_scan(path).dataobj, expected)


@pytest.mark.parametrize("read", [read_scan, load])
@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],  # without the last byte of the length
        lambda data: data[:-8],  # without checksum and length
        lambda data: data[:-8] + bytes([data[-8] ^ 1]) + data[-7:],  # wrong checksum
        lambda data: data[:-1] + bytes([data[-1] ^ 1]),  # wrong length
        lambda data: data + b"more",
        lambda data: data[: len(data) // 2],
        lambda data: data[:5],
        lambda data: b"",
    ],
)
def test_a_damaged_gzip_file_is_refused(tmp_path, damage, read):
    path = compressed_scan(tmp_path / "a.nii.gz")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ScanError, match="a.nii.gz"):
        read(path)


def test_a_valid_gzip_file_with_too_few_voxels_is_refused(tmp_path):
    path = compressed_scan(tmp_path / "a.nii.gz")
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-4]))
    with pytest.raises(ScanError, match="a.nii.gz.* 4 bytes are missing"):
        read_scan(path)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_saved_image_is_loaded_unchanged_and_always_has_the_same_bytes(tmp_path, dtype, name):
    data = noise((6, 7, 8, 2), dtype=dtype)
    for folder in ("one", "two"):
        save(tmp_path / folder / name, data, np.eye(4))
    image = load(tmp_path / "one" / name)
    assert image.get_data_dtype() == dtype == np.asanyarray(image.dataobj).dtype
    assert np.array_equal(image.dataobj, data)
    assert image.get_filename() == str(tmp_path / "one" / name)
    assert len({(tmp_path / f / name).read_bytes() for f in ("one", "two")}) == 1


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_scaled_values_are_those_of_nibabel(tmp_path, name):
    stored = np.random.default_rng(0).integers(-30000, 30000, (9, 8, 7)).astype(np.int16)
    path = save_scan(tmp_path / name, stored, slope=(0.123456789, -7.3))
    expected = np.asarray(nib.load(path).dataobj, np.float32)
    assert np.array_equal(read_scan(path).dataobj, expected)


def test_an_uncompressed_image_is_mapped_into_memory(tmp_path):
    save(tmp_path / "a.nii", noise(), np.eye(4))
    assert isinstance(np.asanyarray(load(tmp_path / "a.nii").dataobj), np.memmap)
