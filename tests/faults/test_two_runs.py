"""Two runs at the same time, which share imported folds, a name of a model, or a working directory."""

import shutil

import pytest

from faults.outcomes import differences
from faults.worlds import SCANS, copied, write_cohort
from support.cohorts import save_network, write_card
from support.runs import jobs

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("seed", [1])
def test_two_working_directories_import_the_same_card(world, tmp_path, rng, inject, seed):
    """Both end well or by the next call; after that neither has anything to do."""
    world.undisturbed(SCANS)
    config = {"models_dir": tmp_path / "models"}
    keys = {tmp_path / "one": "", tmp_path / "two": SCANS}
    for directory, key in keys.items():
        write_cohort(directory / "bids", key)
    with inject("two runs that import the same card", 2):
        calls = {}
        for directory in keys:
            calls[directory] = world.call(directory, **config)
            calls[directory].runs_for(rng.uniform(0, 3))
        outcomes = {directory: call.wait() for directory, call in calls.items()}
        for directory, key in keys.items():
            outcome = outcomes[directory]
            print(f"{directory.name} ended with {outcome.status}")
            if outcome.status:
                print(outcome.tail)
                world.recovered(directory, outcome, key, **config)
            assert not differences(directory, world.undisturbed(key)[1])
        for directory, key in keys.items():
            outcome = world.recovered(directory, None, key, **config)
            assert jobs(outcome.text) == {}, outcome.tail


@pytest.fixture(scope="module")
def namesake(tmp_path_factory, world):
    """A card of the same name and version with other networks; its undisturbed run has the key ``namesake``."""
    folder = tmp_path_factory.mktemp("namesake")
    for number, factor in enumerate((0.95, 0.94, 0.93), start=1):
        save_network(folder / f"weights/fold-{number}", factor)
    card = write_card(folder)
    config = {"models": card, "models_dir": folder / "models"}
    world.undisturbed("namesake", write_cohort, **config)
    differ = differences(world.undisturbed()[0], world.undisturbed("namesake")[1])
    assert "lesions.csv" in differ
    return card


@pytest.mark.parametrize("together", [True, False], ids=["together", "in-turn"])
def test_two_cards_of_the_same_name_and_version(world, namesake, tmp_path, inject, together):
    """In one models_dir, each card gets the numbers of its own networks, also when they alternate."""
    models_dir = tmp_path / "models"
    runs = {"": (tmp_path / "one", world.card), "namesake": (tmp_path / "two", namesake)}
    world.undisturbed()
    for directory, _ in runs.values():
        write_cohort(directory / "bids")
    with inject("two cards of the same name and version", 2):
        if together:
            calls = {
                key: world.call(directory, models=card, models_dir=models_dir)
                for key, (directory, card) in runs.items()
            }
            outcomes = {key: call.wait() for key, call in calls.items()}
        else:
            outcomes = {
                key: world.run(directory, models=card, models_dir=models_dir)
                for key, (directory, card) in runs.items()
            }
        for key, (directory, card) in runs.items():
            expected, outcome = world.undisturbed(key)[1], outcomes[key]
            print(f"{directory.name} ended with {outcome.status}")
            if outcome.status == 0:
                wrong = differences(directory, expected)
                assert not wrong, f"{wrong}\n{outcome.tail}"
            world.recovered(directory, outcome, key, models=card, models_dir=models_dir)
        for key, (directory, card) in runs.items():  # each needs nothing after the other one
            outcome = world.recovered(directory, None, key, models=card, models_dir=models_dir)
            assert jobs(outcome.text) == {}, outcome.tail


def test_the_card_of_a_working_directory_is_replaced_by_its_namesake(
    world, namesake, tmp_path, inject
):
    """In one working directory and one models_dir, the tables follow the card."""
    directory, models_dir = tmp_path / "run", tmp_path / "models"
    write_cohort(directory / "bids")
    cards = {"": world.card, "namesake": namesake}
    with inject("two cards of the same name and version", 3):
        for key in ("", "namesake", ""):
            config = {"models": cards[key], "models_dir": models_dir}
            world.recovered(directory, None, world.undisturbed(key)[1], **config)


@pytest.mark.parametrize("seed", [1])
@pytest.mark.parametrize("second", ["dry-run-exclude", "dry-run-cohort", "start", "check"])
def test_another_call_in_the_working_directory_of_a_run(world, tmp_path, rng, inject, seed, second):
    """A dry run or a refused start does not disturb a run; the run ends as if it had been alone."""
    directory = tmp_path / "run"
    write_cohort(directory / "bids")
    copied(world.undisturbed(SCANS)[0] / "bids", tmp_path / "other")
    args, config = {
        "dry-run-exclude": (["--dry-run"], {"exclude": "sub-02"}),
        "dry-run-cohort": (["--dry-run"], {"cohort": tmp_path / "other"}),
        "start": ([], {"cohort": tmp_path / "other"}),
        "check": (["--dry-run", "check_model"], {}),
    }[second]
    with inject("another call in the directory of a run"):
        call = world.call(directory)
        assert call.says("rule resample:")
        call.runs_for(rng.uniform(0, world.seconds() / 3))
        intruder = world.call(directory, *args, **config)
        outcome = call.wait()
        intruded = intruder.wait()
        print(f"the other call ended with {intruded.status}, the run with {outcome.status}")
        if second != "start":
            assert intruded.status == 0, intruded.tail
            assert outcome.status == 0, outcome.tail
            wrong = differences(directory, world.undisturbed()[1])
            assert not wrong, f"{wrong}\n{outcome.tail}"
        elif intruded.status:  # refused, unless the run had ended before
            assert outcome.status == 0, outcome.tail
            wrong = differences(directory, world.undisturbed()[1])
            assert not wrong, f"{wrong}\n{outcome.tail}"
        outcome = world.recovered(directory, None)
        if second != "start" or intruded.status:
            assert jobs(outcome.text) == {}, outcome.tail
    shutil.rmtree(tmp_path / "other")
