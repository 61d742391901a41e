"""Small published networks, their weight files, and the models rebuilt from them."""

from pathlib import Path

import numpy as np

from lesionflow.networks.architectures import registry
from lesionflow.networks.inference.random_volume import random_volume
from support import published
from support.paths import REPOSITORY
from support.stand_ins import toy_spec

DATA = REPOSITORY / "tests/data"


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


def largest_difference(output, expected):
    """Largest difference of two outputs, which must vary and give the same labels."""
    assert output.shape == expected.shape
    assert expected.std(axis=tuple(range(expected.ndim - 1))).min() > 0.05
    if output.shape[-1] == 1:
        np.testing.assert_array_equal(output > 0.5, expected > 0.5)
    else:
        np.testing.assert_array_equal(output.argmax(-1), expected.argmax(-1))
    return np.abs(output - expected).max()


def synthseg_files(folder):
    """Files of one SynthSeg, written by tf-keras and Keras 3, its weights, an image and the output of tf-keras."""
    model = published.randomize(published.synthseg(SMALL["features"], 4))
    model.save_weights(folder / "weights.h5")
    model.save(folder / "full.h5")
    rebuilt = registry.rebuild(synthseg_spec(), folder / "weights.h5")
    rebuilt.save(folder / "keras3.h5")
    rebuilt.save_weights(folder / "keras3.weights.h5")
    image = random_volume((16, 24, 16, 1), 3)
    return folder, published.weights_of(model), image, run(model, image)


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
