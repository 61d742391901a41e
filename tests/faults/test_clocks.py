"""Clocks that are wrong or jump do not matter: identity is content, never a date."""

import os
import time

import pytest

from faults.worlds import SCANS, UNCOMPRESSED, copied, write_cohort, write_scan
from support.runs import jobs

pytestmark = pytest.mark.slow

TIMES = {"1970": 0, "1980": 315532800 + 3600, "in-ten-days": None}
PARTS = {
    "scans": ["run/bids"],
    "weights": ["card", "models"],
    "run": ["run/results", "run/work", "run/logs", "run/.snakemake"],
    "everything": ["run", "card", "models"],
}


def seconds(when):
    """A time of ``TIMES``, or an hour ago, as seconds since 1970."""
    relative = {"in-ten-days": 10 * 86400, "an-hour-ago": -3600}
    return time.time() + relative[when] if when in relative else TIMES[when]


def date(folder, when):
    """Give everything below a folder another time."""
    for path in [folder, *folder.rglob("*")]:
        try:
            os.utime(path, (seconds(when),) * 2, follow_symlinks=False)
        except FileNotFoundError:  # a run is on, whose temporary files come and go
            continue


@pytest.fixture(scope="module")
def undated(world, tmp_path_factory):
    """A finished run with its own card, weights and imports."""
    folder = tmp_path_factory.mktemp("dated")
    copied(world.card.parent, folder / "card")
    write_cohort(folder / "run/bids")
    config = {"models": folder / "card/tiny.yaml", "models_dir": folder / "models"}
    outcome = world.run(folder / "run", **config)
    assert outcome.status == 0, outcome.tail
    return folder, config


@pytest.fixture
def dated(undated):
    """The same, with times of an hour ago, which the test changes."""
    folder, config = undated
    date(folder, "an-hour-ago")
    return folder, config


def settled(world, directory, key="", **config):
    """One call has the right results, and the next one has nothing to do."""
    world.recovered(directory, None, key, **config)
    outcome = world.recovered(directory, None, key, **config)
    assert jobs(outcome.text) == {}, outcome.tail


@pytest.mark.parametrize("when", TIMES)
@pytest.mark.parametrize("part", PARTS)
def test_files_with_wrong_times(world, dated, inject, part, when):
    """Times of scans, results, weights or of everything are wrong; nothing else has changed."""
    folder, config = dated
    with inject(f"files dated {when}"):
        for name in PARTS[part]:
            date(folder / name, when)
        settled(world, folder / "run", **config)


@pytest.mark.parametrize("when", TIMES)
def test_a_scan_changes_among_files_with_wrong_times(world, tmp_path, inject, when):
    """Its new content counts, although its time may be before or after all others."""
    directory = copied(world.undisturbed()[0], tmp_path / "run")
    with inject(f"files dated {when}"):
        date(directory, when)
        path = write_scan(directory / "bids", UNCOMPRESSED, "b")
        os.utime(path, (seconds(when) - 5,) * 2)
        settled(world, directory, (UNCOMPRESSED,))


@pytest.mark.parametrize("when", TIMES)
def test_a_first_run_on_scans_with_wrong_times(world, tmp_path, inject, when):
    """Scans from the future or from 1970 are computed once."""
    copied(world.undisturbed(SCANS)[0] / "bids", tmp_path / "bids")
    with inject(f"files dated {when}"):
        date(tmp_path / "bids", when)
        settled(world, tmp_path, SCANS)


@pytest.mark.parametrize("when", TIMES)
@pytest.mark.parametrize("seed", [1])
def test_a_clock_that_jumps_during_a_run(world, tmp_path, rng, inject, when, seed):
    """All files written until a moment of the run get other times than those written after it."""
    copied(world.undisturbed(SCANS)[0] / "bids", tmp_path / "bids")
    with inject(f"clock that jumps from {when}"):
        call = world.call(tmp_path)
        moment = rng.uniform(0, world.seconds())
        running = call.runs_for(moment)
        date(tmp_path, when)
        print(f"the times changed after {moment:.2f} s, running: {running}")
        world.recovered(tmp_path, call.wait(), SCANS)
        settled(world, tmp_path, SCANS)
