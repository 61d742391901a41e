"""Imported ONNX networks compared with the evaluator of the onnx package."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from lesionflow.base import json_sidecar
from lesionflow.base.errors import LesionflowError, WeightsError
from lesionflow.networks.importing.fold_folder import write_fold
from lesionflow.networks.inference.fold_runner import predict
from lesionflow.networks.inference.random_volume import random_volume
from support.stand_ins import toy_spec

pytestmark = pytest.mark.slow
DIGESTS = {"md5": "m" * 32, "sha256": "s" * 64}
SHAPE = (8, 6, 10)


def save_onnx(path, last, sides=SHAPE, channels=2, labels=3, batch=1, axes=3, external=False):
    """Conv, batch normalization, PReLU, Conv and ``last`` (None: logits), channels first, as PyTorch exports them."""
    rng = np.random.default_rng(0)

    def weights(name, *shape, low=None):
        drawn = rng.normal(0, 0.4, shape) if low is None else rng.uniform(low, 1.5, shape)
        return numpy_helper.from_array(drawn.astype(np.float32), name)

    kernel = [3] * axes
    stored = [
        weights("w1", 5, channels, *kernel),
        weights("gamma", 5, low=0.5),
        weights("beta", 5),
        weights("mean", 5),
        weights("var", 5, low=0.1),
        weights("slope", 5, *[1] * axes),
        weights("w2", labels, 5, *[1] * axes),
        weights("b2", labels),
    ]
    nodes = [
        helper.make_node("Conv", ["image", "w1"], ["a"], pads=[1] * (2 * axes)),
        helper.make_node(
            "BatchNormalization", ["a", "gamma", "beta", "mean", "var"], ["b"], epsilon=1e-5
        ),
        helper.make_node("PRelu", ["b", "slope"], ["c"]),
        helper.make_node("Conv", ["c", "w2", "b2"], ["d" if last else "probability"]),
    ]
    if last:
        about = {"axis": 1} if last == "Softmax" else {}
        nodes.append(helper.make_node(last, ["d"], ["probability"], **about))
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, n, *sides])
        for name, n in (("image", channels), ("probability", labels))
    ]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, str(path), save_as_external_data=external, size_threshold=0)
    return path


def expected(path, image, activation=None):
    """Output of the evaluator, channels last, after the ``activation`` that the network lacks."""
    first = np.moveaxis(image, -1, 0)[None]
    (output,) = ReferenceEvaluator(str(path)).run(None, {"image": first})
    if activation == "softmax":
        output = np.exp(output) / np.exp(output).sum(axis=1, keepdims=True)
    elif activation == "sigmoid":
        output = 1 / (1 + np.exp(-output))
    return np.moveaxis(output[0], 0, -1)


def imported(tmp_path, path, shape=SHAPE, **about):
    said = {"fmt": "onnx", "layout": "channels_first", "channels": 2, "outputs": 3} | about
    folder = tmp_path / "toy/fold-1"
    write_fold(toy_spec(path, shape, **said), path, DIGESTS, folder, 2)
    return folder


@pytest.mark.parametrize(
    ("last", "activation"), [("Softmax", "softmax"), ("Sigmoid", "sigmoid"), (None, "softmax")]
)
def test_an_onnx_network(tmp_path, last, activation):
    path = save_onnx(tmp_path / "net.onnx", last)
    folder = imported(tmp_path, path, activation=activation, logits=last is None)
    image = random_volume((*SHAPE, 2), 4) * 4
    reference = expected(path, image, None if last else activation)
    assert reference.std(axis=(0, 1, 2)).min() > 0.02
    predicted, used = predict(folder, image)
    assert used == {"backend": "openvino", "device": "cpu", "precision": "float32"}
    assert np.abs(predicted - reference).max() <= 1e-5
    np.testing.assert_array_equal(predicted.argmax(-1), reference.argmax(-1))
    assert json_sidecar.read(folder / "fold.json")["format"] == "onnx"
    with pytest.raises(LesionflowError, match="runs in OpenVINO on the CPU only"):
        predict(folder, image, "tensorflow")
    with pytest.raises(LesionflowError, match="runs in OpenVINO on the CPU only"):
        predict(folder, image, "auto", "gpu")


def test_a_network_of_any_size(tmp_path):
    path = save_onnx(tmp_path / "net.onnx", "Softmax", sides=["x", "y", "z"], batch="n")
    folder = imported(tmp_path, path, (None, None, None), activation="softmax")
    for sides in (SHAPE, (5, 9, 7)):
        image = random_volume((*sides, 2), 1) * 3
        predicted, _ = predict(folder, image)
        assert np.abs(predicted - expected(path, image)).max() <= 1e-5


def test_a_2d_network(tmp_path):
    path = save_onnx(tmp_path / "net.onnx", "Sigmoid", sides=(8, 6), axes=2)
    folder = imported(tmp_path, path, (8, 6))
    image = random_volume((8, 6, 2), 4)
    predicted = predict(
        folder, image[:, :, None], inferer=lambda net, im: net(im[None, :, :, 0])[0][:, :, None]
    )[0]
    assert np.abs(predicted[:, :, 0] - expected(path, image)).max() <= 1e-5


def test_onnx_files_that_do_not_match_the_card(tmp_path):
    path = save_onnx(tmp_path / "net.onnx", "Softmax")
    with pytest.raises(WeightsError, match="network takes .* but the card's input says"):
        imported(tmp_path, path, (8, 6, 11), activation="softmax")
    with pytest.raises(WeightsError, match="network takes .* but the card's input says"):
        imported(tmp_path, path, activation="softmax", layout="channels_last")
    with pytest.raises(WeightsError, match="labels .softmax. need"):
        imported(tmp_path, path, activation="softmax", outputs=4)
    logits = save_onnx(tmp_path / "logits.onnx", None)
    with pytest.raises(WeightsError, match="output.logits: true"):
        imported(tmp_path, logits, activation="softmax")
    whole = path.read_bytes()
    for content in (b"", b"no network", whole[: len(whole) // 2]):
        broken = tmp_path / "broken.onnx"
        broken.write_bytes(content)
        with pytest.raises(WeightsError, match="broken.onnx: "):
            imported(tmp_path, broken, activation="softmax")
    assert not (tmp_path / "toy/fold-1").exists()


def test_weights_outside_the_hashed_file_are_refused(tmp_path):
    path = save_onnx(tmp_path / "net.onnx", "Softmax", external=True)
    assert len(list(tmp_path.iterdir())) > 1
    with pytest.raises(WeightsError, match="net.onnx: "):
        imported(tmp_path, path, activation="softmax")
