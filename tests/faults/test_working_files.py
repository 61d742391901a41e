"""Files that a run keeps for the next one, in work/, .snakemake/, logs/ and models_dir, may be lost or damaged."""

import random
import shutil

import pytest

from faults.damages import DAMAGES, damage
from faults.outcomes import differences
from faults.worlds import SCANS, copied, write_scan

pytestmark = pytest.mark.slow

CHANGED = ("sub-01_ses-1",)


@pytest.fixture
def finished(world, tmp_path):
    """A copy of a finished run, and a function that changes one of its scans."""
    directory = copied(world.undisturbed()[0], tmp_path / "run")

    def change():
        write_scan(directory / "bids", CHANGED[0], "b")
        return CHANGED

    return directory, change


@pytest.mark.parametrize("changed", [False, True], ids=["", "scan-changed"])
@pytest.mark.parametrize(
    "folders", [[".snakemake"], ["work"], ["logs", "benchmarks"], [".snakemake", "work", "logs"]]
)
def test_deleted_folders(world, finished, inject, folders, changed):
    """Without Snakemake's records, the plan or the logs, one call gives the tables of the cohort."""
    directory, change = finished
    key = change() if changed else ""
    with inject("deleted folder of a run"):
        for folder in folders:
            shutil.rmtree(directory / folder, ignore_errors=True)
        world.recovered(directory, None, key)


@pytest.mark.parametrize("how", DAMAGES)
def test_every_file_of_work(world, tmp_path, inject, how):
    """Each file of work/ is damaged alone; in half of the cases a scan has changed as well."""
    original = world.undisturbed()[0]
    names = sorted(
        path.relative_to(original) for path in (original / "work").rglob("*") if path.is_file()
    )
    assert names
    failures = []
    for number, name in enumerate(names):
        rng = random.Random(f"{how}-{name.name}")
        directory = copied(original, tmp_path / f"run-{number}")
        key = ""
        if rng.random() < 0.5:
            write_scan(directory / "bids", CHANGED[0], "b")
            key = CHANGED
        try:
            with inject(f"file of work/ {how}"):
                damage(directory / name, how, rng, keep := rng.random() < 0.5)
                print(f"{name}: {how}, old mtime: {keep}, changed scans: {key}")
                world.recovered(directory, None, key)
        except AssertionError as error:
            failures.append(f"{name}: {error}")
    assert not failures, "\n".join(failures)


@pytest.mark.parametrize("how", DAMAGES)
def test_all_records_of_snakemake(world, finished, inject, rng, how):
    """Snakemake's records of every output are damaged; a scan has changed."""
    directory, change = finished
    paths = [path for path in (directory / ".snakemake/metadata").rglob("*") if path.is_file()]
    with inject(f"Snakemake's records {how}", len(paths)):
        for path in paths:
            damage(path, how, rng, rng.random() < 0.5)
        world.recovered(directory, None, change())


@pytest.mark.parametrize("how", DAMAGES)
def test_all_logs(world, finished, inject, rng, how):
    """The status of a scan is not taken from a damaged log of a job that is not run again."""
    directory, _ = finished
    paths = [path for path in (directory / "logs").rglob("*.log")]
    with inject(f"logs {how}", len(paths)):
        for path in paths:
            damage(path, how, rng, rng.random() < 0.5)
        (directory / "results/cohort.csv").unlink()
        world.recovered(directory, None)


def imported(world, tmp_path):
    """A copy of models_dir, and the folders of its folds."""
    world.undisturbed()
    models_dir = copied(world.models_dir, tmp_path / "models")
    folds = sorted(path for path in (models_dir / "tiny").iterdir() if path.is_dir())
    assert len(folds) >= 3
    return models_dir, folds


def predicted(world, tmp_path, models_dir, key, **config):
    """Runs on new scans: right results, or an error and right results by the next call."""
    working = tmp_path / "run"
    copied(world.undisturbed(SCANS)[0] / "bids", working / "bids")
    outcome = world.run(working, models_dir=models_dir, **config)
    print(f"the first call ended with {outcome.status}")
    if outcome.status:
        outcome = world.run(working, models_dir=models_dir, **config)
    assert outcome.status == 0, outcome.tail
    wrong = differences(working, world.undisturbed(key)[1])
    assert not wrong, f"{wrong}\n{outcome.tail}"


def files_of(fold):
    """Files of an imported fold, relative to its folder."""
    return sorted(str(path.relative_to(fold)) for path in fold.rglob("*") if path.is_file())


def damaged_folds(world, tmp_path, inject, how, names, key, **config):
    """Damage these files of imported folds, one in each fold and run."""
    failures = []
    for start in range(0, len(names), 3):
        rng = random.Random(f"{how}-{start}")
        place = tmp_path / f"case-{start}"
        place.mkdir()
        models_dir, folds = imported(world, place)
        pairs = list(zip(folds, names[start : start + 3], strict=False))
        try:
            with inject(f"file of an imported fold {how}", len(pairs)):
                for fold, name in pairs:
                    damage(fold / name, how, rng, keep := rng.random() < 0.5)
                    print(f"{fold.name}/{name}: {how}, old mtime: {keep}")
                predicted(world, place, models_dir, key, **config)
        except AssertionError as error:
            failures.append(f"{[name for _, name in pairs]}: {error}")
    assert not failures, "\n".join(failures)


@pytest.mark.parametrize("how", DAMAGES)
def test_every_file_of_an_imported_fold(world, tmp_path, inject, how):
    """A damaged fold never gives other numbers."""
    world.undisturbed(SCANS)
    fold = sorted(path for path in (world.models_dir / "tiny").iterdir() if path.is_dir())[0]
    damaged_folds(world, tmp_path, inject, how, files_of(fold), SCANS)


@pytest.mark.parametrize("how", ["deleted", "overwritten", "flipped"])
def test_files_that_only_tensorflow_reads(world, tmp_path, inject, rng, how):
    """The same with the other backend, which reads the SavedModel."""
    world.undisturbed("tensorflow", lambda bids: copy_cohort(world, bids), backend="tensorflow")
    fold = sorted(path for path in (world.models_dir / "tiny").iterdir() if path.is_dir())[0]
    names = [name for name in files_of(fold) if not name.endswith((".xml", ".bin", ".blob"))]
    rng.shuffle(names)
    damaged_folds(world, tmp_path, inject, how, names[:3], "tensorflow", backend="tensorflow")


def copy_cohort(world, bids):
    """The cohort with all scans in version b."""
    copied(world.undisturbed(SCANS)[0] / "bids", bids)


def test_a_deleted_fold(world, tmp_path, inject, rng):
    """The folder of a fold, or all of models_dir, is gone: the next run imports it again."""
    models_dir, folds = imported(world, tmp_path)
    with inject("deleted imported fold"):
        shutil.rmtree(rng.choice(folds))
        predicted(world, tmp_path, models_dir, SCANS)
