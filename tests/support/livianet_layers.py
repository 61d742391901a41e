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
    found = {}
    for n, arrays in enumerate(layers):
        name = "Classifier" if "bias" in arrays else f"ConvLayer_{n}"
        conv = {"kernel": np.moveaxis(arrays["weights"], (0, 1), (4, 3))}
        if "bias" in arrays:
            conv["bias"] = arrays["bias"]
        else:
            found[f"{name}.prelu"] = {"alpha": arrays["prelu"][None, None, None]}
        found[f"{name}.conv"] = conv
        found[f"{name}.bn"] = {
            "gamma": arrays["gamma"],
            "beta": arrays["beta"],
            "moving_mean": arrays["mean"].mean(0),
            "moving_variance": arrays["variance"].mean(0),
        }
    return found


def assert_same(found, wanted):
    assert {k: set(v) for k, v in found.items()} == {k: set(v) for k, v in wanted.items()}
    for layer, arrays in wanted.items():
        for name, array in arrays.items():
            np.testing.assert_allclose(found[layer][name], array, 1e-6, 1e-7, err_msg=layer)
            assert found[layer][name].dtype == np.float32
