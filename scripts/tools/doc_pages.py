"""The pages of docs/ that list what the code and its schemas define: columns, config keys, card keys."""

import library_path  # noqa: F401  # isort: skip

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from lesionflow.results import columns, evaluation_columns


def outputs_page() -> str:
    """The tables' columns."""
    parts = [
        "# Columns of the tables",
        "",
        "Made by `make docs` from scripts/lesionflow/columns.py and evaluation_columns.py.",
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
        for c in chapter:
            name = c["name"].replace("{label}", "LABEL")
            text = c["Description"].replace("{label}", "LABEL")
            levels = "".join(f"<br>`{k}`: {v}" for k, v in c.get("Levels", {}).items())
            parts.append(f"| `{name}` | {text}{levels} | {c.get('Units', '')} |")
        parts.append("")
    return "\n".join(parts)


def config_page(schemas: Path) -> str:
    """The config's keys, from the folder of the schemas."""
    schema = yaml.safe_load((schemas / "config.schema.yaml").read_text("utf-8"))
    parts = [
        "# Config keys",
        "",
        "Made by `make docs` from config/schemas/config.schema.yaml.",
        "",
    ]
    parts += ["| key | meaning | default |", "|---|---|---|"]
    for key, rule in schema["properties"].items():
        default = "null" if rule["default"] is None else str(rule["default"])
        parts.append(f"| `{key}` | {rule['description']} | `{default}` |")
    return "\n".join([*parts, ""])


def card_page(schemas: Path) -> str:
    """The keys of a model card, from the folder of the schemas."""
    schema = yaml.safe_load((schemas / "card.schema.yaml").read_text("utf-8"))
    parts = [
        "# Keys of a model card",
        "",
        "Made by `make docs` from config/schemas/card.schema.yaml. A key without a default is needed.",
        "[own_network.md](own_network.md) brings a network of your own step by step; config/models/ has the cards of the",
        "published ones, each number with its source.",
        "",
    ]
    rows = list(_card_keys(schema, schema))
    chapters = {"": "The model", "input": "input: what the network expects"}
    chapters |= {"output": "output: what it returns", "postprocess": "postprocess: what is counted"}
    for chapter, title in chapters.items():
        own = [row for row in rows if (row[0].split(".")[0] if chapter else "") == chapter]
        if not chapter:
            own = [row for row in rows if row[0].split(".")[0] not in chapters]
        parts += [f"## {title}", "", "| key | meaning | default |", "|---|---|---|"]
        parts += [f"| `{key}` | {text} | {default} |" for key, text, default in own] + [""]
    parts += [
        "## Steps of `input.before_crop` and `input.normalize`",
        "",
        "| key | meaning |",
        "|---|---|",
    ]
    steps = schema["$defs"]["steps"]["items"]["properties"]
    parts += [f"| `{key}` | {rule['description']} |" for key, rule in steps.items()]
    return "\n".join([*parts, ""])


def _card_keys(
    rule: dict[str, Any], schema: dict[str, Any], prefix: str = ""
) -> Iterator[tuple[str, str, str]]:
    for key, part in rule.get("properties", {}).items():
        if "$ref" in part:
            part = {**schema["$defs"][part["$ref"].split("/")[-1]], **part}
        name = f"{prefix}{key}"
        default = f"`{json.dumps(part['default'])}`" if "default" in part else "needed"
        if not (part.get("properties") and not prefix and key != "source"):
            yield name, part["description"], default
        if part.get("properties"):
            yield from _card_keys(part, schema, f"{name}.")
        if (
            isinstance(part.get("items"), dict)
            and part["items"].get("properties")
            and key == "folds"
        ):
            yield from _card_keys(part["items"], schema, f"{name}.N.")
