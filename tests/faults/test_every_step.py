"""The same faults in the steps that a plain cohort does not need: MATLAB images, computed masks, evaluation."""

import os
import random
import signal
from contextlib import suppress
from itertools import cycle

import pytest

from faults.calls import end_all
from faults.damages import DAMAGES, damage, kind, scan_of
from faults.disks import Balloon, mount, unmount
from faults.every_step import STEPS, TARGETS, write_cards, write_cohort_of_every_step
from faults.outcomes import differences
from faults.worlds import World, copied

pytestmark = pytest.mark.slow


class EveryStep(World):
    """A world whose calls run every step."""

    def __init__(self, root, card, models_dir, finder):
        super().__init__(root, card, models_dir)
        self.finder = finder

    def call(self, directory, *args, **options):
        options = {"brain_mask": self.finder, "cohort": "bids/scans.tsv", **options}
        return super().call(directory, *TARGETS, *args, **options)

    def finished(self):
        """Directory, results and seconds of the undisturbed run."""
        return self.undisturbed("", write_cohort_of_every_step)


@pytest.fixture(scope="module")
def every(tmp_path_factory):
    """A world with cards of its own, whose folds are imported."""
    root = tmp_path_factory.mktemp("every-step")
    card, finder = write_cards(root)
    world = EveryStep(root, card, root / "models", finder)
    world.finished()
    return world


def test_every_step_has_a_job(every):
    """The undisturbed run is what the other tests take it for."""
    logs = {path.relative_to(every.finished()[0] / "logs").parts[0] for path in all_logs(every)}
    assert set(STEPS) <= {name.removesuffix(".log") for name in logs}


def all_logs(every):
    return (every.finished()[0] / "logs").rglob("*.log")


@pytest.mark.parametrize("step", STEPS)
def test_a_disk_that_gets_full_as_a_step_begins(every, tmp_path, inject, step):
    """What the step could not write is made by the next call."""
    disk = mount(tmp_path / "disk")
    try:
        copied(every.finished()[0] / "bids", disk / "bids")
        with inject("disk full as a step begins"):
            call = every.call(disk)
            begun = call.says(f"rule {step}:")
            balloon = Balloon(disk)
            outcome = call.wait()
            print(f"full as {step} began ({begun}); the call ended with {outcome.status}")
            balloon.remove()
            every.recovered(disk, outcome)
    finally:
        end_all()
        unmount(disk)


@pytest.mark.parametrize(("step", "victim"), list(zip(STEPS, cycle(("main", "job")), strict=False)))
def test_a_kill_as_a_step_begins(every, tmp_path, rng, inject, step, victim):
    """The main process, or a process of a job, ends soon after the step has begun."""
    copied(every.finished()[0] / "bids", tmp_path / "bids")
    with inject(f"SIGKILL of {'the main process' if victim == 'main' else 'a process of a job'}"):
        call = every.call(tmp_path)
        begun = call.says(f"rule {step}:")
        running = call.runs_for(rng.uniform(0, 0.3))
        helpers = call.helpers()
        if victim == "job" and helpers:
            with suppress(ProcessLookupError):
                os.kill(rng.choice(sorted(helpers)), signal.SIGKILL)
        else:
            call.signal(signal.SIGKILL)
        outcome = call.wait()
        print(f"{victim} killed in {step} ({begun}, {running}); ended with {outcome.status}")
        every.recovered(tmp_path, outcome)


@pytest.mark.parametrize("how", DAMAGES)
def test_files_that_a_plain_cohort_does_not_have(every, tmp_path, inject, how):
    """Those of the MATLAB image, of the cleaned probabilities, and of the evaluation, each damaged alone."""
    finished, expected, _ = every.finished()
    words = ("desc-source_swi.nii", "desc-clean", "desc-truth", "evaluation")
    names = [name for name in expected if any(word in name for word in words)]
    assert len({kind(name) for name in names}) >= len(words)
    failures = []
    for number, batch in enumerate(apart(names)):
        rng = random.Random(f"{how}-{number}")
        directory = copied(finished, tmp_path / f"run-{number}")
        with inject(f"file of an optional step {how}", len(batch)) as fault:
            for name in batch:
                damage(directory / "results" / name, how, rng, keep := rng.random() < 0.5)
                print(f"{name}: {how}, old mtime: {keep}")
            outcome = every.run(directory)
            wrong = differences(directory, expected)
            fault.lost = len(set(batch) & set(wrong)) or int(bool(wrong or outcome.status))
            if fault.lost:
                failures.append(f"{batch}: status {outcome.status}, {wrong}")
    assert not failures, "\n".join(failures)


def apart(names):
    """One file of each kind, in groups without two files of a scan; a file of the cohort is alone."""
    groups, kinds = [], set()
    for name in sorted(names, key=scan_of_or_last):
        if kind(name) in kinds:
            continue
        kinds.add(kind(name))
        scan = scan_of(name)
        fitting = [g for g in groups if scan and all(scan_of(n) not in (None, scan) for n in g)]
        if fitting:
            fitting[0].append(name)
        else:
            groups.append([name])
    return groups


def scan_of_or_last(name):
    """Files of the first scan first, those of the cohort last."""
    return scan_of(name) or "~"
