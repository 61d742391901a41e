"""A run that was killed at any moment needs one more call of the same command, and no manual step."""

import os
import signal
import time
from contextlib import suppress

import pytest

from faults.worlds import SCANS, copied, write_scan

pytestmark = pytest.mark.slow

CHANGED = ("sub-01_ses-1", "sub-02")


def seeds(number, selected=None):
    """Seeds from 1, of which one may belong to the short selection."""
    marks = {selected: [pytest.mark.selected]}
    return [pytest.param(seed, marks=marks.get(seed, [])) for seed in range(1, number + 1)]


@pytest.fixture
def begin(world, tmp_path, rng):
    """Put a working directory into one of two states: new, or with a finished run of an older cohort."""

    def begin():
        """Working directory, and the scans in version b after the change."""
        number = len(list(tmp_path.iterdir()))
        if rng.random() < 0.4:
            directory = copied(world.undisturbed()[0], tmp_path / f"run-{number}")
            for scan in CHANGED:
                write_scan(directory / "bids", scan, "b")
            print("in a directory with an older run, of which two scans have changed")
            return directory, CHANGED
        directory = tmp_path / f"run-{number}"
        bids = world.undisturbed(SCANS)[0] / "bids"
        copied(bids, directory / "bids")
        print("in a new directory")
        return directory, SCANS

    return begin


def strike(world, begin, rng, blow, **config):
    """Start runs until ``blow(call)`` hits a running one at a random moment; returns its directory and outcome."""
    longest = world.seconds()
    for _ in range(6):
        directory, key = begin()
        call = world.call(directory, **config)
        moment = rng.uniform(0, longest)
        if call.runs_for(moment) and blow(call):
            print(f"{moment:.2f} s after the start")
            return directory, key, call.wait()
        outcome = call.wait()
        print(f"too late after {moment:.2f} s")
        assert outcome.status == 0, outcome.tail
        longest = moment
    raise AssertionError("no run was hit")


@pytest.mark.parametrize("seed", seeds(10, selected=4))
def test_a_kill_of_the_main_process(world, begin, rng, inject, seed):
    """Servers and jobs of the killed run may still run when the next call starts."""

    def blow(call):
        call.signal(signal.SIGKILL)
        return True

    with inject("SIGKILL of the main process"):
        directory, key, outcome = strike(world, begin, rng, blow)
        world.recovered(directory, outcome, key)


@pytest.mark.parametrize("seed", seeds(8))
def test_a_kill_of_the_process_group(world, begin, rng, inject, seed):
    """All processes of the group end at once, as if the machine had lost its power for them."""

    def blow(call):
        call.signal(signal.SIGKILL, group=True)
        return True

    with inject("SIGKILL of the process group"):
        directory, key, outcome = strike(world, begin, rng, blow)
        world.recovered(directory, outcome, key)


@pytest.mark.parametrize("seed", seeds(4))
def test_a_kill_of_every_process(world, begin, rng, inject, seed):
    """The main process, the servers and their jobs end within milliseconds, in any order."""

    def blow(call):
        victims = [call.pid, *call.helpers()]
        rng.shuffle(victims)
        for pid in victims:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return True

    with inject("SIGKILL of every process of a run"):
        directory, key, outcome = strike(world, begin, rng, blow)
        world.recovered(directory, outcome, key)


@pytest.mark.parametrize("seed", seeds(9, selected=1))
def test_a_kill_of_a_process_of_a_job(world, begin, rng, inject, seed):
    """The run goes on without the process, or fails; a job without a result never counts as done."""

    def blow(call):
        end = time.monotonic() + 30
        while call.running and time.monotonic() < end:
            if helpers := call.helpers():
                victim = rng.choice(sorted(helpers))
                with suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
                    print(f"one of {len(helpers)} processes of jobs was killed")
                    return True
            time.sleep(0.02)
        return False

    with inject("SIGKILL of a process of a job"):
        directory, key, outcome = strike(world, begin, rng, blow)
        print(f"the disturbed call ended with {outcome.status}")
        world.recovered(directory, outcome, key)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
@pytest.mark.parametrize("seed", seeds(2))
def test_a_signal_to_the_main_process(world, begin, rng, inject, seed, number):
    """A run that is told to stop ends with an error, and the next call completes it."""

    def blow(call):
        call.signal(number)
        return True

    with inject(f"{number.name} to the main process"):
        directory, key, outcome = strike(world, begin, rng, blow)
        print(f"the disturbed call ended with {outcome.status}")
        world.recovered(directory, outcome, key)


@pytest.mark.parametrize("victim", ["main", "group", "job"])
@pytest.mark.parametrize("seed", seeds(2))
def test_a_kill_during_the_import_of_weights(world, tmp_path, rng, inject, seed, victim):
    """A half-written import is never used: the next call imports the fold again."""
    seconds = 3 * world.seconds()  # an import starts TensorFlow
    copied(world.undisturbed(SCANS)[0] / "bids", tmp_path / "bids")
    with inject("SIGKILL during the import of weights"):
        config = {"models_dir": tmp_path / "models"}
        call = world.call(tmp_path, **config)
        assert call.says("rule import_fold:")
        moment = rng.uniform(0, seconds)
        hit = call.runs_for(moment)
        helpers = call.helpers()
        if victim == "job" and helpers:
            with suppress(ProcessLookupError):
                os.kill(rng.choice(sorted(helpers)), signal.SIGKILL)
        else:
            call.signal(signal.SIGKILL, group=victim == "group")
        print(f"{victim} killed {moment:.2f} s after the first import began, running: {hit}")
        world.recovered(tmp_path, call.wait(), SCANS, **config)


@pytest.mark.parametrize("victim", ["main", "group", "job"])
@pytest.mark.parametrize("seed", seeds(2))
def test_a_kill_while_tables_and_report_are_written(world, tmp_path, rng, inject, seed, victim):
    """Tables of an older run never pass for those of the killed one."""
    directory = copied(world.undisturbed()[0], tmp_path / "run")
    for scan in CHANGED:
        write_scan(directory / "bids", scan, "b")
    if rng.random() < 0.5:
        for name in ("cohort.csv", "report.html", "lesions.csv"):
            (directory / "results" / name).unlink()
    with inject("SIGKILL while tables and report are written"):
        call = world.call(directory)
        step = rng.choice(["aggregate", "report"])
        assert call.says(f"rule {step}:")
        moment = rng.uniform(0, 0.4)
        hit = call.runs_for(moment)
        helpers = call.helpers()
        if victim == "job" and helpers:
            with suppress(ProcessLookupError):
                os.kill(rng.choice(sorted(helpers)), signal.SIGKILL)
        else:
            call.signal(signal.SIGKILL, group=victim == "group")
        print(f"{victim} killed {moment:.2f} s after the start of {step}, running: {hit}")
        world.recovered(directory, call.wait(), CHANGED)
