"""A kept file that is lost or damaged between two calls is made again by the next one."""

import random

import pytest

from faults.damages import DAMAGES, damage, kind, scan_of
from faults.outcomes import differences, kept_files
from faults.worlds import SCANS, copied, write_cohort
from support.cohorts import add_scan, blobs

pytestmark = pytest.mark.slow

WIDE = [f"sub-{number:02d}" for number in range(1, 13)]  # one damaged file per scan and run
RECORD = "run.json"
COHORT_FILES = ("cohort.csv", "cohort.json", "lesions.csv", "lesions.json", "report.html", RECORD)


def write_wide(cohort):
    """Twelve scans with one or two lesions."""
    for number, scan in enumerate(WIDE):
        places = [(8, 9, 5), (20, 8 + number, 7)][: 1 + number % 2]
        add_scan(cohort, scan, blobs(places, seed=number))


@pytest.fixture(scope="module")
def wide(world):
    """Directory and results of a finished run of twelve scans, all intermediates kept."""
    config = {"keep": "[resampled,cropped]"}
    directory, expected, _ = world.undisturbed("wide", write_wide, **config)
    return directory, expected, config


def hurt(directory, plan, rng):
    """Damage files; ``plan`` has the name, damage and whether the mtime is kept, for each."""
    for name, how, keep in plan:
        print(f"{name}: {how}, {'old' if keep else 'new'} mtime")
        damage(directory / "results" / name, how, rng, keep)


def made_again(world, fault, directory, plan, expected, **config):
    """One call brings back every damaged file; the others are counted as lost."""
    outcome = world.run(directory, **config)
    wrong = differences(directory, expected)
    damaged = {name: (how, keep) for name, how, keep in plan}
    fault.lost = len(set(wrong) & set(damaged)) or int(bool(wrong or outcome.status))
    told = {name: (what, *damaged.get(name, ())) for name, what in wrong.items()}
    return outcome.status, told, outcome.tail


@pytest.mark.parametrize("keep", [False, True], ids=["new-mtime", "old-mtime"])
@pytest.mark.parametrize("how", DAMAGES)
def test_every_kind_of_file_of_a_scan(world, wide, tmp_path, inject, how, keep):
    """Each kind of file is damaged in one scan, one file in a scan, so that no damage hides another."""
    finished, expected, config = wide
    kinds = sorted({kind(name) for name in expected if scan_of(name)})
    rng, failures = random.Random(f"{how}-{keep}"), {}
    batches = [kinds[start : start + len(WIDE)] for start in range(0, len(kinds), len(WIDE))]
    for number, batch in enumerate(batches):
        directory = copied(finished, tmp_path / f"run-{number}")
        scans = rng.sample(WIDE, len(batch))
        plan = [(file_of(expected, *pair), how, keep) for pair in zip(scans, batch, strict=True)]
        try:
            with inject(f"kept file of a scan {how}", len(plan)) as fault:
                hurt(directory, plan, rng)
                status, wrong, text = made_again(world, fault, directory, plan, expected, **config)
                assert not wrong, "".join(f"\n{name}: {what}" for name, what in wrong.items())
                assert status == 0, text
        except AssertionError as error:
            failures[number] = str(error)
    assert not failures, "\n".join(failures.values())


def file_of(names, scan, what):
    """The kept file of a scan of this kind."""
    (name,) = [name for name in names if scan_of(name) == scan and kind(name) == what]
    return name


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("name", COHORT_FILES)
def test_every_file_of_the_cohort(world, tmp_path, inject, name, how):
    """Each of these files is damaged alone, since one job writes several of them."""
    finished, expected, _ = world.undisturbed()
    rng = random.Random(f"{name}-{how}")
    directory = copied(finished, tmp_path / "run")
    plan = [(name, how, rng.random() < 0.5)]
    with inject(f"file of the cohort {how}") as fault:
        hurt(directory, plan, rng)
        status, wrong, text = made_again(world, fault, directory, plan, expected)
        assert status == 0, text
        assert not wrong, text


@pytest.mark.parametrize("how", DAMAGES)
def test_files_of_a_model(world, tmp_path, inject, how):
    """What belongs to a model and to no scan: the description of the dataset and the names of the labels."""
    finished, expected, _ = world.undisturbed()
    names = [name for name in expected if "/" in name and not scan_of(name)]
    assert len(names) == 2
    failures = []
    for name in names:
        rng = random.Random(f"{name}-{how}")
        directory = copied(finished, tmp_path / name.replace("/", "-"))
        plan = [(name, how, rng.random() < 0.5)]
        with inject(f"file of a model {how}") as fault:
            hurt(directory, plan, rng)
            status, wrong, text = made_again(world, fault, directory, plan, expected)
            fault.lost = int(bool(wrong or status))
            failures += [(name, wrong, text)] if fault.lost else []
    assert not failures, failures


@pytest.mark.parametrize("how", DAMAGES)
def test_all_files_of_a_scan(world, tmp_path, inject, rng, how):
    """A scan whose files are all damaged is computed again."""
    finished, expected, _ = world.undisturbed()
    directory = copied(finished, tmp_path / "run")
    scan = rng.choice(SCANS)
    keep = rng.random() < 0.5
    plan = [(name, how, keep) for name in expected if scan_of(name) == scan]
    with inject(f"all files of a scan {how}", len(plan)) as fault:
        hurt(directory, plan, rng)
        status, wrong, text = made_again(world, fault, directory, plan, expected)
        assert status == 0, text
        assert not wrong, text


@pytest.mark.parametrize("seed", [pytest.param(1, marks=pytest.mark.selected), *range(2, 4)])
def test_a_mix_of_damages(world, tmp_path, inject, rng, seed):
    """One file of each scan is damaged, each in another way."""
    finished, expected, _ = world.undisturbed()
    directory = copied(finished, tmp_path / "run")
    ways = rng.sample(DAMAGES, len(SCANS))
    plan = []
    for scan, how in zip(SCANS, ways, strict=True):
        names = [name for name in kept_files(directory) if scan_of(name) == scan]
        plan.append((rng.choice(names), how, rng.random() < 0.5))
    with inject("mix of damaged files", len(plan)) as fault:
        hurt(directory, plan, rng)
        status, wrong, text = made_again(world, fault, directory, plan, expected)
        assert status == 0, text
        assert not wrong, f"{wrong}\n{text}"


def test_a_damaged_file_of_a_scan_that_is_no_longer_in_the_cohort(world, tmp_path, inject):
    """It belongs to no row of the tables, and the run does not stumble over it."""
    finished, _, _ = world.undisturbed()
    directory = copied(finished, tmp_path / "run")
    alone = write_cohort(tmp_path / "bids", scans=SCANS[:2])
    for path in (directory / "results").rglob("sub-02_*"):
        path.write_bytes(b"")
    with inject("damaged file of a removed scan"):
        outcome = world.run(directory, cohort=alone)
        assert outcome.status == 0, outcome.tail
        assert "sub-02" not in (directory / "results/cohort.csv").read_text()
