"""NIfTI in and out."""

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
def test_number_types(tmp_path, dtype):
    path = save_scan(tmp_path / "a.nii.gz", noise(dtype=dtype))
    assert read_scan(path).get_data_dtype() is not None
    assert np.asanyarray(read_scan(path).dataobj).dtype == np.float32


def test_an_echo_is_taken(tmp_path):
    data = noise((4, 5, 6, 3))
    path = save_scan(tmp_path / "a.nii", data)
    assert np.array_equal(read_scan(path, echo=2).dataobj, data[..., 1])
    with pytest.raises(ScanError, match="say which"):
        read_scan(path)


def test_a_scan_cut_off_is_an_error_with_its_name(tmp_path):
    path = save_scan(tmp_path / "a.nii.gz", noise())
    truncate(path, 0.6)
    with pytest.raises(ScanError, match="a.nii.gz"):
        read_scan(path)


def test_policies(tmp_path):
    path = save_scan(tmp_path / "a.nii.gz", noise())
    image = nib.load(path)
    other = np.eye(4)
    other[0, 3] = 5
    image.set_qform(other, 1)
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
def test_maps_on_the_scans_grid_carry_its_shape_affine_and_codes(tmp_path, code, codes):
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
        ours, theirs = (getattr(i.header, f"get_{form}")(coded=True) for i in (result, source))
        assert ours[1] == theirs[1]
        assert np.array_equal(ours[0], theirs[0]) or (ours[0] is None and theirs[0] is None)
    assert np.array_equal(result.header["pixdim"][:4], source.header["pixdim"][:4])
    assert np.array_equal(np.asanyarray(result.dataobj), labels)


def test_maps_of_a_multi_echo_scan_are_3d(tmp_path):
    path = save_scan(tmp_path / "a.nii", noise((4, 5, 6, 3)))
    save_like(tmp_path / "b.nii", np.ones((4, 5, 6), np.float32), path)
    assert nib.load(tmp_path / "b.nii").shape == (4, 5, 6)
    save_like(tmp_path / "c.nii", np.ones((4, 5, 6, 2), np.float32), path)
    assert nib.load(tmp_path / "c.nii").shape == (4, 5, 6, 2)


def test_another_shape_is_refused(tmp_path):
    path = save_scan(tmp_path / "a.nii", noise())
    with pytest.raises(ValueError, match="shape"):
        save_like(tmp_path / "b.nii", np.ones((2, 2, 2)), path)


def test_saved_images_have_both_forms_equal(tmp_path):
    affine = oriented("RAS", (1, 1, 1), (5, 5, 5), (10, 20, 5))
    save(tmp_path / "a.nii.gz", noise((5, 5, 5)), affine)
    header = nib.load(tmp_path / "a.nii.gz").header
    assert np.allclose(header.get_qform(coded=True)[0], affine, atol=1e-4)
    assert np.allclose(header.get_sform(coded=True)[0], affine, atol=1e-4)
    assert [p.name for p in tmp_path.iterdir()] == ["a.nii.gz"]


@pytest.mark.parametrize("place", [0.2, 0.5, 0.9])
def test_a_changed_byte_in_a_gzip_is_never_read_as_an_image(tmp_path, place):
    path = save_scan(tmp_path / "a.nii.gz", noise((30, 30, 30)))
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= 0x10
    path.write_bytes(data)
    with pytest.raises(ScanError, match="a.nii.gz"):
        read_scan(path)


@pytest.mark.parametrize("unit", ["meter", "micron"])
def test_lengths_in_other_units_are_not_taken_for_millimetres(tmp_path, unit):
    image = nib.Nifti1Image(noise(), np.eye(4))
    image.header.set_xyzt_units(unit)
    nib.save(image, tmp_path / "a.nii")
    with pytest.raises(ScanError, match=f"in {unit}") as error:
        read_scan(tmp_path / "a.nii")
    assert error.value.status == "header-conflict"


@pytest.mark.parametrize("spacing", [1e-3, 1e3])
def test_a_field_of_view_that_no_head_has(tmp_path, spacing):
    path = save_scan(tmp_path / "a.nii", noise(), np.diag([spacing] * 3 + [1]))
    with pytest.raises(ScanError, match="field of view"):
        read_scan(path)


def test_a_form_that_is_not_asked_for_may_be_wrong(tmp_path):
    path = save_scan(tmp_path / "a.nii", noise())
    header = bytearray(path.read_bytes())
    header[256:268] = np.array([2, 2, 2], np.float32).tobytes()  # no quaternion
    path.write_bytes(header)
    assert read_scan(path, "sform").shape == (12, 13, 14)
    with pytest.raises(ScanError, match="not valid"):
        read_scan(path, "strict")


def packed_scan(path, shape=(30, 30, 30)):
    return save_scan(path, noise(shape))


def test_a_gzip_of_several_members_or_with_zeros_behind_is_read_whole(tmp_path):
    path = packed_scan(tmp_path / "a.nii.gz")
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
        lambda data: data[:-1],  # the length, and then the checksum, are cut
        lambda data: data[:-8],
        lambda data: data[:-8] + bytes([data[-8] ^ 1]) + data[-7:],  # or wrong
        lambda data: data[:-1] + bytes([data[-1] ^ 1]),
        lambda data: data + b"more",
        lambda data: data[: len(data) // 2],
        lambda data: data[:5],
        lambda data: b"",
    ],
)
def test_a_gzip_is_read_to_its_end_and_held_against_its_checksum(tmp_path, damage, read):
    path = packed_scan(tmp_path / "a.nii.gz")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ScanError, match="a.nii.gz"):
        read(path)


def test_a_whole_gzip_of_too_few_voxels_is_an_error(tmp_path):
    path = packed_scan(tmp_path / "a.nii.gz")
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-4]))
    with pytest.raises(ScanError, match="a.nii.gz.* 4 bytes are missing"):
        read_scan(path)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_what_is_saved_is_loaded_as_it_was_and_packs_to_the_same_bytes(tmp_path, dtype, name):
    data = noise((6, 7, 8, 2), dtype=dtype)
    for folder in ("one", "two"):
        save(tmp_path / folder / name, data, np.eye(4))
    image = load(tmp_path / "one" / name)
    assert image.get_data_dtype() == dtype == np.asanyarray(image.dataobj).dtype
    assert np.array_equal(image.dataobj, data)
    assert image.get_filename() == str(tmp_path / "one" / name)
    assert len({(tmp_path / f / name).read_bytes() for f in ("one", "two")}) == 1


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_scaled_numbers_are_those_of_nibabel_however_they_are_packed(tmp_path, name):
    numbers = np.random.default_rng(0).integers(-30000, 30000, (9, 8, 7)).astype(np.int16)
    path = save_scan(tmp_path / name, numbers, slope=(0.123456789, -7.3))
    theirs = np.asarray(nib.load(path).dataobj, np.float32)
    assert np.array_equal(read_scan(path).dataobj, theirs)


def test_a_temporary_is_mapped_into_memory_and_not_read(tmp_path):
    save(tmp_path / "a.nii", noise(), np.eye(4))
    assert isinstance(np.asanyarray(load(tmp_path / "a.nii").dataobj), np.memmap)
