"""The user's config and its schema."""

import pytest
import yaml

from lesionflow.base.errors import ConfigError
from lesionflow.cards.config import checked
from support.paths import HOUSE

SCHEMA = HOUSE / "config/schemas/config.schema.yaml"


def test_config_file_and_schema_have_the_same_keys_and_defaults():
    config = yaml.safe_load((HOUSE / "config/config.yaml").read_text())
    schema = yaml.safe_load(SCHEMA.read_text())
    assert set(config) == set(schema["properties"])
    for key, rule in schema["properties"].items():
        assert rule["description"]
        if key != "patterns":
            assert config[key] == rule["default"], key


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"modle": 3}, "unknown key 'modle'.*models"),
        ({"threshold": 2}, "threshold: 2"),
        ({"threshold": "high"}, "threshold: 'high'"),
        ({"device": "tpu"}, "device: 'tpu' is not one of.*auto.*cpu"),
        ({"keep": ["all"]}, "keep"),
        ({"models": []}, "models: name at least one"),
        ({"patterns": {"swi": "x"}}, "patterns.swi"),
    ],
)
def test_a_wrong_config_is_an_error_of_one_line(config, message):
    with pytest.raises(ConfigError, match=message) as error:
        checked(config, SCHEMA)
    assert "\n" not in str(error.value)


def test_models_are_a_name_or_a_list_of_names():
    assert checked({"models": "a"}, SCHEMA)["models"] == ["a"]
    assert checked({"models": ["a", "b"]}, SCHEMA)["models"] == ["a", "b"]


@pytest.mark.parametrize(
    "key, value", [("threshold", float("nan")), ("min_volume_mm3", float("inf"))]
)
def test_numbers_must_be_finite(key, value):
    with pytest.raises(ConfigError, match=f"config: {key}: "):
        checked({key: value}, SCHEMA)


def test_a_whole_number_may_be_written_as_a_float():
    assert checked({"echo": 2.0}, SCHEMA)["echo"] == 2
