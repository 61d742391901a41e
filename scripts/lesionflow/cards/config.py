"""The user's config, checked against its schema, every mistake told in one line."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from lesionflow.base.errors import ConfigError

LISTS = ("include", "exclude", "models")


def checked(config: Mapping[str, Any], schema_file: Path) -> dict[str, Any]:
    """A copy of the config with defaults filled in and names as lists.

    Parameters
    ----------
    config
        As Snakemake merged it.
    schema_file
        JSON Schema (YAML) with a default for every key.

    Raises
    ------
    ConfigError
        For an unknown key, a wrong type or an impossible value.
    """
    schema = yaml.safe_load(schema_file.read_text(encoding="utf-8"))
    settings = {**{k: s["default"] for k, s in schema["properties"].items()}, **config}
    for key, value in numbers(dict(config)):
        if not math.isfinite(value):
            raise ConfigError(f"config: {key}: {value} is no number")
    error = best_match(Draft202012Validator(schema).iter_errors(settings))
    if error is not None:
        raise ConfigError(f"config: {one_line(error)}")
    for key in LISTS:
        if isinstance(settings[key], str):
            settings[key] = [settings[key]]
    if settings["echo"] is not None:
        settings["echo"] = int(settings["echo"])  # 2.0 is an integer to JSON Schema
    if not settings["models"]:
        raise ConfigError("config: models: name at least one card")
    return settings


def numbers(value: Any, key: str = "") -> Iterator[tuple[str, float]]:
    """Every float in nested dicts and lists, with its key."""
    if isinstance(value, float):
        yield key, value
    elif isinstance(value, dict | list):
        for name, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from numbers(part, f"{key}.{name}" if key else str(name))


def one_line(error: ValidationError) -> str:
    """A schema error as ``key: what is wrong (what is allowed)``."""
    key = ".".join(str(part) for part in error.absolute_path)
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {})  # type: ignore[union-attr]
        unknown = sorted(set(error.instance) - set(known))  # type: ignore[arg-type]
        allowed = f" (allowed: {', '.join(known)})" if known else ""
        return f"{key + ': ' if key else ''}unknown key {unknown[0]!r}{allowed}"
    described = error.schema.get("description", "")  # type: ignore[union-attr]
    return f"{key}: {error.message}" + (f" ({described})" if described else "")
