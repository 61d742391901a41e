"""Rebuilt networks compared with independent implementations of the published ones."""

from dataclasses import replace

import numpy as np
import pytest

from lesionflow.networks.architectures import livianet, registry
from lesionflow.networks.inference.random_volume import random_volume
from support import forward, published
from support.rebuilt_networks import (
    ANY,
    DATA,
    LIVIA,
    SAME,
    SMALL,
    largest_difference,
    livianet_layers,
    run,
    save_livianet,
    spec,
    synthseg_files,
    synthseg_spec,
)

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def synthseg(tmp_path_factory):
    return synthseg_files(tmp_path_factory.mktemp("synthseg"))


@pytest.mark.parametrize("name", ["weights.h5", "full.h5", "keras3.h5"])
def test_synthseg(synthseg, name):
    folder, weights, image, of_tf_keras = synthseg
    model = registry.rebuild(synthseg_spec(layers=16), folder / name)
    output = run(model, image)
    assert output.dtype == np.float32
    assert model.input_shape == (None, None, None, None, 1)
    assert largest_difference(output, of_tf_keras) <= SAME
    assert largest_difference(output, forward.synthseg(weights, image, 3)) <= SAME


@pytest.mark.parametrize(
    ("wrong", "least"),
    [({"skip_normalized": True}, 1e-2), ({"skip_first": False}, 1e-2), ({"epsilon": 1e-5}, 1e-4)],
)
def test_wrong_variants_of_synthseg_differ(synthseg, wrong, least):
    folder, weights, image, _ = synthseg
    output = run(registry.rebuild(synthseg_spec(), folder / "weights.h5"), image)
    assert np.abs(output - forward.synthseg(weights, image, 3, **wrong)).max() > least


def test_epsilon_of_the_card_is_used(synthseg):
    folder, weights, image, _ = synthseg
    model = registry.rebuild(synthseg_spec(bn_epsilon=0.1), folder / "weights.h5")
    assert np.abs(run(model, image) - forward.synthseg(weights, image, 3, 0.1)).max() <= SAME


def test_kernel_flip_of_the_card_is_used(synthseg):
    folder, weights, image, _ = synthseg
    model = registry.rebuild(synthseg_spec(kernel_flip=True), folder / "weights.h5")
    assert np.abs(run(model, image) - forward.synthseg(weights, image, 3)).max() > 1e-2
    turned = {k: dict(v) for k, v in weights.items()}
    for arrays in turned.values():
        if "kernel" in arrays:
            arrays["kernel"] = arrays["kernel"][::-1, ::-1, ::-1]
    assert np.abs(run(model, image) - forward.synthseg(turned, image, 3)).max() <= SAME


def test_intel(tmp_path):
    model = published.randomize(published.intel(SMALL["features"], 2), head=6)
    image = random_volume((16, 8, 24, 2), 4)
    image = (image - image.mean()) / image.std()
    median = np.median(run(model, image))
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([kernel, bias - np.log(median / (1 - median))])
    model.save(tmp_path / "full.h5")
    weights = published.weights_of(model)
    fold = spec("intel-unet3d-h5", [*ANY, 2], 1, "sigmoid", SMALL)
    output = run(registry.rebuild(fold, tmp_path / "full.h5"), image)
    assert largest_difference(output, run(model, image)) <= SAME
    assert largest_difference(output, forward.intel(weights, image)) <= SAME
    assert np.abs(output - forward.intel(weights, image, skip_first=True)).max() > 1e-2
    assert np.abs(output - forward.intel(weights, image, epsilon=1e-5)).max() > 1e-4


@pytest.mark.parametrize("name", ["torch-zip.pt", "torch-legacy.pt"])
def test_buda(name, tmp_path):
    stored = np.load(DATA / "torch-expected.npz")
    image, expected = stored["image"][0], stored["probability"][0]
    network = {"features": [2, 4, 6, 8]}
    fold = spec("torch-unet2d", [None, None, 3], 2, "sigmoid", network)
    model = registry.rebuild(fold, DATA / name)
    output = run(model, image)
    assert largest_difference(output, expected) <= SAME
    np.testing.assert_array_equal(output > 0.5, expected > 0.5)
    of_keras = replace(fold, network={**network, "bn_epsilon": 1e-3})
    assert np.abs(run(registry.rebuild(of_keras, DATA / name), image) - expected).max() > 1e-4
    for level in (1, 2, 3):  # as if [skip, up] were joined
        layer = model.get_layer(f"decoder{level}.dec{level}conv1")
        kernel = layer.get_weights()[0]
        layer.set_weights([np.roll(kernel, kernel.shape[2] // 2, axis=2)])
    assert np.abs(run(model, image) - expected).max() > 1e-2


def test_livianet_from_a_pickle_of_theano():
    stored = np.load(DATA / "livianet-expected.npz")
    image, expected = stored["image"][0], stored["probability"][0]
    fold = spec("livianet-pickle", [11, 10, 9, 1], 3, "softmax", LIVIA)
    path = DATA / "livianet-theano.pkl.gz"
    model = registry.rebuild(fold, path)
    assert model.input_shape == (None, 11, 10, 9, 1)
    assert largest_difference(run(model, image), expected) <= SAME
    unflipped = replace(fold, network={**LIVIA, "kernel_flip": False})
    assert np.abs(run(registry.rebuild(unflipped, path), image) - expected).max() > 1e-2
    for n in range(2):
        forgotten = replace(fold, network={**LIVIA, "keep": [(1, 0.5), (0.75, 1)][n]})
        assert np.abs(run(registry.rebuild(forgotten, path), image) - expected).max() > 1e-2


def test_livianet_from_a_folder(tmp_path):
    network = {
        "features": [3, 3, 4, 4, 5, 5, 6],
        "skips": [2, 5],
        "dense": [8, 7],
        "keep": [0.75, 0.6, 0.5],
    }
    layers = livianet_layers(network["features"], [2, 5], [8, 7], 4)
    path = save_livianet(tmp_path / "weights", layers)
    (path / "Readme.txt").write_text("no array")
    model = registry.rebuild(spec("livianet-npy", [*ANY, 1], 4, "softmax", network), path)
    image = random_volume((19, 20, 18, 1), 6)
    output, design = run(model, image), (7, [2, 5], network["keep"])
    assert output.shape == (5, 6, 4, 4)
    assert livianet.margin(network) == 7
    assert largest_difference(output, forward.livianet(layers, image, *design)) <= SAME
    wrong = forward.livianet(layers, image, *design, true_convolution=False)
    assert np.abs(output - wrong).max() > 1e-2
    wrong = forward.livianet(layers, image, *design, skips_first=True)
    assert np.abs(output - wrong).max() > 1e-2


@pytest.mark.parametrize(
    ("fmt", "inputs", "outputs", "network", "parameters", "layers"),
    [
        ("synthseg-h5", 1, 33, None, 13_242_849, 28),
        ("synthseg-h5", 1, 32, None, 13_242_824, 28),
        ("intel-unet3d-h5", 1, 1, None, 5_650_801, 41),
        ("torch-unet2d", 3, 1, {"features": None}, 7_768_929, 41),
        ("livianet-npy", 1, 9, None, 26_484, 14),
        (
            "livianet-pickle",
            1,
            9,
            {
                "features": [25] * 3 + [50] * 3 + [75] * 3,
                "dense": [400, 200, 150],
                "skips": [2, 5],
                "keep": [0.75, 0.75, 0.75, 0.5],
            },
            785_764,
            38,
        ),
    ],
)
def test_published_sizes(fmt, inputs, outputs, network, parameters, layers):
    size = ANY[:2] if fmt == "torch-unet2d" else ANY
    fold = spec(fmt, [*size, inputs], outputs, "softmax", network)
    model = registry.WEIGHT_FORMATS[fmt].build(fold, registry.network_parameters(fold))
    assert model.count_params() == parameters
    assert sum(bool(layer.weights) for layer in model.layers) == layers
    assert model.output_shape == (None, *size, outputs)


def test_margins():
    assert livianet.margin({}) == livianet.margin({"features": None}) == 3
    assert livianet.margin({"features": [25] * 9}) == 9
