"""Checks of an architecture before anything is built from it."""

import pytest

from lesionflow.networks.weights.keras_models import foreign_code, in_float32

MIXED = {"name": "mixed_float16"}


@pytest.mark.parametrize(
    "policy",
    [
        "mixed_float16",
        "float16",
        "mixed_bfloat16",
        {"class_name": "Policy", "config": MIXED},
        {
            "class_name": "PolicyV1",
            "config": {**MIXED, "loss_scale": {"class_name": "DynamicLossScale"}},
        },
        {
            "module": "keras.mixed_precision",
            "class_name": "Policy",
            "config": MIXED,
            "registered_name": None,
        },
        {"module": "keras", "class_name": "DTypePolicy", "config": MIXED, "registered_name": None},
    ],
)
def test_every_form_of_half_precision_becomes_float32(policy):
    config = {"layers": [{"class_name": "Conv3D", "config": {"name": "a", "dtype": policy}}]}
    assert in_float32(config)["layers"][0]["config"] == {"name": "a", "dtype": "float32"}


@pytest.mark.parametrize(
    "policy",
    ["float32", "int32", None, {"class_name": "Policy", "config": {"name": "float32"}}],
)
def test_other_settings_stay(policy):
    config = {"name": "mixed_float16", "layers": [{"config": {"dtype": policy, "units": [1, 2.5]}}]}
    assert in_float32(config) == config


@pytest.mark.parametrize(
    ("layer", "code"),
    [
        ({"class_name": "Lambda", "config": {"function_type": "lambda"}}, ["a Lambda layer"] * 2),
        ({"config": {"function": {"class_name": "__lambda__"}}}, ["a Lambda layer"]),
        ({"module": "os", "class_name": "system"}, ["system of the module os"]),
        ({"module": "keras.layers", "class_name": "Conv3D"}, []),
        ({"module": None, "class_name": "TFOpLambda"}, []),
    ],
)
def test_code_is_found_at_any_depth(layer, code):
    assert list(foreign_code({"config": {"layers": [[layer]]}})) == code
