"""The pages of docs/ that list what the code defines, columns, config keys and card keys, and the JSON Schemas."""

import library_path  # noqa: F401  # isort: skip

import json
from collections.abc import Iterator
from typing import Any

import yaml
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema

from lesionflow.cards.card_schema import ModelCard
from lesionflow.cards.config import Config
from lesionflow.cards.input_schema import Step
from lesionflow.cards.sections import Section, section_of
from lesionflow.results import columns, evaluation_columns

CHAPTERS = {
    "input": "input: what the network expects",
    "output": "output: what it returns",
    "postprocess": "postprocess: what is counted",
}


def outputs_page() -> str:
    """The page with the columns of the tables."""
    parts = [
        "# Columns of the tables",
        "",
        "Made by `make docs` from lesionflow.results.columns and lesionflow.results.evaluation_columns.",
        "",
    ]
    chapters = {
        "cohort.csv: the scan": columns.SCAN,
        "cohort.csv: for every label, e.g. `cmb_count`": columns.LABEL,
        "cohort.csv: quality": columns.QUALITY,
        "cohort.csv: provenance": columns.PROVENANCE,
        "lesions.csv": columns.LESION,
        "evaluation.csv": evaluation_columns.EVALUATION,
        "evaluation_thresholds.csv": evaluation_columns.THRESHOLDS,
    }
    for title, chapter in chapters.items():
        parts += [f"## {title}", "", "| column | meaning | units |", "|---|---|---|"]
        for column in chapter:
            name = column["name"].replace("{label}", "LABEL")
            text = column["Description"].replace("{label}", "LABEL")
            levels = "".join(f"<br>`{k}`: {v}" for k, v in column.get("Levels", {}).items())
            parts.append(f"| `{name}` | {text}{levels} | {column.get('Units', '')} |")
        parts.append("")
    return "\n".join(parts)


class _SchemaWithoutTitles(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:
        return False  # pydantic's titles only repeat the keys


def json_schema(model: type[Section]) -> str:
    """The JSON Schema of the config or of the cards as YAML, for editors."""
    schema = {
        "$schema": GenerateJsonSchema.schema_dialect,
        **model.model_json_schema(schema_generator=_SchemaWithoutTitles),
    }
    text = yaml.safe_dump(schema, sort_keys=False, width=120)
    return f"# Made by `make docs` from {model.__module__}.\n{text}"


def config_page() -> str:
    """The page with the keys of the config."""
    parts = ["# Config keys", "", "Made by `make docs` from lesionflow.cards.config.", ""]
    parts += ["| key | meaning | default |", "|---|---|---|"]
    parts += [_row(key, field) for key, field in Config.model_fields.items()]
    return "\n".join([*parts, ""])


def card_page() -> str:
    """The page with the keys of a model card."""
    parts = [
        "# Keys of a model card",
        "",
        "Made by `make docs` from lesionflow.cards.card_schema. Keys without a default are required.",
        "[own_network.md](own_network.md) adds a network of your own step by step; config/models/ has the cards of the",
        "published ones, each number with its source.",
        "",
    ]
    rows = list(_rows(ModelCard))
    for chapter, title in {"": "The model", **CHAPTERS}.items():
        parts += [f"## {title}", "", "| key | meaning | default |", "|---|---|---|"]
        for key, row in rows:
            section = key.split(".")[0]
            if section == chapter or (not chapter and section not in CHAPTERS):
                parts.append(row)
        parts.append("")
    parts += ["## Steps of `input.before_crop` and `input.normalize`", ""]
    parts += ["| key | meaning |", "|---|---|"]
    parts += [f"| `{key}` | {field.description} |" for key, field in Step.model_fields.items()]
    return "\n".join([*parts, ""])


def _rows(model: type[Section], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Key and table row of every key of a section and of the sections in it, without those of ``Step``."""
    for key, field in model.model_fields.items():
        section = section_of(field.annotation)
        if key not in CHAPTERS:
            yield prefix + key, _row(prefix + key, field)
        if section and section is not Step:
            yield from _rows(section, f"{prefix}{key}.N." if key == "folds" else f"{prefix}{key}.")


def _row(key: str, field: FieldInfo) -> str:
    default = "{}" if field.default_factory else json.dumps(field.default, default=str)
    return f"| `{key}` | {field.description} | {'required' if field.is_required() else f'`{default}`'} |"
