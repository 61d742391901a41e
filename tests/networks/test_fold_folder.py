"""The folder of an imported fold: its files, and imports that fail."""

import numpy as np
import pytest

from lesionflow.base import json_sidecar
from lesionflow.base.errors import LesionflowError, WeightsError
from lesionflow.networks.importing import fold_folder
from lesionflow.networks.inference.fold_runner import predict
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
