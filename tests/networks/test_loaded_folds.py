"""Folds that stay loaded between the jobs of a shared process: memory limit, and one call at a time."""

import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from lesionflow.base.digests import sha256_file
from lesionflow.networks.inference import fold_runner
from lesionflow.networks.inference.fold_runner import predict
from lesionflow.networks.inference.loaded_folds import LoadedFolds
from support.folds import BACKENDS, make_fold, ramp

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def identity(tmp_path_factory):
    """A fold that returns its input."""
    return make_fold(tmp_path_factory.mktemp("identity"), lambda x: x)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_fold_stays_loaded_while_there_is_memory(identity, tmp_path, monkeypatch, backend):
    """The second call loads nothing; another fold is loaded beside it, or replaces it if memory is short."""
    copy = tmp_path / "fold-1"
    shutil.copytree(identity, copy)
    loaded = LoadedFolds()
    monkeypatch.setattr(fold_runner, "LOADED_FOLDS", loaded)
    made = []
    name = f"load_{backend}"
    make = getattr(fold_runner, name)
    monkeypatch.setattr(
        fold_runner, name, lambda folder, *a, **k: made.append(folder) or make(folder, *a, **k)
    )
    for folder, memory_mb in ((identity, None), (identity, 1), (copy, 1e6), (copy, 1e6)):
        predicted, _ = predict(folder, ramp(), backend, "cpu", memory_mb=memory_mb)
        np.testing.assert_array_equal(predicted, ramp())
    assert made == [identity, copy]
    assert len(loaded.folds) == 2
    before = sha256_file(copy / "fold.json")
    (copy / "fold.json").write_text((copy / "fold.json").read_text().replace('"s"', '"t"'))
    files = (copy / "files.json").read_text().replace(before, sha256_file(copy / "fold.json"))
    (copy / "files.json").write_text(files)
    predict(copy, ramp(), backend, "cpu", memory_mb=1)  # other weights: another fold
    assert made == [identity, copy, copy]
    assert len(loaded.folds) == 1


@pytest.mark.parametrize(
    ("shared_mb", "own_mb", "kept"),
    [
        (2200, 120, [1, 2, 3]),  # as in TensorFlow: the folds share the memory of a call
        (100, 1100, [1, 2, 3]),  # as in OpenVINO: each has its own
        (100, 1800, [1, 2, 1]),  # the third would not fit
        (100, 3700, [1, 1, 1]),  # the second would not
    ],
)
def test_another_fold_is_loaded_beside_others_if_it_is_expected_to_fit(
    identity, tmp_path, monkeypatch, shared_mb, own_mb, kept
):
    """The limit is 4400 MB, of which 300 are used before the first fold."""
    counts = []
    loaded = LoadedFolds(
        lambda: 300 + shared_mb * bool(counts or loaded.folds) + own_mb * len(loaded.folds)
    )
    monkeypatch.setattr(fold_runner, "LOADED_FOLDS", loaded)
    for number in (1, 2, 3):
        fold = shutil.copytree(identity, tmp_path / f"fold-{number}")
        predict(fold, ramp(), "openvino", "cpu", memory_mb=4400)
        counts.append(len(loaded.folds))
    assert counts == kept


def test_concurrent_jobs_call_their_networks_one_at_a_time(identity, tmp_path):
    """Each call uses all threads, and concurrent calls of one network may mix their results."""
    calls = []

    def slow(net, image):
        calls.append("begins")
        time.sleep(0.3)
        predicted = fold_runner.whole_volume(net, image)
        calls.append("ends")
        return predicted

    images = [ramp() * factor for factor in (0.25, 0.5, 1)]
    with ThreadPoolExecutor(3) as pool:
        jobs = [pool.submit(predict, identity, i, "openvino", "cpu", inferer=slow) for i in images]
    for job, image in zip(jobs, images, strict=True):
        np.testing.assert_array_equal(job.result()[0], image)
    assert calls == ["begins", "ends"] * 3
