"""MATLAB images: their arrays, the geometry of the card, and files that are refused."""

import h5py
import numpy as np
import pytest
import scipy.io
from nibabel.orientations import aff2axcodes

from lesionflow.base.errors import ScanError
from lesionflow.cohort.header_check import inspect
from lesionflow.imaging.matlab import inspect_matlab, read_matlab
from support.volumes import CODES

SPEC = {"variable": "vol", "orientation": "ILA", "spacing_mm": [1, 1, 1]}
DATA = np.arange(2 * 3 * 4).reshape(2, 3, 4)


def save_version_7_3(path, data, name="vol"):
    """Write a file as MATLAB does in version 7.3: a header of 512 bytes, then HDF5 with the axes reversed."""
    with h5py.File(path, "w", userblock_size=512) as file:
        file[name] = data.T
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(512))
    return path


def save_version_5(path, data, name="vol"):
    scipy.io.savemat(path, {name: data, "other": "text"}, do_compression=True)
    return path


@pytest.mark.parametrize("write", [save_version_5, save_version_7_3])
@pytest.mark.parametrize("dtype", ["u1", "i2", "f4", "f8", "bool"])
def test_the_array_is_read_as_it_is_stored(tmp_path, write, dtype):
    path = write(tmp_path / "a.mat", DATA.astype(dtype))
    image = read_matlab(path, SPEC)
    np.testing.assert_array_equal(np.asanyarray(image.dataobj), DATA.astype(dtype))
    assert aff2axcodes(image.affine) == ("I", "L", "A")
    assert image.header["sform_code"] == image.header["qform_code"] == 1
    assert inspect(path, variable="vol").status == "ok"


def test_the_centre_of_the_array_is_the_world_origin(tmp_path):
    path = save_version_5(tmp_path / "a.mat", DATA)
    for code in CODES:
        image = read_matlab(path, {**SPEC, "orientation": code, "spacing_mm": [1, 2, 3]})
        assert "".join(aff2axcodes(image.affine)) == code
        np.testing.assert_allclose(image.affine @ [0.5, 1, 1.5, 1], [0, 0, 0, 1], atol=1e-6)
        np.testing.assert_allclose(image.header.get_zooms(), [1, 2, 3])


@pytest.mark.parametrize("write", [save_version_5, save_version_7_3])
def test_variables_that_are_not_images_are_refused(tmp_path, write):
    path = write(tmp_path / "a.mat", DATA)
    with pytest.raises(ScanError, match=r"no variable 'image', only \[.*'vol'"):
        inspect_matlab(path, "image")
    flat = write(tmp_path / "b.mat", DATA[0])
    with pytest.raises(ScanError, match="is not a 3-D array of numbers"):
        read_matlab(flat, SPEC)
    complex_ = write(tmp_path / "c.mat", DATA + 1j)
    with pytest.raises(ScanError):
        read_matlab(complex_, SPEC)
    assert inspect(path).status == "unreadable"
    assert "input.matlab" in inspect(path).reason


@pytest.mark.parametrize("write", [save_version_5, save_version_7_3])
@pytest.mark.parametrize("share", [0, 0.02, 0.5, 0.9])
def test_truncated_files_are_refused(tmp_path, write, share):
    rng = np.random.default_rng(0)
    path = write(tmp_path / "a.mat", rng.random((20, 20, 20)))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ScanError):
        read_matlab(path, SPEC)


def test_a_missing_file_is_a_missing_input(tmp_path):
    assert inspect(tmp_path / "none.mat", variable="vol").status == "missing-input"


def test_data_in_another_file_are_not_read(tmp_path):
    (tmp_path / "raw.bin").write_bytes(DATA.astype("f8").tobytes())
    path = tmp_path / "a.mat"
    with h5py.File(path, "w") as file:
        external = [(str(tmp_path / "raw.bin"), 0, h5py.h5f.UNLIMITED)]
        file.create_dataset("vol", DATA.shape[::-1], "f8", external=external)
        file["other"] = h5py.ExternalLink(str(tmp_path / "b.h5"), "/vol")
    with pytest.raises(ScanError, match="no variable 'vol', only "):
        read_matlab(path, SPEC)
