"""Prediction with one fold: voxelwise input and output, backends and devices."""

import shutil
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest

from lesionflow.base import json_sidecar
from lesionflow.base.errors import LesionflowError
from lesionflow.networks.imported_fold import OPENVINO
from lesionflow.networks.inference import fold_runner
from lesionflow.networks.inference.backends import compiled_openvino
from lesionflow.networks.inference.ensemble import average, rounded
from lesionflow.networks.inference.fold_runner import checked, predict
from lesionflow.networks.inference.loaded_folds import LoadedFolds
from support.folds import BACKENDS, SHAPE, make_fold, ramp
from support.paths import REPOSITORY

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def identity(tmp_path_factory):
    """A fold that returns its input."""
    return make_fold(tmp_path_factory.mktemp("identity"), lambda x: x)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_identity_network_returns_the_image(identity, backend):
    image = ramp()
    predicted, used = predict(identity, image, backend, "cpu")
    assert used == {"backend": backend, "device": "cpu", "precision": "float32"}
    assert predicted.dtype == np.float32
    np.testing.assert_array_equal(predicted, image)
    views = image[::-1], np.asfortranarray(image).astype(np.float64)  # any strides, any float
    for view in views:
        np.testing.assert_array_equal(predict(identity, view, backend, "cpu")[0], view)


def test_channels_and_labels_keep_their_order(tmp_path):
    import tensorflow as tf

    fold = make_fold(tmp_path, lambda x: tf.stack([x[..., 2], x[..., 0]], -1), 3, 2)
    image = ramp(3) * 0.5
    for backend in BACKENDS:
        predicted = predict(fold, image, backend, "cpu")[0]
        np.testing.assert_array_equal(predicted, image[..., [2, 0]])


def test_an_ensemble_is_the_mean_of_its_folds(tmp_path):
    """The mean of the published networks equals the stored average of the imported folds."""
    import tensorflow as tf

    kernels = [np.random.default_rng(n).normal(0, 1, (3, 3, 3, 1, 1)) for n in range(3)]
    image, direct, stored = ramp(), [], []
    for n, kernel in enumerate(kernels):

        def call(x, kernel=kernel):
            weights = tf.constant(kernel, tf.float32)
            return tf.sigmoid(tf.nn.conv3d(x, weights, (1,) * 5, "SAME"))

        direct.append(call(tf.constant(image[None])).numpy()[0, ..., 0])
        predicted, _ = predict(make_fold(tmp_path / str(n), call), image, "auto", "cpu")
        stored.append(nib.Nifti1Image(rounded(predicted), np.eye(4)))
    mean, spread = average(stored, 3)
    assert np.abs(mean - np.mean(direct, axis=0)).max() <= 1e-5
    assert np.abs(spread - np.std(direct, axis=0)).max() <= 1e-5


def test_auto_uses_openvino_on_the_cpu_without_importing_tensorflow(identity, tmp_path):
    np.save(tmp_path / "image.npy", ramp())
    code = f"""
import sys
from pathlib import Path
import numpy as np
from lesionflow.networks.inference.fold_runner import predict
used = predict(Path({str(identity)!r}), np.load({str(tmp_path / "image.npy")!r}), device="cpu")[1]
print(used["backend"], used["device"], "tensorflow" in sys.modules)
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=REPOSITORY / "scripts", capture_output=True, text=True)
    assert done.stdout.split() == ["openvino", "cpu", "False"], done.stderr


def test_bfloat16_is_reported_if_it_was_used(identity):
    predicted, used = predict(identity, ramp(), "openvino", "cpu", "bfloat16")
    assert used["precision"] in ("bfloat16", "float32")  # as this CPU can
    assert np.abs(predicted - ramp()).max() <= 2e-2
    assert predict(identity, ramp(), "tensorflow", "cpu", "bfloat16")[1]["precision"] == "float32"


def test_openvino_does_not_pin_threads_to_cpus(identity):
    """With pinning, all processes would compute on the first CPUs, and the others would be idle."""
    compiled = compiled_openvino(identity / OPENVINO, "float32", 1, (1, *SHAPE, 1))
    assert compiled.get_property("ENABLE_CPU_PINNING") is False


def test_xla_gives_the_same_result(identity):
    predicted, used = predict(identity, ramp(), "tensorflow", "cpu", xla=True)
    assert used == {"backend": "tensorflow", "device": "cpu", "precision": "float32"}
    np.testing.assert_array_equal(predicted, ramp())


def test_float16_is_mixed_precision_on_a_gpu_and_float32_elsewhere(identity, monkeypatch, caplog):
    """Without a GPU the same calls run on the CPU, where the optimizer finds nothing to rewrite."""
    import tensorflow as tf

    monkeypatch.setattr(fold_runner, "gpu_available", lambda: True)
    assert predict(identity, ramp(), "auto", "auto", "float16")[1] == {
        "backend": "tensorflow",
        "device": "gpu",
        "precision": "float16",
    }
    assert tf.config.optimizer.get_experimental_options()["auto_mixed_precision"] is True
    assert predict(identity, ramp(), "tensorflow", "cpu", "float16")[1]["precision"] == "float32"
    assert tf.config.optimizer.get_experimental_options()["auto_mixed_precision"] is False
    assert "precision float16 is not available here" in caplog.text


def test_compiled_networks_are_cached_and_compiled_again_if_damaged(
    identity, tmp_path, monkeypatch
):
    fold = tmp_path / "fold-1"
    shutil.copytree(identity, fold, ignore=shutil.ignore_patterns("compiled"))

    def again(threads=1):
        monkeypatch.setattr(fold_runner, "LOADED_FOLDS", LoadedFolds())
        np.testing.assert_array_equal(
            predict(fold, ramp(), "openvino", "cpu", threads=threads)[0], ramp()
        )
        return sorted((fold / "compiled").iterdir())

    (kept,) = again()
    written = kept.stat().st_mtime_ns
    assert again() == [kept]
    assert kept.stat().st_mtime_ns == written
    assert len(again(threads=2)) == 2  # other settings, another file
    kept.write_bytes(b"broken")
    again()
    assert kept.stat().st_size > 6


def test_no_cache_in_a_folder_without_write_permission(identity, tmp_path, monkeypatch):
    fold = tmp_path / "fold-1"
    shutil.copytree(identity, fold, ignore=shutil.ignore_patterns("compiled"))
    (fold / "compiled").write_text("in its place")
    monkeypatch.setattr(fold_runner, "LOADED_FOLDS", LoadedFolds())
    np.testing.assert_array_equal(predict(fold, ramp(), "openvino", "cpu")[0], ramp())


@pytest.mark.parametrize(
    ("sees_gpu", "backend", "device", "used"),
    [
        (True, "auto", "auto", ("tensorflow", "gpu")),
        (True, "auto", "gpu", ("tensorflow", "gpu")),
        (True, "tensorflow", "auto", ("tensorflow", "gpu")),
        (True, "openvino", "auto", ("openvino", "cpu")),
        (True, "auto", "cpu", ("openvino", "cpu")),
        (False, "auto", "auto", ("openvino", "cpu")),
        (False, "tensorflow", "auto", ("tensorflow", "cpu")),
    ],
)
def test_choice_of_backend_and_device(identity, monkeypatch, sees_gpu, backend, device, used):
    monkeypatch.setattr(fold_runner, "gpu_available", lambda: sees_gpu)
    fold = json_sidecar.read(identity / "fold.json")
    assert tuple(fold_runner.choose_backend(identity, fold, backend, device).values()) == used


@pytest.mark.parametrize(
    ("backend", "device", "message"),
    [
        ("openvino", "gpu", "backend openvino runs on the CPU"),
        ("auto", "gpu", "device is gpu, but TensorFlow finds no GPU"),
        ("tensorflow", "gpu", "TensorFlow finds no GPU"),
    ],
)
def test_an_unavailable_device(identity, monkeypatch, backend, device, message):
    monkeypatch.setattr(fold_runner, "gpu_available", lambda: False)
    with pytest.raises(LesionflowError, match=message):
        predict(identity, ramp(), backend, device)


def test_an_image_of_another_shape_or_with_nan(identity):
    with pytest.raises(
        LesionflowError, match=r"takes images of .* \(5, 8, 11, 1\), not \(8, 5, 11, 1\)"
    ):
        predict(identity, ramp().swapaxes(0, 1))
    hole = ramp()
    hole[0, 0, 0] = np.nan
    with pytest.raises(LesionflowError, match="image has NaN or infinite values"):
        predict(identity, hole)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_output_that_is_not_a_probability_map_names_the_fold(tmp_path, backend):
    import tensorflow as tf

    def sometimes(
        x,
    ):  # harmless on the import's random volume, which has no 0 exactly and is below 1
        bad = tf.where(x > 1.5, 2.0, tf.where(x < 0, tf.math.log(x), x))
        return bad

    fold = make_fold(tmp_path, sometimes)
    for value, message in (
        (1.7, "values from .* to 2, which are not probabilities"),
        (-1, "NaN or infinite"),
    ):
        image = ramp()
        image[1, 2, 3] = value
        with pytest.raises(LesionflowError, match=f"fold {fold} returned .*{message}"):
            predict(fold, image, backend, "cpu")


def test_small_excursions_are_clipped_and_other_shapes_refused(tmp_path):
    predicted = np.array([-1e-6, 0.5, 1 + 1e-6], np.float32).reshape(1, 3, 1, 1, 1)
    assert checked(predicted, (3, 1, 1, 1), tmp_path).ravel().tolist() == [0, 0.5, 1]
    with pytest.raises(
        LesionflowError, match=r"returned the shape \(1, 3, 1, 1, 1\), expected \(1, 1, 3"
    ):
        checked(predicted, (1, 3, 1, 1), tmp_path)
