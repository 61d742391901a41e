"""The cohort's page: who was measured, what was found, and every picture."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

TEMPLATE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>lesionflow: {{ cohort | length }} scans</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 80rem; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; font-size: 13px; display: block; overflow-x: auto }
th, td { border-bottom: 1px solid #ddd; padding: .3rem .6rem; text-align: left; white-space: nowrap }
td.num { text-align: right; font-variant-numeric: tabular-nums }
tr.bad td { background: #fff3e6 } td.why { white-space: normal; min-width: 20rem }
figure { margin: 1.5rem 0 } img { max-width: 100% } .warn { background: #fff3e6; padding: .6rem 1rem }
</style></head><body>
<h1>Lesions of {{ cohort | length }} scans</h1>
<p>{% for status, number in counts.items() %}<b>{{ number }}</b> {{ status }}{{ ", " if not loop.last }}{% endfor %}.
Models: {% for m in models %}{{ m.name }} ({{ m.version }}){{ ", " if not loop.last }}{% endfor %}.
Tables: <a href="cohort.csv">cohort.csv</a>, <a href="lesions.csv">lesions.csv</a>; their columns:
<a href="cohort.json">cohort.json</a>, <a href="lesions.json">lesions.json</a>.</p>
<p class="warn">For research only, not for clinical use.
{% for m in models %}{{ m.description }} {% endfor %}</p>
<h2>Scans</h2>
<table><tr>{% for name in columns %}<th>{{ name }}</th>{% endfor %}</tr>
{% for row in cohort %}<tr{% if row.status != "ok" %} class="bad"{% endif %}>
{%- for name in columns %}<td{% if name == "reason" %} class="why"{% elif name in numbers %} class="num"{% endif %}>
{%- if name == "scan" and row.pictures %}<a href="#{{ row.scan }}">{{ row.scan }}</a>{% else %}{{ row[name] }}{% endif %}</td>
{%- endfor %}</tr>
{% endfor %}</table>
<h2>Pictures</h2>
<p>Blue: brain mask. Red: kept lesions. Grey: lesions that a filter dropped. The head's left is on the left.</p>
{% for row in cohort %}{% for picture in row.pictures %}<figure{% if loop.first %} id="{{ row.scan }}"{% endif %}>
<img loading="lazy" src="{{ picture }}" alt="{{ row.scan }}"></figure>
{% endfor %}{% endfor %}
</body></html>
"""
SHOWN = ("scan", "status", "reason")
ENDS = (
    "_count",
    "_volume_mm3",
    "brain_volume_ml",
    "fold_disagreement",
    "lesions_dropped",
    "flags",
)
HIDDEN = ("_mean_volume_mm3", "_median_volume_mm3", "_max_volume_mm3")


def cohort_page(
    cohort: pd.DataFrame,
    pictures: Mapping[str, list[str]],
    models: list[dict[str, Any]],
) -> str:
    """HTML of the cohort: status, counts and volumes of each scan, and its pictures.

    Parameters
    ----------
    cohort
        cohort.csv, every cell as text.
    pictures
        By scan, paths relative to the page.
    models
        ``name``, ``version`` and ``description`` of each.
    """
    from jinja2 import Environment

    columns = [
        name
        for name in cohort.columns
        if name in SHOWN or (name.endswith(ENDS) and not name.endswith(HIDDEN))
    ]
    rows = [{**row, "pictures": pictures.get(row["scan"], [])} for row in cohort.to_dict("records")]
    template = Environment(autoescape=True, trim_blocks=True).from_string(TEMPLATE)
    return template.render(
        cohort=rows,
        columns=columns,
        numbers=[name for name in columns if name not in (*SHOWN, "flags")],
        counts=cohort.status.value_counts().to_dict(),
        models=models,
    )
