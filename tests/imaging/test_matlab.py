"""MATLAB images: read as they are stored, placed as the card says, refused when they are no image."""

import h5py
import numpy as np
import pytest
import scipy.io
from nibabel.orientations import aff2axcodes

from lesionflow.base.errors import ScanError
from lesionflow.cohort.header_check import inspect
from lesionflow.imaging.matlab import inspect_matlab, read_matlab
from support.volumes import CODES

WANTED = {"variable": "vol", "orientation": "ILA", "spacing_mm": [1, 1, 1]}
DATA = np.arange(2 * 3 * 4).reshape(2, 3, 4)


def new_format(path, data, name="vol"):
    """As MATLAB writes version 7.3: 512 bytes of its own, then HDF5 with the axes the other way round."""
    with h5py.File(path, "w", userblock_size=512) as file:
        file[name] = data.T
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(512))
    return path


def old_format(path, data, name="vol"):
    scipy.io.savemat(path, {name: data, "other": "text"}, do_compression=True)
    return path


@pytest.mark.parametrize("write", [old_format, new_format])
@pytest.mark.parametrize("dtype", ["u1", "i2", "f4", "f8", "bool"])
def test_the_array_as_it_is_stored(tmp_path, write, dtype):
    path = write(tmp_path / "a.mat", DATA.astype(dtype))
    image = read_matlab(path, WANTED)
    np.testing.assert_array_equal(np.asanyarray(image.dataobj), DATA.astype(dtype))
    assert aff2axcodes(image.affine) == ("I", "L", "A")
    assert image.header["sform_code"] == image.header["qform_code"] == 1
    assert inspect(path, variable="vol").status == "ok"


def test_the_middle_is_the_worlds_origin(tmp_path):
    path = old_format(tmp_path / "a.mat", DATA)
    for code in CODES:
        image = read_matlab(path, {**WANTED, "orientation": code, "spacing_mm": [1, 2, 3]})
        assert "".join(aff2axcodes(image.affine)) == code
        np.testing.assert_allclose(image.affine @ [0.5, 1, 1.5, 1], [0, 0, 0, 1], atol=1e-6)
        np.testing.assert_allclose(image.header.get_zooms(), [1, 2, 3])


@pytest.mark.parametrize("write", [old_format, new_format])
def test_what_is_no_image(tmp_path, write):
    path = write(tmp_path / "a.mat", DATA)
    with pytest.raises(ScanError, match=r"no variable 'image', only \[.*'vol'"):
        inspect_matlab(path, "image")
    flat = write(tmp_path / "b.mat", DATA[0])
    with pytest.raises(ScanError, match="is no 3-D array of numbers"):
        read_matlab(flat, WANTED)
    waves = write(tmp_path / "c.mat", DATA + 1j)
    with pytest.raises(ScanError):
        read_matlab(waves, WANTED)
    assert inspect(path).status == "unreadable"
    assert "input.matlab" in inspect(path).reason


@pytest.mark.parametrize("write", [old_format, new_format])
@pytest.mark.parametrize("share", [0, 0.02, 0.5, 0.9])
def test_damaged_files(tmp_path, write, share):
    rng = np.random.default_rng(0)
    path = write(tmp_path / "a.mat", rng.random((20, 20, 20)))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ScanError):
        read_matlab(path, WANTED)


def test_the_mark_follows_the_content(tmp_path):
    path = old_format(tmp_path / "a.mat", DATA)
    first = inspect(path, variable="vol").content
    old_format(path, DATA + 1)
    assert inspect(path, variable="vol").content != first
    assert inspect(tmp_path / "none.mat", variable="vol").status == "missing-input"


def test_what_lies_in_another_file_is_not_read(tmp_path):
    (tmp_path / "raw.bin").write_bytes(DATA.astype("f8").tobytes())
    path = tmp_path / "a.mat"
    with h5py.File(path, "w") as file:
        external = [(str(tmp_path / "raw.bin"), 0, h5py.h5f.UNLIMITED)]
        file.create_dataset("vol", DATA.shape[::-1], "f8", external=external)
        file["other"] = h5py.ExternalLink(str(tmp_path / "b.h5"), "/vol")
    with pytest.raises(ScanError, match="no variable 'vol', only "):
        read_matlab(path, WANTED)
