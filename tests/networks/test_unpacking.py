"""Weights in zip files: unpacked, or refused with one clear message."""

import stat
import zipfile
from pathlib import PurePosixPath

import pytest

from lesionflow.base.errors import WeightsError
from lesionflow.base.safe_path import is_inside
from lesionflow.networks.weights.archives import checked_members, members
from support.weight_files import folded, make_card, make_zip, unpack_first


def test_a_fold_that_is_not_in_the_zip(tmp_path):
    make_zip(tmp_path / "M.zip", {"M/fold_b/saved_model.pb": b""})
    with pytest.raises(WeightsError, match="M.zip: M/fold_a is not in it; it holds 1 entries"):
        unpack_first(make_card(), tmp_path)


def test_a_file_instead_of_a_folder_and_the_reverse(tmp_path):
    make_zip(tmp_path / "M.zip", {"M/fold_a": b"file", **folded("M/fold_b")})
    with pytest.raises(WeightsError, match="is not a folder, as savedmodel needs"):
        unpack_first(make_card(), tmp_path)
    with pytest.raises(WeightsError, match="is not a file, as keras-h5 needs"):
        unpack_first(make_card("M/fold_b", fmt="keras-h5"), tmp_path)


@pytest.mark.parametrize("share", [0.5, 0.99, 0])
def test_a_truncated_zip(tmp_path, share):
    make_zip(tmp_path / "M.zip", folded())
    content = (tmp_path / "M.zip").read_bytes()
    (tmp_path / "M.zip").write_bytes(content[: int(len(content) * share)])
    with pytest.raises(WeightsError, match="M.zip: is not a complete zip file"):
        unpack_first(make_card(), tmp_path)


def test_a_zip_with_a_flipped_byte(tmp_path):
    make_zip(tmp_path / "M.zip", folded(), zipfile.ZIP_STORED)
    data = (tmp_path / "M.zip").read_bytes().replace(b"graph", b"grapf")
    (tmp_path / "M.zip").write_bytes(data)
    with pytest.raises(WeightsError, match="saved_model.pb cannot be unpacked .*CRC"):
        unpack_first(make_card(), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["M.zip"]


def test_an_encrypted_zip(tmp_path):
    make_zip(tmp_path / "M.zip", {"M/fold_a/saved_model.pb": b"graph"}, zipfile.ZIP_STORED)
    data = bytearray((tmp_path / "M.zip").read_bytes())
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(magic) + offset] |= 1  # the flag in the entry's two headers
    (tmp_path / "M.zip").write_bytes(data)
    with pytest.raises(WeightsError, match="M/fold_a/saved_model.pb is encrypted"):
        unpack_first(make_card(), tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "M/fold_a/../../../evil",
        "/evil",
        "C:/evil",
        "C:evil",
        "\\evil",
        "M\\..\\..\\evil",
        "M/fold_a/variables/../../../../evil",
    ],
)
def test_an_entry_outside_the_folder_is_refused(tmp_path, name):
    models = tmp_path / "deep/models"
    models.mkdir(parents=True)
    make_zip(models / "M.zip", {**folded(), name: b"evil"})
    with pytest.raises(WeightsError, match="leaves the folder"):
        unpack_first(make_card(), models)
    assert not [p for p in tmp_path.rglob("*") if "evil" in p.name]


def test_an_entry_that_is_a_link_is_refused(tmp_path):
    make_zip(tmp_path / "M.zip", folded())
    link = zipfile.ZipInfo("M/fold_a/variables/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "M.zip", "a") as file:
        file.writestr(link, "/etc")
    with pytest.raises(WeightsError, match="is a link: refused"):
        unpack_first(make_card(), tmp_path)


def test_entry_names_inside_the_folder():
    assert all(is_inside(name) for name in ("a", "a/b..c", "a..", "..a/b", "v1/x.h5", "a b/(1)"))
    assert not any(is_inside(name) for name in ("", "..", "a/..", "/a", "//a/b", "D:a", "a\\b"))


def test_two_entries_of_the_same_name_are_ambiguous(tmp_path):
    make_zip(tmp_path / "M.zip", {**folded("x/fold_a"), **folded("y/fold_a")})
    assert members(tmp_path / "M.zip", PurePosixPath("M/fold_a")) == []
    assert len(members(tmp_path / "M.zip", PurePosixPath("x/fold_a"))) == 3
    with pytest.raises(WeightsError, match="M/fold_a is not in it"):
        checked_members(tmp_path / "M.zip", PurePosixPath("M/fold_a"))


def test_weights_larger_than_the_disk_space_are_refused(tmp_path, monkeypatch):
    make_zip(tmp_path / "M.zip", folded())
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Disk", (), {"free": 3}))
    with pytest.raises(WeightsError, match="unpacking takes 11 bytes, .* has 3 free"):
        unpack_first(make_card(), tmp_path)
