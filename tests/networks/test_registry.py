"""Weights that do not fit the rebuilt network, and mistakes in a card's ``network``."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from lesionflow.base.errors import WeightsError
from lesionflow.networks.architectures import registry
from support.rebuilt_networks import (
    ANY,
    DATA,
    LIVIA,
    SAME,
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
def test_every_layer_and_array_must_match(synthseg, tmp_path, change, network, message):
    path = edited(synthseg[0], tmp_path, change)
    with pytest.raises(WeightsError, match=message) as error:
        registry.rebuild(synthseg_spec(**network), path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_a_prefix_is_removed(synthseg, tmp_path):
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


def test_weights_in_the_layout_of_keras_3(synthseg):
    with pytest.raises(WeightsError, match=r"layout is Keras 3's .weights.h5; the legacy H5"):
        registry.rebuild(synthseg_spec(), synthseg[0] / "keras3.weights.h5")


@pytest.mark.parametrize("fmt", sorted(registry.FORMATS))
def test_missing_paths_and_wrong_kinds_of_path(tmp_path, fmt):
    fold = spec(fmt, [*ANY, 1], 4, "softmax")
    for path in (tmp_path / "nowhere", *([] if fmt == "livianet-npy" else [tmp_path])):
        with pytest.raises(
            WeightsError, match="cannot be read|is not a complete H5|is not a folder"
        ) as error:
            registry.rebuild(fold, path)
        assert str(error.value).startswith(f"{path}: ")
