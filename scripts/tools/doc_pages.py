"""Pages of docs/ generated from the code (columns, config keys, card keys), and the JSON Schemas."""

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
from lesionflow.results.reviews import review_columns

CHAPTERS = {
    "input": "input: what the network expects",
    "output": "output: what it returns",
    "postprocess": "postprocess: what is counted",
}


def outputs_page() -> str:
    """The page with the columns of all tables."""
    lines = [
        "# Columns of the tables",
        "",
        "Made by `make docs` from lesionflow.results: columns, reviews.review_columns and evaluation_columns.",
        "",
    ]
    chapters = {
        "cohort.csv: the scan": columns.SCAN,
        "cohort.csv: for every label, e.g. `cmb_count`": columns.LABEL,
        "cohort.csv: quality": columns.QUALITY,
        "cohort.csv: provenance": columns.PROVENANCE,
        "lesions.csv": columns.LESION,
        "cohort.csv: for every label, with a review": review_columns.OF_LABEL,
        "cohort.csv: with a review": review_columns.OF_MODEL,
        "lesions.csv: with a review": review_columns.OF_LESION,
        "review_unmatched.csv": review_columns.UNMATCHED,
        "review_conflicts.csv": review_columns.CONFLICTS,
        "review_agreement.csv": review_columns.AGREEMENT,
        "review.tsv, exported from the report": review_columns.FILE,
        "evaluation.csv": evaluation_columns.EVALUATION,
        "evaluation_thresholds.csv": evaluation_columns.THRESHOLDS,
        "evaluation_errors.csv": evaluation_columns.ERRORS,
    }
    for title, chapter in chapters.items():
        lines += [f"## {title}", "", "| column | meaning | units |", "|---|---|---|"]
        for c in chapter:
            name = c["name"].replace("{label}", "LABEL")
            text = c["Description"].replace("{label}", "LABEL")
            levels = "".join(f"<br>`{k}`: {v}" for k, v in c.get("Levels", {}).items())
            lines.append(f"| `{name}` | {text}{levels} | {c.get('Units', '')} |")
        lines.append("")
    return "\n".join(lines)


class _SchemaWithoutTitles(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:
        return False  # pydantic's titles only repeat the keys


def json_schema(model: type[Section]) -> str:
    """JSON Schema of the config or of the cards, in YAML, for editors."""
    schema = {
        "$schema": GenerateJsonSchema.schema_dialect,
        **model.model_json_schema(schema_generator=_SchemaWithoutTitles),
    }
    text = yaml.safe_dump(schema, sort_keys=False, width=120)
    return f"# Made by `make docs` from {model.__module__}.\n{text}"


def config_page() -> str:
    """The page with the keys of the config."""
    lines = ["# Config keys", "", "Made by `make docs` from lesionflow.cards.config.", ""]
    lines += ["| key | meaning | default |", "|---|---|---|"]
    lines += [_row(key, field) for key, field in Config.model_fields.items()]
    return "\n".join([*lines, ""])


def card_page() -> str:
    """The page with the keys of a model card."""
    lines = [
        "# Keys of a model card",
        "",
        "Made by `make docs` from lesionflow.cards.card_schema. Keys without a default are required.",
        "[Your own network](own_network.md) adds one step by step; config/models/ has the cards of the",
        "published ones, each number with its source.",
        "",
    ]
    rows = list(_rows(ModelCard))
    for chapter, title in {"": "The model", **CHAPTERS}.items():
        lines += [f"## {title}", "", "| key | meaning | default |", "|---|---|---|"]
        for key, row in rows:
            section = key.split(".")[0]
            if section == chapter or (not chapter and section not in CHAPTERS):
                lines.append(row)
        lines.append("")
    lines += ["## Steps of `input.before_crop` and `input.normalize`", ""]
    lines += ["| key | meaning |", "|---|---|"]
    lines += [f"| `{key}` | {field.description} |" for key, field in Step.model_fields.items()]
    return "\n".join([*lines, ""])


def _rows(model: type[Section], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Key and table row of every key of a section and its nested sections, except for preprocessing steps."""
    for key, field in model.model_fields.items():
        section = section_of(field.annotation)
        if key not in CHAPTERS:
            yield prefix + key, _row(prefix + key, field)
        if section and section is not Step:
            yield from _rows(section, f"{prefix}{key}.N." if key == "folds" else f"{prefix}{key}.")


def _row(key: str, field: FieldInfo) -> str:
    default = "{}" if field.default_factory else json.dumps(field.default, default=str)
    return f"| `{key}` | {field.description} | {'required' if field.is_required() else f'`{default}`'} |"
