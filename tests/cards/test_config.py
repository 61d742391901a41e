"""The config: defaults, lists of names, and mistakes."""

import pytest
import yaml

from lesionflow.base.errors import ConfigError
from lesionflow.cards.config import Config, check_config
from support.paths import REPOSITORY


def test_config_yaml_has_every_key_with_its_default():
    config = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text())
    assert set(config) == set(Config.model_fields)
    assert check_config({}) == check_config(config)
    assert all(field.description for field in Config.model_fields.values())


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({1: 2}, "unknown key 1 .*models"),
        ({"modle": 3}, "unknown key 'modle': did you mean models[?] .allowed: cohort"),
        ({"cohort": 2024}, "cohort: 2024 is read as a number; text is written 'cohort=.2024.'"),
        ({"include": 1}, "include: 1 is read as a number; text is written 'include=.1.'"),
        ({"exclude": ["a", 2]}, "exclude.1: 2 is read as a number; text is written '.2.'"),
        ({"threshold": 2}, "threshold: 2"),
        ({"threshold": "high"}, "threshold: 'high'"),
        ({"device": "tpu"}, "device: 'tpu' should be 'auto', 'cpu' or 'gpu'"),
        ({"keep": ["all"]}, "keep"),
        ({"models": []}, "models: \\[\\] should have at least 1 item"),
        ({"patterns": {"swi": "x"}}, "patterns.swi"),
    ],
)
def test_a_mistake_is_one_line(config, message):
    with pytest.raises(ConfigError, match=message) as error:
        check_config(config)
    assert "\n" not in str(error.value)


def test_names_may_be_one_or_a_list():
    assert check_config({"models": "a"})["models"] == ["a"]
    assert check_config({"models": ["a", "b"]})["models"] == ["a", "b"]


@pytest.mark.parametrize(
    ("key", "value"), [("threshold", float("nan")), ("min_volume_mm3", float("inf"))]
)
def test_numbers_are_finite(key, value):
    with pytest.raises(ConfigError, match=f"{key}: .* should be a finite number"):
        check_config({key: value})


def test_integers_may_be_written_with_a_decimal_point():
    assert repr(check_config({"echo": 2.0})["echo"]) == "2"


@pytest.mark.parametrize(("text", "value"), [("true", True), ("false", False), (True, True)])
def test_the_words_of_yaml_are_booleans_on_the_command_line_too(text, value):
    found = check_config({"dicom_seg": text, "xla": text})
    assert found["dicom_seg"] is found["xla"] is value
    with pytest.raises(ConfigError):
        check_config({"dicom_seg": "maybe"})
