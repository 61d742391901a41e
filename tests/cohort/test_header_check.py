"""Checks of files by their headers, and the cache of their results."""

import os

import nibabel as nib
import numpy as np
import pytest

from lesionflow.base.digests import code_digest
from lesionflow.base.file_digests import file_state
from lesionflow.cohort.header_check import HeaderCache, inspect
from support.paths import REPOSITORY
from support.volumes import in_two_members, noise, save_scan, truncate


def oblique(shift=0.0):
    affine = np.diag([-0.5, 0.5, 2, 1.0])
    affine[:3, 3] = [40 + shift, -50, -30]
    return affine


def test_valid_files_are_accepted(tmp_path):
    for name in ("a.nii", "a.nii.gz"):
        finding = inspect(save_scan(tmp_path / name, noise()))
        assert (finding.status, finding.reason) == ("ok", "")
    big_endian = nib.Nifti1Image(noise().astype(">f4"), np.eye(4), nib.Nifti1Header(endianness=">"))
    big_endian.set_sform(np.eye(4), 1)
    nib.save(big_endian, tmp_path / "b.nii")
    assert inspect(tmp_path / "b.nii").status == "ok"
    nib.save(nib.Nifti2Image(noise(), np.eye(4)), tmp_path / "c.nii.gz")
    assert inspect(tmp_path / "c.nii.gz").status == "ok"


def test_missing_empty_and_foreign_files_are_refused(tmp_path):
    assert inspect(tmp_path / "none.nii").status == "missing-input"
    (tmp_path / "empty.nii.gz").touch()
    assert "0 bytes" in inspect(tmp_path / "empty.nii.gz").reason
    (tmp_path / "text.nii").write_text("hello " * 200)
    assert "not a NIfTI" in inspect(tmp_path / "text.nii").reason
    (tmp_path / "text.nii.gz").write_text("hello " * 200)
    assert "not a gzip" in inspect(tmp_path / "text.nii.gz").reason
    (tmp_path / "folder.nii").mkdir()
    assert inspect(tmp_path / "folder.nii").status == "unreadable"
    (tmp_path / "short.nii").write_bytes(b"\x5c\x01\0\0")
    assert inspect(tmp_path / "short.nii").status == "unreadable"


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_truncated_files_are_unreadable(tmp_path, name, share):
    path = save_scan(tmp_path / name, noise())
    truncate(path, share)
    finding = inspect(path)
    assert finding.status == "unreadable"
    assert "truncated" in finding.reason or "cannot be read" in finding.reason


def test_a_gzip_file_of_several_members_is_valid(tmp_path):
    path = save_scan(tmp_path / "a.nii.gz", noise())
    in_two_members(path)
    assert inspect(path).status == "ok"


def test_4d_files_need_an_echo_and_2d_files_are_refused(tmp_path):
    four = save_scan(tmp_path / "four.nii", noise((5, 6, 7, 3)))
    assert "4-D with 3 volumes" in inspect(four).reason
    assert inspect(four, echo=3).status == "ok"
    assert "echo 4" in inspect(four, echo=4).reason
    single = save_scan(tmp_path / "one.nii", noise((5, 6, 7, 1)))
    assert inspect(single).status == "ok"
    flat = save_scan(tmp_path / "flat.nii", noise((5, 6)))
    assert "3-D" in inspect(flat).reason


def test_colours_and_complex_numbers_are_refused(tmp_path):
    rgb = np.zeros((4, 4, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    assert "colours" in inspect(save_scan(tmp_path / "rgb.nii", rgb)).reason
    complex_ = np.zeros((4, 4, 4), np.complex64)
    assert "complex" in inspect(save_scan(tmp_path / "c.nii", complex_)).reason


def test_sform_and_qform_that_differ_are_a_header_conflict(tmp_path):
    path = save_scan(tmp_path / "a.nii", noise(), oblique())
    image = nib.load(path, mmap=False)
    image.set_qform(oblique(2.0), 1)
    nib.save(image, path)
    finding = inspect(path)
    assert finding.status == "header-conflict"
    assert "2 mm" in finding.reason
    assert inspect(path, "sform").status == inspect(path, "qform").status == "ok"


def test_sform_and_qform_that_differ_by_rounding_agree(tmp_path):
    path = save_scan(tmp_path / "a.nii", noise(), oblique())
    image = nib.load(path, mmap=False)
    image.set_qform(oblique(5e-4), 1)
    nib.save(image, path)
    assert inspect(path).status == "ok"


def test_a_form_with_code_0_is_not_used(tmp_path):
    neither = save_scan(tmp_path / "a.nii", noise(), oblique(), sform=0, qform=0)
    assert inspect(neither).status == "header-conflict"
    assert "neither" in inspect(neither).reason
    for codes in ({"sform": 0}, {"qform": 0}):
        path = save_scan(tmp_path / "b.nii", noise(), oblique(), **codes)
        assert inspect(path).status == "ok"


def test_a_singular_affine_is_a_header_conflict(tmp_path):
    path = save_scan(tmp_path / "a.nii", noise(), qform=0)
    image = nib.load(path, mmap=False)
    image.header["srow_x"] = 0
    nib.Nifti1Image(noise(), None, image.header).to_filename(tmp_path / "b.nii")
    assert inspect(tmp_path / "b.nii").status == "header-conflict"


def test_a_file_is_checked_once_and_again_after_a_change(tmp_path, monkeypatch):
    path = save_scan(tmp_path / "a.nii.gz", noise())
    cache = HeaderCache(tmp_path / "headers.json")
    first = cache.inspect(path, "strict", None)
    cache.save()
    calls = []
    monkeypatch.setattr(
        "lesionflow.cohort.header_check.inspect", lambda *a: calls.append(a) or inspect(*a)
    )
    again = HeaderCache(tmp_path / "headers.json")
    assert again.inspect(path, "strict", None) == first
    assert calls == []
    truncate(path)
    changed = HeaderCache(tmp_path / "headers.json")
    assert changed.inspect(path, "strict", None).status == "unreadable"
    assert len(calls) == 1


def test_a_file_whose_size_and_date_were_kept_is_checked_again(tmp_path):
    path = save_scan(tmp_path / "a.nii", noise())
    cache = HeaderCache(tmp_path / "headers.json")
    assert cache.inspect(path, "strict", None).status == "ok"
    cache.save()
    state, content = path.stat(), bytearray(path.read_bytes())
    content[70:72] = b"\x80\x00"  # datatype: colours
    path.write_bytes(content)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert HeaderCache(tmp_path / "headers.json").inspect(path, "strict", None).status != "ok"


def test_the_state_of_a_file_is_that_from_before_its_check(tmp_path):
    path = save_scan(tmp_path / "a.nii", noise())
    cache = HeaderCache(tmp_path / "headers.json")
    cache.inspect(path, "strict", None)
    cache.inspect(tmp_path / "none.nii", "strict", None)
    assert cache.states == {str(path): file_state(path), str(tmp_path / "none.nii"): None}


def test_a_damaged_cache_counts_as_empty(tmp_path):
    (tmp_path / "headers.json").write_text('{"half')
    path = save_scan(tmp_path / "a.nii", noise())
    assert HeaderCache(tmp_path / "headers.json").inspect(path, "strict", None).status == "ok"


def test_files_that_could_not_be_opened_are_checked_again(tmp_path, monkeypatch):
    path = save_scan(tmp_path / "a.nii.gz", noise())
    cache = HeaderCache(tmp_path / "headers.json")

    def denied(*args, **kwargs):
        raise PermissionError("no")

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.open", denied)
        assert cache.inspect(path, "strict", None).status == "unreadable"
    cache.save()
    assert HeaderCache(tmp_path / "headers.json").inspect(path, "strict", None).status == "ok"


@pytest.mark.parametrize("text", ["[1]", "{}", '{"code": 1, "findings": 2}', "no"])
def test_a_cache_with_other_content_counts_as_empty(tmp_path, text):
    (tmp_path / "headers.json").write_text(text)
    assert HeaderCache(tmp_path / "headers.json").stored == set()


def test_headers_that_nibabel_cannot_read_are_unreadable(tmp_path):
    nib.save(nib.Nifti2Image(noise(), np.eye(4)), tmp_path / "two.nii")
    (tmp_path / "cut.nii").write_bytes((tmp_path / "two.nii").read_bytes()[:400])
    for name in ("cut.nii", "nul\0.nii"):
        assert inspect(tmp_path / name).status == "unreadable"
        assert HeaderCache(tmp_path / "m").inspect(tmp_path / name, "strict", None).reason


def test_a_file_name_without_the_extension_of_an_image_is_refused(tmp_path):
    save_scan(tmp_path / "a.nii.gz", noise()).rename(tmp_path / "a.gz")
    assert "ends in none of .nii, .nii.gz, .mgh" in inspect(tmp_path / "a.gz").reason


def test_findings_of_other_code_are_not_used():
    module = REPOSITORY / "scripts/lesionflow/cohort/header_check.py"
    code = HeaderCache(REPOSITORY / "none.json").code
    assert code == code_digest(module, REPOSITORY / "scripts")
    assert code != code_digest(module)  # without the modules that it imports
