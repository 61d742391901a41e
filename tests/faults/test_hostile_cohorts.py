"""A cohort with everything that a file system can hold: good scans have the numbers that they have alone."""

import csv
import gzip
import os
import shutil
import socket
import struct
from contextlib import chdir

import nibabel as nib
import numpy as np
import pytest

from faults.outcomes import TABLES, differences
from faults.worlds import SCANS, write_cohort
from support.cohorts import AFFINE, add_scan, blobs
from support.volumes import save_scan, truncate

pytestmark = pytest.mark.slow

DATA = blobs([(8, 9, 5)])
LIMIT_S = 150


def place(cohort, subject):
    """Path for the scan of a subject that has a mask and no scan yet."""
    path = add_scan(cohort, f"sub-{subject}", DATA)
    path.unlink()
    return path


def with_affine(path, change):
    """Write a scan whose only affine, the sform, ``change`` edits, past the checks of nibabel."""
    save_scan(path, DATA, AFFINE, qform=0)
    raw = bytearray(gzip.decompress(path.read_bytes()))
    rows = np.frombuffer(bytes(raw[280:328]), "<f4").reshape(3, 4).copy()
    raw[280:328] = change(rows).astype("<f4").tobytes()
    path.write_bytes(gzip.compress(bytes(raw)))


def with_header(path, start, form, *values):
    """Write a scan and overwrite part of its header."""
    save_scan(path, DATA, AFFINE)
    raw = bytearray(gzip.decompress(path.read_bytes()))
    struct.pack_into(form, raw, start, *values)
    path.write_bytes(gzip.compress(bytes(raw)))


def listening(path):
    """A socket in the place of a scan."""
    with socket.socket(socket.AF_UNIX) as end, chdir(path.parent):  # a socket needs a short path
        end.bind(path.name)


def looping(path):
    path.symlink_to(path.with_name("b"))
    path.with_name("b").symlink_to(path)


BAD = {  # subject and what lies in the place of its scan
    "dangling": lambda path: path.symlink_to("nowhere.nii.gz"),
    "looping": looping,
    "itself": lambda path: path.symlink_to(path.name),
    "fifo": os.mkfifo,
    "socket": listening,
    "zero": lambda path: path.symlink_to("/dev/zero"),
    "null": lambda path: path.symlink_to("/dev/null"),
    "random": lambda path: path.symlink_to("/dev/urandom"),
    "folder": lambda path: path.mkdir(),
    "empty": lambda path: path.touch(),
    "text": lambda path: path.write_text("no image\n" * 100),
    "packedtext": lambda path: path.write_bytes(gzip.compress(b"no image\n" * 100)),
    "half": lambda path: truncate(save_scan(path, DATA, AFFINE)),
    "lastbyte": lambda path: truncate(save_scan(path, DATA, AFFINE), 0.999),
    "headeronly": lambda path: path.write_bytes(gzip.compress(packed_header())),
    "nan": lambda path: save_scan(path, np.full_like(DATA, np.nan), AFFINE),
    "infinite": lambda path: save_scan(path, np.full_like(DATA, np.inf), AFFINE),
    "zeros": lambda path: save_scan(path, np.zeros_like(DATA), AFFINE),
    "four": lambda path: save_scan(path, np.stack([DATA] * 3, -1), AFFINE),
    "five": lambda path: save_scan(path, np.stack([DATA] * 3, -1)[..., None, :], AFFINE),
    "two": lambda path: save_scan(path, DATA[..., 5], AFFINE),
    "complex": lambda path: save_scan(path, DATA.astype(np.complex64), AFFINE),
    "singular": lambda path: with_affine(path, lambda rows: rows * 0),
    "nanaffine": lambda path: with_affine(path, lambda rows: rows * np.nan),
    "hugeaffine": lambda path: with_affine(path, lambda rows: rows * 1e30),
    "tinyaffine": lambda path: with_affine(path, lambda rows: rows * 1e-30),
    "farscan": lambda path: with_affine(path, lambda rows: rows + [[0, 0, 0, 1e7]] * 3),
    "hugedim": lambda path: with_header(path, 40, "<4h", 3, 32767, 32767, 32767),
    "negativedim": lambda path: with_header(path, 40, "<4h", 3, -30, 32, 14),
    "manydims": lambda path: with_header(path, 40, "<h", 99),
    "datatype": lambda path: with_header(path, 70, "<2h", 9999, 77),
    "offset": lambda path: with_header(path, 108, "<f", 1e9),
    "nanslope": lambda path: with_header(path, 112, "<2f", np.nan, np.inf),
}
NOT_NECESSARILY_BAD = {
    "nanslope",
    "farscan",
}  # nibabel ignores such a slope; a scan may lie anywhere
NAMES = {  # odd names of good images: folder of the subject, file
    "spaces": ("sub-n1 b", "a scan_swi.nii.gz"),
    "quotes": ("sub-n2", 'it\'s "a" scan_swi.nii.gz'),
    "braces": ("sub-n3", "{scan}_swi.nii.gz"),
    "newline": ("sub-n4", "a\nb_swi.nii.gz"),
    "Latin-1": ("sub-n5", os.fsdecode(b"Jos\xe9_swi.nii.gz")),
    "long": ("sub-n6", "x" * 240 + "_swi.nii.gz"),
    "shell": ("sub-n7", "$(touch HACKED);`id`_swi.nii.gz"),
    "controls": ("sub-n8", "\x1b[31m\x07\t_swi.nii.gz"),
    "wildcards": ("sub-n9", "[a-z]*?_swi.nii.gz"),
}
SUBJECTS = {
    **{bad: f"sub-{bad}" for bad in BAD},
    **{name: subject for name, (subject, _) in NAMES.items()},
}


def packed_header():
    """The header of a scan without its voxels."""
    return nib.Nifti1Image(DATA, AFFINE).header.binaryblock + bytes(4)


def write_hostile(cohort):
    """A cohort with good scans and everything in ``BAD`` and ``NAMES``."""
    write_cohort(cohort)
    for subject, write in BAD.items():
        write(place(cohort, subject))
    for subject, name in NAMES.values():
        path = add_scan(None, "x", DATA, folder=cohort / subject / "anat")
        path.rename(path.with_name(name))
    (cohort / "sub-circle/anat").mkdir(parents=True)
    (cohort / "sub-circle/anat/up").symlink_to("../..")
    (cohort / "sub-01/circle").symlink_to(cohort)
    return cohort


@pytest.fixture(scope="module")
def hostile(world, tmp_path_factory):
    """Outcome, directory and rows of a run on the hostile cohort."""
    directory = tmp_path_factory.mktemp("hostile")
    write_hostile(directory / "bids")
    world.undisturbed()
    config = {"brain_mask": "provided"}
    outcome = world.call(directory, **config).wait(LIMIT_S)
    return outcome, directory, config


def rows(directory, name="cohort.csv"):
    """Rows of a table."""
    with (directory / "results" / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_good_scans_have_their_numbers(world, hostile, inject):
    """They are what they are in a cohort without the other scans."""
    outcome, directory, _ = hostile
    with inject("hostile cohort: good scans beside it", len(SCANS)):
        for name in ("cohort.csv", "lesions.csv"):
            ours = [row for row in rows(directory, name) if row["scan"] in SCANS]
            assert ours == rows(world.undisturbed()[0], name), outcome.tail
        alone = world.undisturbed()[1]
        files = {file: value for file, value in alone.items() if "/sub-0" in file}
        wrong = {
            file: what for file, what in differences(directory, files).items() if file in files
        }
        assert not wrong


@pytest.mark.parametrize("what", SUBJECTS)
def test_a_hostile_scan_is_named(hostile, inject, what):
    """It has a row with another status than ok, or the output names it."""
    outcome, directory, _ = hostile
    subject = SUBJECTS[what]
    with inject("hostile cohort: file in place of a scan" if what in BAD else "hostile name"):
        table = rows(directory)
        if what in BAD:
            named = [row for row in table if row["scan"] == subject]
        else:  # the workflow may spell an odd name in another way
            named = [row for row in table if row["scan"].startswith(subject.split(" ")[0])]
        assert named or subject in outcome.text, f"{subject} is nowhere:\n{outcome.tail}"
        if what in BAD and what not in NOT_NECESSARILY_BAD:
            assert "ok" not in [row["status"] for row in named], named
            counts = [row["cmb_count"] for row in named]
            assert not any(counts), named
        assert all(row["reason"] for row in named if row["status"] != "ok"), named


def test_names_are_not_commands(hostile, inject):
    """Nothing in a name is run, and no control character of it reaches the terminal."""
    outcome, directory, _ = hostile
    with inject("hostile cohort: whole run"):
        assert not list(directory.rglob("HACKED"))
        assert "\x07" not in outcome.text and "\x1b[31m\x07" not in outcome.text
        assert "The run failed" in outcome.text and "scans ok" in outcome.text, outcome.tail
        assert outcome.status == 1


def test_the_next_call_says_the_same(world, hostile, inject):
    """The tables of a second call are the same, and it does not hang either."""
    outcome, directory, config = hostile
    with inject("hostile cohort: second call"):
        tables = [(directory / "results" / name).read_bytes() for name in TABLES]
        again = world.call(directory, **config).wait(LIMIT_S)
        assert again.status == outcome.status, again.tail
        assert tables == [(directory / "results" / name).read_bytes() for name in TABLES]


@pytest.mark.parametrize("link", ["folder", "cohort"])
def test_a_cohort_behind_links(world, tmp_path, inject, link):
    """A linked cohort, or linked subjects, are the same cohort."""
    write_cohort(tmp_path / "real")
    if link == "cohort":
        (tmp_path / "bids").symlink_to(tmp_path / "real")
    else:
        (tmp_path / "bids").mkdir()
        for path in (tmp_path / "real").iterdir():
            (tmp_path / "bids" / path.name).symlink_to(path)
    with inject("cohort behind links"):
        world.recovered(tmp_path, None)


@pytest.mark.parametrize("what", ["fifo", "dangling", "zero", "folder"])
def test_a_hostile_mask(world, tmp_path, inject, what):
    """What lies in the place of a mask costs only the scan that it belongs to."""
    cohort = write_cohort(tmp_path / "bids")
    mask = cohort / "sub-02/anat/sub-02_desc-brain_mask.nii.gz"
    mask.unlink()
    BAD[what](mask)
    with inject("hostile mask"):
        outcome = world.call(tmp_path, brain_mask="provided").wait(LIMIT_S)
        assert "Traceback" not in outcome.text, outcome.tail
        table = rows(tmp_path)
        ours = [row for row in table if row["scan"] in SCANS[:2]]
        assert ours == rows(world.undisturbed()[0])[:2], outcome.tail
        assert [row["status"] for row in table if row["scan"] == "sub-02"] != ["ok"]
        if mask.is_dir() and not mask.is_symlink():
            shutil.rmtree(mask)
        else:
            mask.unlink()
        write_cohort(cohort)
        world.recovered(tmp_path, None)
