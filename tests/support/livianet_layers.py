"""Random layers of a small LiviaNET, and the arrays that a reader must return for them."""

import numpy as np


def raw_layers(seed=0):
    """One convolution to 4 features, one dense layer to 5, a classifier of 3 labels."""
    rng = np.random.default_rng(seed)
    layers = []
    for before, after, size, last in ((1, 4, 3, False), (4, 5, 1, False), (5, 3, 1, True)):
        layer = {
            "weights": rng.normal(size=(after, before, size, size, size)),
            "gamma": rng.normal(size=before),
            "beta": rng.normal(size=before),
            "mean": rng.normal(size=(20, before)),
            "variance": rng.uniform(0.5, 1, (20, before)),
            ("bias" if last else "prelu"): rng.normal(size=after if last else before),
        }
        layers.append({k: v.astype(np.float32) for k, v in layer.items()})
    return layers


def expected(layers):
    layer_arrays = {}
    for n, arrays in enumerate(layers):
        name = "Classifier" if "bias" in arrays else f"ConvLayer_{n}"
        conv = {"kernel": np.moveaxis(arrays["weights"], (0, 1), (4, 3))}
        if "bias" in arrays:
            conv["bias"] = arrays["bias"]
        else:
            layer_arrays[f"{name}.prelu"] = {"alpha": arrays["prelu"][None, None, None]}
        layer_arrays[f"{name}.conv"] = conv
        layer_arrays[f"{name}.bn"] = {
            "gamma": arrays["gamma"],
            "beta": arrays["beta"],
            "moving_mean": arrays["mean"].mean(0),
            "moving_variance": arrays["variance"].mean(0),
        }
    return layer_arrays


def assert_same(arrays, expected):
    assert {k: set(v) for k, v in arrays.items()} == {k: set(v) for k, v in expected.items()}
    for layer, expected_arrays in expected.items():
        for name, array in expected_arrays.items():
            np.testing.assert_allclose(arrays[layer][name], array, 1e-6, 1e-7, err_msg=layer)
            assert arrays[layer][name].dtype == np.float32
