"""Constant folding in TensorFlow, and its effect on an import."""

import numpy as np
import pytest
import tensorflow as tf

from lesionflow.base import json_sidecar
from lesionflow.networks.importing import fold_folder
from lesionflow.networks.importing.constant_folding import MAX_CONSTANT_BYTES, fold_constants
from support.stand_ins import SHAPE, save_function, toy_spec


def serving(module, function, shape=(2,)):
    """``tf.function`` of images of a shape (channel included); the module keeps it alive."""
    spec = tf.TensorSpec((None, *shape), tf.float32, name="image")
    module.serve = tf.function(function, input_signature=[spec])
    return module.serve


def saved(function, variables, folder):
    """A function after saving and loading, and its signature."""
    module = tf.Module()
    module.serve, module.variables_of_serve = function, variables
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.serve})
    again = tf.saved_model.load(str(folder))
    return again, again.signatures["serving_default"]


def test_constants_are_folded_and_outputs_stay_the_same(tmp_path):
    module, large = tf.Module(), MAX_CONSTANT_BYTES // 4 + 1
    module.small, module.large = tf.Variable(3.0), tf.Variable(np.arange(large, dtype=np.float32))
    product = lambda image: image[:, :1] * (module.large * module.small)  # noqa: E731
    serve = serving(module, lambda image: {"probability": product(image) + image[:, 1:]})
    function, variables = fold_constants(tf, serve)
    module.large.assign(np.zeros(large))  # seen no more
    loaded, again = saved(function, variables, tmp_path)
    assert [tuple(v.shape) for v in again.variables] == [(large,)]
    kinds = [node.op for node in again.graph.as_graph_def().library.function[0].node_def]
    assert kinds.count("Mul") <= 1
    output = again(image=tf.constant([[1.0, 0.5], [2.0, -1.0]]))["probability"]
    steps = np.arange(large) * 3
    np.testing.assert_array_equal(output, [steps + 0.5, 2 * steps - 1])
    assert again.structured_input_signature[1]["image"].shape.as_list() == [None, 2]


def counted(module):
    """A function that assigns to a variable."""
    module.calls = tf.Variable(0.0)
    return lambda image: {"probability": image + module.calls.assign_add(1.0)}


def looped(module):
    """A function with a loop and a condition."""

    def grown(image):
        return tf.cond(tf.reduce_max(image) > 10, lambda: image + 1, lambda: image * 2)

    small = lambda image: tf.reduce_sum(image) < 100  # noqa: E731
    return lambda image: {"probability": tf.while_loop(small, grown, [image])[0]}


@pytest.mark.parametrize("make", [counted, looped])
def test_graphs_with_loops_or_assignments_are_not_folded(caplog, make):
    module = tf.Module()
    caplog.set_level("INFO")
    assert fold_constants(tf, serving(module, make(module))) is None
    assert "constants are not folded" in caplog.text


def rounded(error):
    """A ``fold_constants`` whose functions have a constant error."""

    def other(tf, serve):
        by, variables = fold_constants(tf, serve)
        off = lambda image: {"probability": by(image)["probability"] + error}  # noqa: E731
        return serving(tf.Module(), off, (*SHAPE, 1)), variables

    return other


def imported(tmp_path):
    path = save_function(tmp_path / "net", lambda x: 0.9 * x, SHAPE)
    digests = {"md5": "m" * 32, "sha256": "s" * 64}
    fold_folder.write_fold(toy_spec(path, SHAPE), path, digests, tmp_path / "toy/fold-1")
    return tmp_path / "toy/fold-1"


@pytest.mark.parametrize("error", [0.0, 1e-3])
def test_constants_are_folded_unless_outputs_change(tmp_path, monkeypatch, error):
    monkeypatch.setattr(fold_folder, "fold_constants", rounded(error))
    loaded = tf.saved_model.load(str(imported(tmp_path)))
    fold = loaded.signatures["serving_default"]
    assert bool(fold.variables) == bool(error)
    image = fold_folder.random_volume((*SHAPE, 1))[None]
    output = fold(image=tf.constant(image))["probability"]
    np.testing.assert_array_equal(output, np.float32(0.9) * image)


@pytest.mark.parametrize(
    ("rounding", "off", "taken"),
    [
        (0.0, 0.9e-5, True),
        (0.0, 1.5e-5, False),
        (0.8e-5, 1.5e-5, False),  # within what import allows: the card's tolerance holds
        (2e-5, 3.5e-5, True),  # not known better than that in float32
        (2e-5, 4.5e-5, False),
        (0.8e-4, 0.9e-4, True),
        (0.8e-4, 1.1e-4, False),  # so far apart is no rounding
        (2e-4, 1.5e-5, False),  # nor is this: what was multiplied out went wrong, and says nothing
    ],
)
def test_tolerance_of_openvino_allows_for_float32_rounding(
    tmp_path, monkeypatch, rounding, off, taken
):
    monkeypatch.setattr(fold_folder, "fold_constants", rounded(rounding))
    by = lambda volume: [np.float32(0.9) * volume + off]  # noqa: E731
    monkeypatch.setattr(fold_folder, "compiled_openvino", lambda *_: by)
    assert (json_sidecar.read(imported(tmp_path) / "fold.json")["openvino"] is True) == taken
