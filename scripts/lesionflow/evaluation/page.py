"""The page of the evaluation: definitions in words, pictures, the best thresholds, others' readings."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from lesionflow.evaluation.cohort_metrics import RESAMPLES, by_size
from lesionflow.evaluation.other_conventions import CONVENTIONS
from lesionflow.evaluation.plots import as_image, draw_label, draw_labels

TEMPLATE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>lesionflow: {{ evaluated }} scans against truth</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 80rem; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; font-size: 13px; display: block; overflow-x: auto; margin: 1rem 0 }
th, td { border-bottom: 1px solid #ddd; padding: .3rem .6rem; text-align: left; white-space: nowrap }
.num { text-align: right; white-space: pre; font-variant-numeric: tabular-nums } th { vertical-align: bottom } td.why { white-space: normal; min-width: 20rem }
tr.bad td { background: #fff3e6 } img { max-width: 100% } .warn { background: #fff3e6; padding: .6rem 1rem }
dt { font-weight: 600 } dd { margin: 0 0 .6rem 1.5rem }
</style></head><body>
<h1>{{ evaluated }} of {{ scans }} scans held against truth</h1>
<p>Tables: <a href="evaluation.csv">evaluation.csv</a> (a row a scan, model and label),
<a href="evaluation_thresholds.csv">evaluation_thresholds.csv</a> (all scans together, at every threshold and
smallest size); their columns: <a href="evaluation.json">evaluation.json</a>,
<a href="evaluation_thresholds.json">evaluation_thresholds.json</a>.</p>
<p class="warn">A threshold that is chosen on the same scans on which it is then measured looks better than it is.
Choose it on some scans and report it on others.</p>
{% macro table(rows, columns) %}<table><tr>{% for c in columns %}<th{% if c in numbers %} class="num"{% endif %}>{{ columns[c] }}</th>{% endfor %}</tr>
{% for row in rows %}<tr{% if row.bad %} class="bad"{% endif %}>{% for c in columns -%}
<td{% if c == "reason" %} class="why"{% elif c in numbers %} class="num"{% endif %}>{{ row[c] }}</td>
{%- endfor %}</tr>
{% endfor %}</table>{% endmacro %}
{% macro one(part) %}<p>{{ part.words }}</p>
{{ table(part.points, point_columns) }}
<img src="{{ part.picture }}" alt="{{ part.label }}: figures by threshold, FROC, sizes, counts, volumes, Dice">
<p>Others' conventions on the same predictions at the card's operating point; means over the scans that have the figure:</p>
{{ table(part.peers, peer_columns) }}
{% endmacro %}
{% for model in models %}<h2>{{ model.name }} ({{ model.version }}){% if model.parts | length == 1 %}: {{ model.parts[0].label }}{% endif %}</h2>
{% if model.parts | length == 1 %}{{ one(model.parts[0]) }}{% else %}
{{ table(model.rows, label_columns) }}
<img src="{{ model.picture }}" alt="{{ model.name }}: Dice and volume error of each label">
{% for part in model.parts %}<details><summary>{{ part.label }}</summary>
{{ one(part) }}</details>
{% endfor %}{% endif %}{% endfor %}
<h2>Definitions</h2>
<dl>
<dt>True lesion</dt><dd>A connected component of the truth image, on its own grid ({{ connectivity }}). For a
model with one label every value above 0 is that label: lesions that touch are one, also where the image
numbers them apart. For a model with several labels the image holds the card's label values; other values are ignored, and
evaluation.csv names them. No true lesion is left out for its size.</dd>
<dt>Predicted lesion</dt><dd>As in cohort.csv: probabilities above the threshold, connected components on the model's grid,
after the card's filters (smallest size, share outside the brain mask).</dd>
<dt>Overlap</dt><dd>On the truth's grid, through the affines: a voxel of the truth takes the predicted lesion of the model's voxel
that is nearest to its centre. A predicted lesion so small that no truth voxel is nearest to it has the one at its peak.</dd>
<dt>Found, missed</dt><dd>A true lesion counts as found when any of its voxels overlaps a predicted lesion of its label, else as missed:
also one that lies outside of what the model saw.</dd>
<dt>False positive</dt><dd>A predicted lesion none of whose voxels overlaps a true lesion of its label. One outside of the
truth image's field of view is one too; evaluation.csv counts them in outside_truth.</dd>
<dt>Sensitivity, precision, F1</dt><dd>Found of the true lesions; of the predicted ones, those that overlap a true one; their harmonic
mean. One prediction may find several lesions, and several predictions one. Over all scans: of the sums.</dd>
<dt>Dice</dt><dd>Of all voxels of a label on the truth's grid; over all scans the mean of those that have one.</dd>
<dt>Nothing there</dt><dd>Truth and prediction both empty: no figure is defined, and the cells are empty. Truth empty and
prediction not: precision, F1 and Dice are 0, sensitivity is not defined. Prediction empty and truth not: sensitivity, F1 and Dice are 0,
precision is not defined. Nothing undefined becomes 0 or 1.</dd>
<dt>Intervals</dt><dd>95 % percentile bootstrap over scans, {{ resamples }} resamples. A resample without the figure is left out, and
evaluation_thresholds.csv counts them; a single scan has no interval.</dd>
{% for name, text in conventions.items() %}<dt>{{ name }}</dt><dd>{{ text }}</dd>
{% endfor %}</dl>
<h2>Scans</h2>
{{ table(scan_rows, scan_columns) }}
</body></html>
"""
POINTS = {
    "name": "",
    "threshold": "threshold",
    "min_volume_mm3": "smallest\nsize (mm³)",
    "lesions": "true\nlesions",
    "found": "found",
    "count": "predicted",
    "false_positives": "false\npositives",
    "sensitivity": "sensitivity",
    "precision": "precision",
    "f1": "F1",
    "false_positives_a_scan": "false positives\na scan",
    "mean_dice": "mean Dice",
}
WITH_ENDS = ("sensitivity", "precision", "f1", "false_positives_a_scan", "mean_dice")
PEERS = {
    "name": "",
    "sensitivity": "sensitivity",
    "precision": "precision",
    "f1": "F1",
    "dice": "Dice",
    "count_difference": "count difference",
    "volume_difference_mm3": "volume difference (mm³)",
}
LABELS = {"label": "label", **{key: POINTS[key] for key in list(POINTS)[3:]}}
SCANS = {
    "scan": "scan",
    "model": "model",
    "label": "label",
    "status": "status",
    "truth_count": "true",
    "count": "predicted",
    "found": "found",
    "false_positives": "false\npositives",
    "dice": "Dice",
    "truth_volume_mm3": "true mm³",
    "volume_mm3": "predicted mm³",
    "reason": "reason",
}


def evaluation_page(
    evaluation: pd.DataFrame,
    thresholds: pd.DataFrame,
    lesions: pd.DataFrame,
    models: Mapping[str, Mapping[str, Any]],
) -> str:
    """HTML of the evaluation, with its pictures inside.

    Parameters
    ----------
    evaluation, lesions
        Of ``scan_metrics.gathered``.
    thresholds
        Of ``cohort_metrics.threshold_table``.
    models
        By model: ``version`` and ``postprocess``.
    """
    from jinja2 import Environment

    good = evaluation[evaluation.status == "ok"]
    shown_models = [
        _model(
            str(model),
            good[good.model == model],
            swept,
            lesions[lesions.model == model],
            models[str(model)]["version"],
        )
        for model, swept in thresholds.groupby("model", sort=False)
    ]
    kinds = {model: card["postprocess"]["connectivity"] for model, card in models.items()}
    words = "; ".join(f"{model}: {kind} neighbours" for model, kind in kinds.items())
    rows: list[dict[str, Any]] = [
        {
            "bad": row["status"] != "ok",
            **{key: shown(row[key]) for key in SCANS},
        }
        for row in evaluation.to_dict("records")
    ]
    template = Environment(autoescape=True, trim_blocks=True).from_string(TEMPLATE)
    return template.render(
        evaluated=good.scan.nunique(),
        scans=evaluation.scan.nunique(),
        models=shown_models,
        label_columns=LABELS,
        point_columns=POINTS,
        peer_columns=PEERS,
        scan_columns=SCANS,
        scan_rows=rows,
        numbers=[*list(POINTS)[1:], *list(PEERS)[1:], *list(SCANS)[4:-1]],
        connectivity=words,
        resamples=RESAMPLES,
        conventions=CONVENTIONS,
    )


def _model(
    name: str, rows: pd.DataFrame, swept: pd.DataFrame, lesions: pd.DataFrame, version: str
) -> dict[str, Any]:
    parts = [
        _part(rows[rows.label == label], own, lesions[lesions.label == label])
        for label, own in swept.groupby("label", sort=False)
    ]
    at_card = swept[swept.card].to_dict("records")
    return {
        "name": name,
        "version": version,
        "parts": parts,
        "rows": [{**_point("", pd.Series(row)), "label": row["label"]} for row in at_card],
        "picture": as_image(draw_labels(rows)) if len(parts) > 1 else "",
    }


def _part(rows: pd.DataFrame, swept: pd.DataFrame, lesions: pd.DataFrame) -> dict[str, Any]:
    empty = rows.truth_count == 0
    silent = empty & (rows["count"] == 0)
    label = str(rows.label.iloc[0])
    words = (
        f"Scans: {len(rows)}. True lesions: {int(rows.truth_count.sum())}. Scans without a true "
    )
    words += f"lesion: {int(empty.sum())}; of these, without a predicted one as well: {int(silent.sum())}."
    points = [_point("the card's own", swept[swept.card].iloc[0])]
    if swept.best.any():
        points.append(_point("best by F1 on these scans", swept[swept.best].iloc[0]))
    return {
        "label": label,
        "words": words,
        "points": points,
        "picture": as_image(draw_label(rows, swept, by_size(lesions), {label: rows.dice.dropna()})),
        "peers": _peers(rows),
    }


def _point(name: str, row: pd.Series) -> dict[str, str]:
    cells = {key: shown(row[key]) for key in POINTS if key != "name"}
    for key in WITH_ENDS:
        if cells[key] and pd.notna(row[f"{key}_low"]):
            cells[key] += f"\n({shown(row[f'{key}_low'])} to {shown(row[f'{key}_high'])})"
    return {"name": name, **cells}


def _peers(rows: pd.DataFrame) -> list[dict[str, str]]:
    known: dict[str, dict[str, Any]] = {
        "here": {
            **{key: rows[key].mean() for key in ("sensitivity", "precision", "f1", "dice")},
            "count_difference": rows.count_error.abs().mean(),
            "volume_difference_mm3": rows.volume_error_mm3.abs().mean(),
        }
    }
    for name in CONVENTIONS:
        prefix = f"{name.lower()}_"
        known[name] = {
            key: rows[prefix + key].mean() for key in PEERS if prefix + key in rows.columns
        }
    return [
        {"name": name, **{key: shown(own.get(key)) for key in PEERS if key != "name"}}
        for name, own in known.items()
    ]


def shown(value: Any) -> str:
    """A cell's text: three decimals at most, empty for what is missing."""
    if isinstance(value, str):
        return value
    if value is None or pd.isna(value):
        return ""
    return f"{value:.3f}".rstrip("0").rstrip(".") if float(value) % 1 else str(int(value))
