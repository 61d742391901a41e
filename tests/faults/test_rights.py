"""Folders that may not be read or written stop a run with a plain message, and cost nothing once they may."""

import os
import re
import shutil
import stat
import subprocess

import pytest

from faults.outcomes import differences
from faults.worlds import SCANS, copied, write_cohort, write_scan

pytestmark = pytest.mark.slow

CHANGED = ("sub-01_ses-1",)
CAPABILITIES = "-dac_override,-dac_read_search"


@pytest.fixture(scope="module")
def ordinary():
    """Words before a command that obeys the rights of files, also if root runs the tests."""
    if os.geteuid() != 0:
        return []
    words = ["setpriv", f"--bounding-set={CAPABILITIES}"]
    if shutil.which("setpriv") is None:
        pytest.skip("root may write everywhere, and there is no setpriv command")
    if subprocess.run([*words, "true"], check=False, capture_output=True).returncode:
        pytest.skip("setpriv may not drop root's capabilities here")
    return words


@pytest.fixture
def forbid(tmp_path):
    """A function that takes rights from a folder and everything in it, and one that gives them back."""
    taken = []

    def forbid(folder, bits):
        for path in [*sorted(folder.rglob("*"), reverse=True), folder]:
            if not path.is_symlink():
                mode = stat.S_IMODE(path.stat().st_mode)
                taken.append((path, mode))
                path.chmod(mode & ~bits)

    def allow():
        while taken:
            path, mode = taken.pop()
            if path.exists():
                path.chmod(mode)

    yield forbid, allow
    allow()


WRITE = 0o222
ALL = 0o777
RIGHTS = re.compile(
    "permission|permitted|read-only|writable|write-protected|cannot be|not readable|denied", re.I
)


def refused(outcome, folder):
    """The call ended with an error that names the folder, without a traceback."""
    print(f"the call without rights ended with {outcome.status}")
    assert outcome.status != 0, outcome.tail
    assert "Traceback" not in outcome.text, outcome.tail
    lines = outcome.text.splitlines()
    places = [number for number, line in enumerate(lines) if folder in line]
    near = [" ".join(lines[max(0, number - 5) : number + 1]) for number in places]
    assert any(RIGHTS.search(text) for text in near), (
        f"nothing says that {folder} may not be used:\n{outcome.tail}"
    )


@pytest.mark.parametrize(
    ("folder", "state"),
    [
        pytest.param("results", "changed", marks=pytest.mark.selected),
        ("results", "new"),
        ("work", "changed"),
        ("work", "new"),
        ("logs", "changed"),
        ("logs", "new"),
    ],
)
def test_a_folder_of_the_working_directory_is_read_only(
    world, ordinary, forbid, tmp_path, inject, folder, state
):
    """A run that has something to write there ends with a message."""
    forbid, allow = forbid
    if state == "changed":
        directory = copied(world.undisturbed()[0], tmp_path / "run")
        write_scan(directory / "bids", CHANGED[0], "b")
        key = CHANGED
    else:
        directory, key = tmp_path / "run", SCANS
        copied(world.undisturbed(SCANS)[0] / "bids", directory / "bids")
        (directory / folder).mkdir()
    with inject("read-only folder of the working directory"):
        forbid(directory / folder, WRITE)
        outcome = world.run(directory, before=ordinary)
        allow()
        refused(outcome, folder)
        world.recovered(directory, outcome, key)


def test_the_working_directory_is_read_only(world, ordinary, forbid, tmp_path, inject):
    """Nothing can be made in it."""
    forbid, allow = forbid
    directory = tmp_path / "run"
    copied(world.undisturbed(SCANS)[0] / "bids", directory / "bids")
    with inject("read-only working directory"):
        forbid(directory, WRITE)
        outcome = world.run(directory, before=ordinary)
        allow()
        refused(outcome, str(directory))
        world.recovered(directory, outcome, SCANS)


def test_a_read_only_models_dir_with_the_imports(world, ordinary, forbid, tmp_path, inject):
    """A shared folder that somebody else has filled is enough."""
    forbid, allow = forbid
    copied(world.undisturbed(SCANS)[0] / "bids", tmp_path / "bids")
    models_dir = copied(world.models_dir, tmp_path / "models")
    with inject("read-only models_dir with the imports"):
        forbid(models_dir, WRITE)
        world.recovered(tmp_path, None, SCANS, before=ordinary, models_dir=models_dir)


def test_a_read_only_models_dir_without_the_imports(world, ordinary, forbid, tmp_path, inject):
    """The message names models_dir."""
    forbid, allow = forbid
    copied(world.undisturbed(SCANS)[0] / "bids", tmp_path / "bids")
    models_dir = tmp_path / "models"
    models_dir.mkdir()
    with inject("read-only models_dir without the imports"):
        forbid(models_dir, WRITE)
        outcome = world.run(tmp_path, before=ordinary, models_dir=models_dir)
        allow()
        refused(outcome, str(models_dir))
        world.recovered(tmp_path, outcome, SCANS, models_dir=models_dir)


def test_an_unreadable_models_dir(world, ordinary, forbid, tmp_path, inject):
    """The imports cannot be looked at."""
    forbid, allow = forbid
    copied(world.undisturbed(SCANS)[0] / "bids", tmp_path / "bids")
    models_dir = copied(world.models_dir, tmp_path / "models")
    with inject("unreadable models_dir"):
        forbid(models_dir, ALL)
        outcome = world.run(tmp_path, before=ordinary, models_dir=models_dir)
        allow()
        refused(outcome, str(models_dir))
        world.recovered(tmp_path, outcome, SCANS, models_dir=models_dir)


@pytest.mark.parametrize("state", ["changed", "new"])
def test_an_unreadable_cohort(world, ordinary, forbid, tmp_path, inject, state):
    """A cohort that cannot be listed is not an empty one."""
    forbid, allow = forbid
    directory = tmp_path / "run"
    if state == "changed":
        copied(world.undisturbed()[0], directory)
        write_scan(directory / "bids", CHANGED[0], "b")
    else:
        write_cohort(directory / "bids", CHANGED)
    with inject("unreadable cohort"):
        forbid(directory / "bids", ALL)
        outcome = world.run(directory, before=ordinary)
        allow()
        refused(outcome, "bids")
        world.recovered(directory, outcome, CHANGED)


@pytest.mark.parametrize("what", ["folder", "file"])
def test_an_unreadable_scan(world, ordinary, forbid, tmp_path, inject, what):
    """It has a row that says so, or the run fails; the others have their numbers; then nothing is missing."""
    forbid, allow = forbid
    directory = copied(world.undisturbed()[0], tmp_path / "run")
    folder = directory / "bids/sub-02"
    with inject("unreadable scan"):
        for path in [folder] if what == "folder" else folder.rglob("*.nii*"):
            forbid(path, ALL)
        outcome = world.run(directory, before=ordinary)
        print(f"the call without rights ended with {outcome.status}")
        assert "Traceback" not in outcome.text, outcome.tail
        table = (directory / "results/cohort.csv").read_text()
        assert "sub-02" in outcome.text or "sub-02" in table, outcome.tail
        if outcome.status == 0 and differences(directory, world.undisturbed()[1]):
            assert "sub-02,02,,,ok" not in table, outcome.tail
        allow()
        world.recovered(directory, None)
