"""The folder of an imported fold: its files, and imports that fail."""

import errno
import resource

import numpy as np
import pytest

from lesionflow.base import json_sidecar
from lesionflow.base.errors import LesionflowError, WeightsError
from lesionflow.networks.imported_fold import damaged_files
from lesionflow.networks.importing import fold_folder
from lesionflow.networks.inference.fold_runner import LOADED_FOLDS, predict
from lesionflow.networks.inference.random_volume import random_volume
from support.imported_folds import DIGESTS, SMALL, imported, volume
from support.stand_ins import save_function

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def identity(tmp_path_factory):
    return save_function(tmp_path_factory.mktemp("identity") / "net", lambda x: x, SMALL)


def test_the_random_volume_has_structure_of_every_size():
    image = random_volume((20, 31, 17, 2))
    assert (image.shape, image.dtype) == ((20, 31, 17, 2), np.float32)
    assert (image.min(), image.max()) == (0, 1)
    np.testing.assert_array_equal(image, random_volume((20, 31, 17, 2)))
    assert np.abs(image - random_volume((20, 31, 17, 2), 1)).max() > 0.1
    coarse = image[:16, :24, :16].reshape(2, 8, 3, 8, 2, 8, 2).mean((1, 3, 5))
    assert coarse.std() > 0.05  # white noise would have 0.29 / sqrt(8 ** 3) = 0.013


def test_the_import_of_a_damaged_fold_writes_the_same_fold_json_and_replaces_the_folder(
    identity, tmp_path
):
    (tmp_path / "toy/fold-1").mkdir(parents=True)  # as Snakemake does
    folder = imported(identity, tmp_path, SMALL)
    first = (folder / "fold.json").read_bytes()
    (folder / "leftover").write_text("of the last import")
    (folder / "openvino.bin").write_bytes(b"damaged")
    imported(identity, tmp_path, SMALL)
    assert (folder / "fold.json").read_bytes() == first
    assert not (folder / "leftover").exists()
    assert [p.name for p in folder.parent.iterdir()] == ["fold-1"]
    assert json_sidecar.read(folder / "fold.json") == {
        "card": "toy",
        "version": "1",
        "fold": 1,
        "weights": "net",
        "format": "savedmodel",
        "network": {},
        "view": "volume",
        "layout": "channels_last",
        "logits": False,
        "md5": DIGESTS["md5"],
        "weights_sha256": DIGESTS["sha256"],
        "archive_sha256": None,
        "shape": [*SMALL, 1],
        "channels": 1,
        "activation": "sigmoid",
        "tolerance": 1e-5,
        "openvino": True,
        "code": "",
    }


def test_a_failed_import_keeps_the_existing_fold(identity, tmp_path, monkeypatch):
    folder = imported(identity, tmp_path, SMALL)
    (folder / "files.json").unlink()
    monkeypatch.setattr(fold_folder, "MAX_DIFFERENCE", -1.0)
    with pytest.raises(WeightsError, match="the imported fold differs from the published network"):
        imported(identity, tmp_path, SMALL)
    assert (folder / "fold.json").is_file()
    assert [p.name for p in folder.parent.iterdir()] == ["fold-1"]


def test_tensorflow_is_used_if_openvino_fails_or_differs(identity, tmp_path, monkeypatch, caplog):
    import tensorflow as tf

    path = save_function(tmp_path / "net", lambda x: tf.math.igamma(x + 1, x) * 0 + x, SMALL)
    folder = imported(path, tmp_path, SMALL)
    assert "OpenVINO cannot convert it" in json_sidecar.read(folder / "fold.json")["openvino"]
    assert "TensorFlow will be used" in caplog.text
    wrong = imported(identity, tmp_path / "other", SMALL, tolerance=-1.0)
    assert "differ by more than" in json_sidecar.read(wrong / "fold.json")["openvino"]
    for fold in (folder, wrong):
        assert not list(fold.glob("openvino*"))
        assert predict(fold, volume(SMALL), device="cpu")[1]["backend"] == "tensorflow"
        with pytest.raises(LesionflowError, match="has no OpenVINO network: OpenVINO"):
            predict(fold, volume(SMALL), "openvino")


def test_an_import_sends_no_telemetry(identity, tmp_path, monkeypatch):
    from openvino_telemetry import Telemetry

    sent = []
    monkeypatch.setattr(Telemetry, "send_event", lambda *args, **kwargs: sent.append(args))
    imported(identity, tmp_path, SMALL)
    assert sent == []


@pytest.mark.parametrize(
    ("function", "about", "message"),
    [
        (
            lambda x: x[:, :-1],
            {},
            r"returns \(1, 8, 12, 7, 1\), but the card's shape .* need \(1, 9",
        ),
        (lambda x: x, {"outputs": 2}, r"labels \(sigmoid\) need \(1, 9, 12, 7, 2\)"),
        (
            lambda x: x * 3 - 1,
            {},
            "returns values from -.* to .*, which are not probabilities: if it returns logits",
        ),
        (lambda x: x / (x - x), {}, "which are not probabilities"),
        (
            lambda x: x,
            {"activation": "softmax"},
            "do not sum to 1, so output.activation is not softmax",
        ),
        (
            lambda x: x,
            {"shape": (9, 12, 8)},
            r"takes \(None, 9, 12, 7, 1\) .* says \(9, 12, 8, 1\)",
        ),
        (lambda x: x, {"channels": 2}, r"takes \(None, 9, 12, 7, 1\) .* says \(9, 12, 7, 2\)"),
    ],
)
def test_a_network_that_does_not_match_its_card(tmp_path, function, about, message):
    path = save_function(tmp_path / "net", function, SMALL)
    with pytest.raises(WeightsError, match=message):
        imported(path, tmp_path, **{"shape": SMALL, **about})
    assert not list(tmp_path.glob("toy/*"))


def test_damaged_weights_give_a_message_of_one_line(tmp_path, identity):
    import keras

    model = keras.Sequential([keras.Input((*SMALL, 1)), keras.layers.Conv3D(1, 1)])
    model.save_weights(tmp_path / "only.weights.h5")
    model.save(tmp_path / "a.keras")
    for name in ("only.weights.h5", "a.keras"):
        data = (tmp_path / name).read_bytes()
        (tmp_path / f"half-{name}").write_bytes(data[: len(data) // 2])
    (tmp_path / "empty").mkdir()
    (tmp_path / "half").mkdir()
    (tmp_path / "half/saved_model.pb").write_bytes((identity / "saved_model.pb").read_bytes()[:99])
    for name, fmt, message in (
        ("only.weights.h5", "keras-h5", "holds weights only; a full model is needed"),
        ("half-only.weights.h5", "keras-h5", "is not a complete H5 file"),
        ("half-a.keras", "keras", "is not a complete .keras file"),
        ("empty", "savedmodel", "TensorFlow cannot load the SavedModel"),
        ("half", "savedmodel", "TensorFlow cannot load the SavedModel"),
    ):
        with pytest.raises(WeightsError, match=message) as error:
            imported(tmp_path / name, tmp_path, SMALL, fmt=fmt)
        assert str(tmp_path / name) in str(error.value)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), OSError),
        (OSError(errno.EFBIG, "File too large"), OSError),
        (MemoryError(), MemoryError),
        (RuntimeError("Exception from src/core/...: std::bad_alloc"), MemoryError),
        (RuntimeError("OOM: failed to allocate 12 GB"), MemoryError),
    ],
)
def test_a_full_disk_or_memory_is_no_property_of_the_network(
    identity, tmp_path, monkeypatch, error, kind
):
    def fail(*args):
        raise error

    monkeypatch.setattr(fold_folder, "convert_to_openvino", fail)
    with pytest.raises(kind):
        imported(identity, tmp_path, SMALL)
    assert not (tmp_path / "toy/fold-1").exists()


def test_a_disk_that_is_full_while_openvino_writes_fails_the_import(
    identity, tmp_path, monkeypatch
):
    """OpenVINO raises RuntimeError for a file that it could not write."""

    def fail(*args):
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        raise RuntimeError("Check 'bin_file' failed: Can't open bin file")

    monkeypatch.setattr(fold_folder, "convert_to_openvino", fail)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(OSError, match="File too large"):
            imported(identity, tmp_path, SMALL)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    monkeypatch.undo()
    folder = imported(identity, tmp_path, SMALL)
    assert json_sidecar.read(folder / "fold.json")["openvino"] is True


@pytest.mark.parametrize("name", ["openvino.bin", "openvino.xml", "fold.json"])
def test_a_damaged_fold_is_not_run_and_is_imported_again(identity, tmp_path, name):
    folder = imported(identity, tmp_path, SMALL)
    content = bytearray((folder / name).read_bytes())
    content[-3] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises((WeightsError, ValueError), match="damaged|fold.json"):
        predict(folder, volume(SMALL), "openvino", "cpu")
    if name == "fold.json":
        (folder / "files.json").unlink(missing_ok=True)
    assert damaged_files(folder)


def test_files_of_the_other_framework_are_not_read(identity, tmp_path):
    folder = imported(identity, tmp_path, SMALL)
    (folder / "saved_model.pb").write_bytes(b"damaged")
    assert predict(folder, volume(SMALL), "openvino", "cpu")[1]["backend"] == "openvino"
    with pytest.raises(WeightsError, match="damaged"):
        predict(folder, volume(SMALL), "tensorflow", "cpu")


def test_a_damaged_compiled_network_is_compiled_again(identity, tmp_path):
    folder = imported(identity, tmp_path, SMALL)
    image = volume(SMALL)
    expected, _ = predict(folder, image, "openvino", "cpu")
    (blob,) = (folder / "compiled").iterdir()
    for damage in (
        lambda b: b[:-1],
        lambda b: b"",
        lambda b: bytes([*b[:-40], b[-40] ^ 1, *b[-39:]]),
    ):
        written = blob.read_bytes()
        blob.write_bytes(damage(written))
        LOADED_FOLDS.folds.clear()
        np.testing.assert_array_equal(predict(folder, image, "openvino", "cpu")[0], expected)
        assert blob.read_bytes() != damage(written)
