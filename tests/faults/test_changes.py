"""Scans and weights that change between calls, or while a run is on: identity is content."""

import os
import shutil
import time

import pytest

from faults.outcomes import differences, wrong_tables
from faults.worlds import SCANS, UNCOMPRESSED, copied, scan_path, write_cohort, write_scan
from support.cohorts import save_network
from support.runs import jobs

pytestmark = pytest.mark.slow

DAY_S = 86400


@pytest.fixture
def fresh(world, tmp_path):
    """A new working directory with the cohort in version a, and the same scans in version b elsewhere."""
    world.undisturbed()
    write_cohort(tmp_path / "run/bids")
    write_cohort(tmp_path / "other", SCANS)
    return tmp_path / "run", tmp_path / "other"


def replace(path, new, in_place):
    """Replace a file's content, by a rename or while readers may have it open."""
    if in_place:
        data = new.read_bytes()
        with path.open("r+b") as file:
            file.write(data[: len(data) // 2])
            file.flush()
            time.sleep(0.05)
            file.write(data[len(data) // 2 :])
            file.truncate()
    else:
        shutil.copyfile(new, partial := path.with_name(".new"))
        partial.replace(path)


def ended_as_one_of(directory, outcome, *allowed):
    """A call that ended well wrote the tables of one of these undisturbed runs, never a mixture."""
    print(f"the disturbed call ended with {outcome.status}")
    if outcome.status == 0:
        assert not wrong_tables(directory, *allowed), f"tables of no cohort:\n{outcome.tail}"


@pytest.mark.parametrize(
    ("in_place", "seed"),
    [(False, seed) for seed in range(1, 4)]
    + [pytest.param(True, 1, marks=pytest.mark.selected)]
    + [(True, seed) for seed in range(2, 4)],
)
def test_a_scan_replaced_during_a_run(world, fresh, rng, inject, in_place, seed):
    """The run never mixes two contents of a scan, and the next call has the numbers of the new one."""
    directory, other = fresh
    scan, moment = rng.choice(SCANS), rng.uniform(0, world.seconds())
    with inject("scan replaced during a run"):
        call = world.call(directory)
        running = call.runs_for(moment)
        path = scan_path(directory / "bids", scan)
        replace(path, scan_path(other, scan), in_place)
        print(f"{scan} replaced after {moment:.2f} s, in place: {in_place}, running: {running}")
        before, after = world.undisturbed()[0], world.undisturbed((scan,))[0]
        ended_as_one_of(directory, call.wait(), before, after)
        world.recovered(directory, None, (scan,))


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("seed", range(1, 3))
def test_a_scan_replaced_and_put_back_during_a_run(world, fresh, rng, inject, in_place, seed):
    """What was computed from the content in between does not stay."""
    directory, other = fresh
    scan = rng.choice(SCANS)
    first, second = sorted(rng.uniform(0, world.seconds()) for _ in "12")
    path = scan_path(directory / "bids", scan)
    saved, times = shutil.copyfile(path, directory / "saved"), path.stat()
    with inject("scan replaced and put back during a run"):
        call = world.call(directory)
        call.runs_for(first)
        replace(path, scan_path(other, scan), in_place)
        call.runs_for(second - first)
        replace(path, saved, in_place)
        if keep := rng.random() < 0.5:
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        print(f"{scan} was another one from {first:.2f} to {second:.2f} s; old mtime: {keep}")
        before, after = world.undisturbed()[0], world.undisturbed((scan,))[0]
        ended_as_one_of(directory, call.wait(), before, after)
        world.recovered(directory, None)


@pytest.mark.parametrize("days", [0, -1, -10000], ids=["same-mtime", "older", "1990s"])
@pytest.mark.parametrize("again", [1, 2])
def test_a_scan_edited_with_its_size_and_time(world, tmp_path, inject, days, again):
    """A change of content is seen without a change of size or with an mtime that is not newer."""
    directory = copied(world.undisturbed()[0], tmp_path / "run")
    path = scan_path(directory / "bids", UNCOMPRESSED)
    times = path.stat()
    with inject("scan edited with its size and an old mtime"):
        for version in "ba"[:again]:
            write_scan(path.parents[2], UNCOMPRESSED, version)
            for file in path.parent.iterdir():
                mtime_ns = times.st_mtime_ns + days * DAY_S * 10**9
                os.utime(file, ns=(times.st_atime_ns, mtime_ns))
            assert path.stat().st_size == times.st_size
            world.recovered(directory, None, (UNCOMPRESSED,) if version == "b" else "")


def test_touched_scans(world, tmp_path, inject):
    """New times of all files of the cohort are no change."""
    directory = copied(world.undisturbed()[0], tmp_path / "run")
    with inject("touched scans", len(SCANS)):
        for path in (directory / "bids").rglob("*"):
            os.utime(path)
        outcome = world.recovered(directory, None)
        assert jobs(outcome.text) == {}, outcome.tail


@pytest.mark.parametrize("keep", [False, True], ids=["new-mtime", "old-mtime"])
def test_a_copied_cohort(world, tmp_path, inject, keep):
    """Another folder of the cohort is no change: no scan is computed again."""
    directory = copied(world.undisturbed()[0], tmp_path / "run")
    shutil.copytree(
        directory / "bids", tmp_path / "new", copy_function=shutil.copy2 if keep else shutil.copy
    )
    with inject("copied cohort"):
        shutil.rmtree(directory / "bids")
        outcome = world.recovered(directory, None, cohort=tmp_path / "new")
        assert "rule resample:" not in outcome.text, outcome.tail
        outcome = world.recovered(directory, None, cohort=tmp_path / "new")
        assert jobs(outcome.text) == {}, outcome.tail


def test_a_copied_working_directory(world, tmp_path, inject):
    """A finished run that was copied without its times needs nothing."""
    finished = world.undisturbed()[0]
    with inject("copied working directory"):
        shutil.copytree(finished, tmp_path / "run", copy_function=shutil.copy)
        outcome = world.recovered(tmp_path / "run", None)
        assert "rule resample:" not in outcome.text, outcome.tail


@pytest.fixture(scope="module")
def other_weights(tmp_path_factory, world):
    """Weights of the second fold that give other numbers, and the key of the undisturbed run with them."""
    folder = tmp_path_factory.mktemp("other-weights")
    copied(world.card.parent, folder / "card")
    save_network(folder / "fold-2", 0.9)
    shutil.rmtree(folder / "card/weights/fold-2")
    shutil.copytree(folder / "fold-2", folder / "card/weights/fold-2")
    config = {"models": folder / "card/tiny.yaml", "models_dir": folder / "models"}
    world.undisturbed("other weights", write_cohort, **config)
    return folder / "fold-2", "other weights"


@pytest.mark.parametrize(
    ("imported", "seed"),
    [(False, 1), (False, 2), (True, 1)],
    ids=["import-1", "import-2", "imported"],
)
def test_weights_changed_during_a_run(world, other_weights, tmp_path, rng, inject, imported, seed):
    """The next call has the numbers of the weights that lie beside the card by then."""
    weights, key = other_weights
    copied(world.card.parent, tmp_path / "card")
    fold = tmp_path / "card/weights/fold-2"
    config = {"models": tmp_path / "card/tiny.yaml", "models_dir": tmp_path / "models"}
    directory = tmp_path / "run"
    write_cohort(directory / "bids")
    if imported:
        (tmp_path / "before/bids").mkdir(parents=True)
        write_cohort(tmp_path / "before/bids", scans=SCANS[:1])
        assert world.run(tmp_path / "before", **config).status == 0
    with inject("weights changed during a run"):
        moment = rng.uniform(0, world.seconds() * (1 if imported else 3))
        call = world.call(directory, **config)
        running = call.runs_for(moment)
        if in_place := rng.random() < 0.5:
            for path in sorted(weights.rglob("*")):
                if path.is_file():
                    shutil.copyfile(path, fold / path.relative_to(weights))
        else:
            fold.rename(tmp_path / "old")
            copied(weights, fold)
        print(f"weights changed after {moment:.2f} s, in place: {in_place}, running: {running}")
        before, after = world.undisturbed()[0], world.undisturbed(key)[0]
        ended_as_one_of(directory, call.wait(), before, after)
        world.recovered(directory, None, key, **config)


def test_weights_changed_and_put_back(world, other_weights, tmp_path, inject):
    """With the first weights again, the numbers are the first ones again."""
    weights, key = other_weights
    copied(world.card.parent, tmp_path / "card")
    fold = tmp_path / "card/weights/fold-2"
    config = {"models": tmp_path / "card/tiny.yaml", "models_dir": tmp_path / "models"}
    directory = tmp_path / "run"
    write_cohort(directory / "bids")
    with inject("weights changed and put back", 2):
        for source, wanted in (
            (world.card.parent / "weights/fold-2", ""),
            (weights, key),
            (world.card.parent / "weights/fold-2", ""),
        ):
            shutil.rmtree(fold)
            copied(source, fold)
            outcome = world.run(directory, **config)
            assert outcome.status == 0, outcome.tail
            wrong = differences(directory, world.undisturbed(wanted)[1])
            assert not wrong, f"{wrong}\n{outcome.tail}"
