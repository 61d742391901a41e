"""How the frameworks are set up, and what is made of a network before it is saved."""

import os

import numpy as np
import pytest
import tensorflow as tf
from stand_ins import SHAPE, part, save_function

from lesionflow import facts, folds
from lesionflow.frameworks import frozen, narrow_instructions

ISA = "ONEDNN_MAX_CPU_ISA"
ZEN_4 = "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 17\n"
ZEN_5 = ZEN_4.replace("25", "26")
INTEL = "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 143\n"


@pytest.mark.parametrize(
    ("cpu", "said", "then"),
    [
        (ZEN_4, None, "AVX2"),
        (ZEN_4, "AVX512_CORE", "AVX512_CORE"),
        (ZEN_5, None, None),
        (INTEL, None, None),
        (None, None, None),
    ],
)
def test_only_zen_4_computes_with_half_its_width_and_only_where_nobody_said_otherwise(
    tmp_path, monkeypatch, cpu, said, then
):
    about = tmp_path / "cpuinfo"
    if cpu is not None:
        about.write_text(cpu)
    monkeypatch.setenv(ISA, "to be put back")
    monkeypatch.delenv(ISA)
    if said:
        monkeypatch.setenv(ISA, said)
    narrow_instructions(about)
    assert os.environ.get(ISA) == then


def serving(module, function, shape=(2,)):
    """A function of images of a shape, the channel included; it lives as long as the module."""
    spec = tf.TensorSpec((None, *shape), tf.float32, name="image")
    module.serve = tf.function(function, input_signature=[spec])
    return module.serve


def test_a_frozen_function_takes_and_returns_the_same_and_saves_no_variables(tmp_path):
    module = tf.Module()
    module.weight = tf.Variable([[1.0], [2.0]])
    serve = serving(module, lambda image: {"probability": image @ module.weight})
    saved = tf.Module()
    saved.serve = frozen(tf, serve)
    module.weight.assign([[0.0], [0.0]])  # what is frozen does not see it
    tf.saved_model.save(saved, str(tmp_path), signatures={"serving_default": saved.serve})
    loaded = tf.saved_model.load(str(tmp_path))
    again = loaded.signatures["serving_default"]
    assert not again.variables
    image = tf.constant([[3.0, 4.0], [5.0, 6.0]])
    np.testing.assert_array_equal(again(image=image)["probability"], [[11.0], [17.0]])


def test_a_function_that_changes_its_weights_is_not_frozen(caplog):
    module = tf.Module()
    module.calls = tf.Variable(0.0)
    caplog.set_level("INFO")

    def counted(image):
        return {"probability": image + module.calls.assign_add(1.0)}

    assert frozen(tf, serving(module, counted)) is None
    assert "the weights stay variables" in caplog.text


def rounded(error):
    """A ``frozen`` whose functions are off by so much."""

    def other(tf, serve):
        by = frozen(tf, serve)
        shape = (*SHAPE, 1)
        return serving(
            tf.Module(), lambda image: {"probability": by(image)["probability"] + error}, shape
        )

    return other


def imported(tmp_path):
    path = save_function(tmp_path / "net", lambda x: 0.9 * x, SHAPE)
    digests = {"md5": "m" * 32, "sha256": "s" * 64}
    folds.write_fold(part(path, SHAPE), path, digests, tmp_path / "toy/fold-1")
    return tmp_path / "toy/fold-1"


@pytest.mark.parametrize("error", [0.0, 1e-3])
def test_a_fold_is_frozen_unless_that_changes_it(tmp_path, monkeypatch, error):
    monkeypatch.setattr(folds, "frozen", rounded(error))
    loaded = tf.saved_model.load(str(imported(tmp_path)))
    fold = loaded.signatures["serving_default"]
    assert bool(fold.variables) == bool(error)
    image = folds.random_volume((*SHAPE, 1))[None]
    found = fold(image=tf.constant(image))["probability"]
    np.testing.assert_array_equal(found, np.float32(0.9) * image)


@pytest.mark.parametrize(
    ("rounding", "off", "taken"),
    [
        (0.0, 0.9e-5, True),
        (0.0, 1.5e-5, False),
        (0.8e-5, 1.5e-5, False),  # within what import allows: the card's tolerance holds
        (2e-5, 3.5e-5, True),  # not known better than that in float32
        (2e-5, 4.5e-5, False),
        (2e-4, 0.9e-4, True),
        (2e-4, 1.5e-4, False),  # so far apart is no rounding
    ],
)
def test_openvino_may_differ_by_what_float32_leaves_open(
    tmp_path, monkeypatch, rounding, off, taken
):
    monkeypatch.setattr(folds, "frozen", rounded(rounding))
    by = lambda volume: [np.float32(0.9) * volume + off]  # noqa: E731
    monkeypatch.setattr(folds, "compiled_openvino", lambda *_: by)
    assert (facts.read(imported(tmp_path) / "fold.json")["openvino"] is True) == taken
