"""Rebuilt networks, held against passes that share no code with them, and against damaged files."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lesionflow.base.errors import WeightsError
from lesionflow.networks.architectures import livianet, registry
from lesionflow.networks.inference.random_volume import random_volume
from support import forward, published
from support.paths import HOUSE
from support.stand_ins import toy_spec

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
DATA = HOUSE / "tests/data"
SAME = 1e-5
ANY = [None, None, None]
SMALL = {"features": [3, 5, 6]}
LIVIA = {"features": [4, 3], "skips": [0], "dense": [6], "keep": [0.75, 0.5]}


def spec(fmt, shape, outputs, activation, network=None):
    """``FoldSpec`` of a network; ``shape`` includes the channels."""
    return toy_spec(
        Path("weights"), shape[:-1], shape[-1], outputs, activation, fmt, network=network or {}
    )


def synthseg_spec(**network):
    return spec("synthseg-h5", [*ANY, 1], 4, "softmax", {**SMALL, **network})


def run(model, image):
    return np.array(model(image[None], training=False))[0]


def apart(found, expected):
    """Largest difference, of outputs that vary, and that lead to the same labels."""
    assert found.shape == expected.shape
    assert expected.std(axis=tuple(range(expected.ndim - 1))).min() > 0.05
    if found.shape[-1] == 1:
        np.testing.assert_array_equal(found > 0.5, expected > 0.5)
    else:
        np.testing.assert_array_equal(found.argmax(-1), expected.argmax(-1))
    return np.abs(found - expected).max()


@pytest.fixture(scope="module")
def synthseg(tmp_path_factory):
    """Files of one SynthSeg, written by tf-keras and Keras 3, its weights, an image and the oracle's output."""
    folder = tmp_path_factory.mktemp("synthseg")
    model = published.randomize(published.synthseg(SMALL["features"], 4))
    model.save_weights(folder / "weights.h5")
    model.save(folder / "full.h5")
    again = registry.rebuild(synthseg_spec(), folder / "weights.h5")
    again.save(folder / "keras3.h5")
    again.save_weights(folder / "keras3.weights.h5")
    image = random_volume((16, 24, 16, 1), 3)
    return folder, published.weights_of(model), image, run(model, image)


@pytest.mark.parametrize("name", ["weights.h5", "full.h5", "keras3.h5"])
def test_synthseg(synthseg, name):
    folder, weights, image, of_tf_keras = synthseg
    model = registry.rebuild(synthseg_spec(layers=16), folder / name)
    found = run(model, image)
    assert found.dtype == np.float32
    assert model.input_shape == (None, None, None, None, 1)
    assert apart(found, of_tf_keras) <= SAME
    assert apart(found, forward.synthseg(weights, image, 3)) <= SAME


@pytest.mark.parametrize(
    ("wrong", "least"),
    [({"skip_normalized": True}, 1e-2), ({"skip_first": False}, 1e-2), ({"epsilon": 1e-5}, 1e-4)],
)
def test_what_synthseg_is_not(synthseg, wrong, least):
    folder, weights, image, _ = synthseg
    found = run(registry.rebuild(synthseg_spec(), folder / "weights.h5"), image)
    assert np.abs(found - forward.synthseg(weights, image, 3, **wrong)).max() > least


def test_a_given_epsilon_counts(synthseg):
    folder, weights, image, _ = synthseg
    model = registry.rebuild(synthseg_spec(bn_epsilon=0.1), folder / "weights.h5")
    assert np.abs(run(model, image) - forward.synthseg(weights, image, 3, 0.1)).max() <= SAME


def test_a_given_flip_counts(synthseg):
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
    found = run(registry.rebuild(fold, tmp_path / "full.h5"), image)
    assert apart(found, run(model, image)) <= SAME
    assert apart(found, forward.intel(weights, image)) <= SAME
    assert np.abs(found - forward.intel(weights, image, skip_first=True)).max() > 1e-2
    assert np.abs(found - forward.intel(weights, image, epsilon=1e-5)).max() > 1e-4


@pytest.mark.parametrize("name", ["torch-zip.pt", "torch-legacy.pt"])
def test_buda(name, tmp_path):
    stored = np.load(DATA / "torch-expected.npz")
    image, expected = stored["image"][0], stored["probability"][0]
    network = {"features": [2, 4, 6, 8]}
    fold = spec("torch-unet2d", [None, None, 3], 2, "sigmoid", network)
    model = registry.rebuild(fold, DATA / name)
    found = run(model, image)
    assert apart(found, expected) <= SAME
    np.testing.assert_array_equal(found > 0.5, expected > 0.5)
    of_keras = replace(fold, network={**network, "bn_epsilon": 1e-3})
    assert np.abs(run(registry.rebuild(of_keras, DATA / name), image) - expected).max() > 1e-4
    for level in (1, 2, 3):  # as if [skip, up] were joined
        layer = model.get_layer(f"decoder{level}.dec{level}conv1")
        kernel = layer.get_weights()[0]
        layer.set_weights([np.roll(kernel, kernel.shape[2] // 2, axis=2)])
    assert np.abs(run(model, image) - expected).max() > 1e-2


def test_livianet_from_theanos_pickle():
    stored = np.load(DATA / "livianet-expected.npz")
    image, expected = stored["image"][0], stored["probability"][0]
    fold = spec("livianet-pickle", [11, 10, 9, 1], 3, "softmax", LIVIA)
    path = DATA / "livianet-theano.pkl.gz"
    model = registry.rebuild(fold, path)
    assert model.input_shape == (None, 11, 10, 9, 1)
    assert apart(run(model, image), expected) <= SAME
    unflipped = replace(fold, network={**LIVIA, "kernel_flip": False})
    assert np.abs(run(registry.rebuild(unflipped, path), image) - expected).max() > 1e-2
    for n in range(2):
        forgotten = replace(fold, network={**LIVIA, "keep": [(1, 0.5), (0.75, 1)][n]})
        assert np.abs(run(registry.rebuild(forgotten, path), image) - expected).max() > 1e-2


def livianet_layers(features, skips, dense, labels, seed=5):
    """Raw arrays of every layer, the classifier last."""
    rng = np.random.default_rng(seed)
    joined = features[-1] + sum(features[n] for n in skips)
    ins, outs = [1, *features[:-1], joined, *dense], [*features, *dense, labels]
    layers = []
    for n, (before, after) in enumerate(zip(ins, outs, strict=True)):
        size, last = 3 if n < len(features) else 1, n == len(ins) - 1
        scale = (8 if last else 2) / np.sqrt(before * size**3)
        layer = {
            "weights": rng.normal(0, scale, (after, before, size, size, size)),
            "gamma": rng.uniform(0.5, 1.5, before),
            "beta": rng.normal(0, 0.3, before),
            "mean": rng.normal(0, 0.3, (20, before)),
            "variance": rng.uniform(0.5, 1.5, (20, before)),
            ("bias" if last else "prelu"): rng.uniform(0, 0.5, after if last else before),
        }
        layers.append({k: v.astype(np.float32) for k, v in layer.items()})
    return layers


def save_livianet(folder, layers):
    folder.mkdir()
    for n, layer in enumerate(layers):
        name = "Classifier" if n == len(layers) - 1 else f"ConvLayer_{n}"
        for short, array in layer.items():
            np.save(folder / f"{short}_{name}.npy", array)
    return folder


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
    found, design = run(model, image), (7, [2, 5], network["keep"])
    assert found.shape == (5, 6, 4, 4)
    assert livianet.margin(network) == 7
    assert apart(found, forward.livianet(layers, image, *design)) <= SAME
    wrong = forward.livianet(layers, image, *design, true_convolution=False)
    assert np.abs(found - wrong).max() > 1e-2
    wrong = forward.livianet(layers, image, *design, skips_first=True)
    assert np.abs(found - wrong).max() > 1e-2


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
    model = registry.ROUTES[fmt].build(fold, registry.settled(fold))
    assert model.count_params() == parameters
    assert sum(bool(layer.weights) for layer in model.layers) == layers
    assert model.output_shape == (None, *size, outputs)


def test_margins():
    assert livianet.margin({}) == livianet.margin({"features": None}) == 3
    assert livianet.margin({"features": [25] * 9}) == 9


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({"keep": [0.5]}, "network.keep of the card: expected 2 factors, .* found 1"),
        ({"skips": [2]}, "network.skips of the card: expected numbers from 0 to 1, found .2."),
        ({"filters": [2]}, "network.filters of the card: livianet-npy has bn_epsilon, dense"),
        ({"features": [2] * 8}, "an input of .16, 17, 18. is too small: each side loses 16 voxels"),
    ],
)
def test_mistakes_in_a_card(tmp_path, network, message):
    fold = spec("livianet-npy", [16, 17, 18, 1], 3, "softmax", {**LIVIA, **network})
    path = save_livianet(tmp_path / "weights", livianet_layers([4, 3], [0], [6], 3))
    with pytest.raises(WeightsError, match=message):
        registry.rebuild(fold, path)


def edited(folder, tmp_path, change):
    """A copy of the weights-only file, changed by a function of the open file."""
    import h5py

    path = shutil.copyfile(folder / "weights.h5", tmp_path / "weights.h5")
    with h5py.File(path, "r+") as file:
        change(file)
    return path


CONV, NORM = "unet_conv_uparm_3_0", "unet_bn_down_1"


def without(file):
    file.attrs["layer_names"] = [n for n in file.attrs["layer_names"] if n != CONV]


def one_more(file):
    file.copy(CONV, "unet_extra")
    file.attrs["layer_names"] = [*file.attrs["layer_names"], "unet_extra"]


def replace_array(layer, array, change):
    def edit(file):
        name = f"{layer}/{layer}/{array}:0"
        old = file[name][()]
        del file[name]
        file[name] = change(old)

    return edit


def renamed(file):
    names = list(file.attrs["layer_names"])
    for name in names:
        file.move(name, f"net_{name}")
    file.attrs["layer_names"] = [f"net_{name}" for name in names]


def no_bias(file):
    file[CONV].attrs["weight_names"] = [f"{CONV}/kernel:0"]


def nan(array):
    array.flat[3] = np.nan
    return array


@pytest.mark.parametrize(
    ("change", "network", "message"),
    [
        (without, {}, f"lacks the layer {CONV}; the network has 16 layers .*, the file 15$"),
        (one_more, {}, "has the layer unet_extra that the network lacks; .* 16 .*, the file 17$"),
        (renamed, {}, "lacks the layer unet_conv_downarm_0_0 and 15 more, but has net_unet_.* and"),
        (renamed, {"prefix": "other_"}, "layer net_unet_.* expected to begin with 'other_'"),
        (
            replace_array(CONV, "kernel", lambda a: a[..., :-1]),
            {},
            rf"layer {CONV}: expected bias .5,., kernel .3, 3, 3, 11, 5., found .* .3, 3, 3, 11, 4.",
        ),
        (no_bias, {}, rf"layer {CONV}: expected bias .5,., kernel .*, found kernel "),
        (
            replace_array(CONV, "bias", nan),
            {},
            rf"layer {CONV}: .* in bias, found 1 of 5 that are NaN",
        ),
        (
            replace_array(NORM, "gamma", lambda a: a * np.float32(np.inf)),
            {},
            f"layer {NORM}: .* infinite",
        ),
        (
            replace_array(NORM, "beta", lambda a: a.astype("f8") + 1e300),
            {},
            f"layer {NORM}: .* infinite",
        ),
        (
            replace_array(NORM, "moving_variance", lambda a: a - 9),
            {},
            rf"layer {NORM}: expected variances, found -8",
        ),
        (
            replace_array(NORM, "gamma", lambda a: a.astype(int)),
            {},
            f"layer {NORM}: .*gamma:0 is int64",
        ),
        (lambda file: None, {"layers": 17}, "17 layers with weights are expected .*, the file 16"),
        (
            lambda file: None,
            {"features": [3, 5, 6, 7]},
            "lacks the layer unet_conv_downarm_3_0 and",
        ),
        (
            lambda file: None,
            {"features": [3, 5]},
            "lacks .*, but has unet_conv_downarm_2_0 and 7 more",
        ),
    ],
)
def test_every_layer_is_counted(synthseg, tmp_path, change, network, message):
    path = edited(synthseg[0], tmp_path, change)
    with pytest.raises(WeightsError, match=message) as error:
        registry.rebuild(synthseg_spec(**network), path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_a_prefix_is_taken_off(synthseg, tmp_path):
    folder, _, image, expected = synthseg
    path = edited(folder, tmp_path, renamed)
    model = registry.rebuild(synthseg_spec(prefix="net_"), path)
    assert np.abs(run(model, image) - expected).max() <= SAME


def test_a_state_dict_of_another_network():
    fold = spec("torch-unet2d", [None, None, 3], 2, "sigmoid", {"features": [2, 4, 6]})
    with pytest.raises(WeightsError, match="lacks|has the layer"):
        registry.rebuild(fold, DATA / "torch-zip.pt")
    fold = replace(fold, network={"features": [2, 4, 6, 9]})
    with pytest.raises(
        WeightsError, match=r"layer bottleneck.bottleneckconv1: expected kernel .3, 3, 6, 9"
    ):
        registry.rebuild(fold, DATA / "torch-zip.pt")
    fold = replace(fold, network={"features": [2, 4, 6, 8], "prefix": "module."})
    with pytest.raises(WeightsError, match=r"layer encoder1.enc1conv1: .* begin with 'module.'"):
        registry.rebuild(fold, DATA / "torch-zip.pt")


def test_weights_in_keras_3s_own_layout(synthseg):
    with pytest.raises(WeightsError, match=r"layout is Keras 3's .weights.h5; the legacy H5"):
        registry.rebuild(synthseg_spec(), synthseg[0] / "keras3.weights.h5")


@pytest.mark.parametrize("fmt", sorted(registry.FORMATS))
def test_what_is_not_there_or_no_file(tmp_path, fmt):
    fold = spec(fmt, [*ANY, 1], 4, "softmax")
    for path in (tmp_path / "nowhere", *([] if fmt == "livianet-npy" else [tmp_path])):
        with pytest.raises(
            WeightsError, match="cannot be read|is not a whole H5|is no folder"
        ) as error:
            registry.rebuild(fold, path)
        assert str(error.value).startswith(f"{path}: ")
