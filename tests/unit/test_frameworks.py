"""How the frameworks are set up, and what is made of a network before it is saved."""

import os

import numpy as np
import pytest
import tensorflow as tf
from stand_ins import SHAPE, part, save_function

from lesionflow import folds
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


@pytest.mark.parametrize("error", [0.0, 1e-3])
def test_a_fold_is_frozen_unless_that_changes_it(tmp_path, monkeypatch, error):
    def rounded(tf, serve):
        by = frozen(tf, serve)
        return serving(
            tf.Module(),
            lambda image: {"probability": by(image)["probability"] + error},
            (*SHAPE, 1),
        )

    monkeypatch.setattr(folds, "frozen", rounded)
    path = save_function(tmp_path / "net", lambda x: x, SHAPE)
    digests = {"md5": "m" * 32, "sha256": "s" * 64}
    folds.write_fold(part(path, SHAPE), path, digests, tmp_path / "toy/fold-1")
    loaded = tf.saved_model.load(str(tmp_path / "toy/fold-1"))
    fold = loaded.signatures["serving_default"]
    assert bool(fold.variables) == bool(error)
    image = folds.random_volume((*SHAPE, 1))[None]
    np.testing.assert_array_equal(fold(image=tf.constant(image))["probability"], image)
