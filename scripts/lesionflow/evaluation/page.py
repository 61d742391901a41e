"""The page of the evaluation: tables and plots of each label, other conventions, definitions, scans."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from lesionflow.evaluation.cohort_metrics import RESAMPLES, by_size
from lesionflow.evaluation.other_conventions import CONVENTIONS
from lesionflow.evaluation.plots import as_image, draw_label, draw_labels
from lesionflow.results.html_page import render

TEMPLATES = Path(__file__).parent / "templates"

# Headings of the tables by column.
OPERATING_POINT = {
    "name": "",
    "threshold": "threshold",
    "min_volume_mm3": "smallest\nsize (mm³)",
    "lesions": "reference\nlesions",
    "found": "found",
    "count": "predicted",
    "false_positives": "false\npositives",
    "sensitivity": "sensitivity",
    "precision": "precision",
    "f1": "F1",
    "false_positives_a_scan": "false positives\nper scan",
    "mean_dice": "mean Dice",
}
WITH_INTERVAL = ("sensitivity", "precision", "f1", "false_positives_a_scan", "mean_dice")
CONVENTION = {
    "name": "",
    "sensitivity": "sensitivity",
    "precision": "precision",
    "f1": "F1",
    "dice": "Dice",
    "count_difference": "count difference",
    "volume_difference_mm3": "volume difference (mm³)",
}
LABEL = {"label": "label", **{key: OPERATING_POINT[key] for key in list(OPERATING_POINT)[3:]}}
SCAN = {
    "scan": "scan",
    "model": "model",
    "label": "label",
    "status": "status",
    "truth_count": "reference",
    "count": "predicted",
    "found": "found",
    "false_positives": "false\npositives",
    "dice": "Dice",
    "truth_volume_mm3": "reference mm³",
    "volume_mm3": "predicted mm³",
    "reason": "reason",
}
NUMBERS = [*list(OPERATING_POINT)[1:], *list(CONVENTION)[1:], *list(SCAN)[4:-1]]  # right-aligned


def evaluation_page(
    evaluation: pd.DataFrame,
    thresholds: pd.DataFrame,
    lesions: pd.DataFrame,
    models: Mapping[str, Mapping[str, Any]],
) -> str:
    """HTML page of the evaluation, with its plots embedded.

    Parameters
    ----------
    evaluation, lesions
        Of ``scan_metrics.evaluation_tables``.
    thresholds
        Of ``cohort_metrics.threshold_table``.
    models
        ``version`` and ``postprocess`` of each model by name.
    """
    evaluated = evaluation[evaluation.status == "ok"]
    model_sections = [
        _model_section(
            str(model),
            models[str(model)]["version"],
            evaluated[evaluated.model == model],
            of_model,
            lesions[lesions.model == model],
        )
        for model, of_model in thresholds.groupby("model", sort=False)
    ]
    neighbours = {model: card["postprocess"]["connectivity"] for model, card in models.items()}
    scan_rows: list[dict[str, Any]] = [
        {"bad": row["status"] != "ok", **{key: cell(row[key]) for key in SCAN}}
        for row in evaluation.to_dict("records")
    ]
    return render(
        TEMPLATES,
        "evaluation_page.html",
        evaluated=evaluated.scan.nunique(),
        scans=evaluation.scan.nunique(),
        models=model_sections,
        label_columns=LABEL,
        point_columns=OPERATING_POINT,
        convention_columns=CONVENTION,
        scan_columns=SCAN,
        scan_rows=scan_rows,
        numbers=NUMBERS,
        connectivity="; ".join(f"{model}: {n} neighbours" for model, n in neighbours.items()),
        resamples=RESAMPLES,
        conventions=CONVENTIONS,
    )


def _model_section(
    name: str,
    version: str,
    evaluated: pd.DataFrame,
    thresholds: pd.DataFrame,
    lesions: pd.DataFrame,
) -> dict[str, Any]:
    sections = [
        _label_section(
            evaluated[evaluated.label == label], of_label, lesions[lesions.label == label]
        )
        for label, of_label in thresholds.groupby("label", sort=False)
    ]
    at_card = thresholds[thresholds.card].to_dict("records")
    return {
        "name": name,
        "version": version,
        "labels": sections,
        "rows": [
            {**_operating_point("", pd.Series(row)), "label": row["label"]} for row in at_card
        ],
        "plot": as_image(draw_labels(evaluated)) if len(sections) > 1 else "",
    }


def _label_section(
    evaluated: pd.DataFrame, thresholds: pd.DataFrame, lesions: pd.DataFrame
) -> dict[str, Any]:
    without_lesion = evaluated.truth_count == 0
    both_without = without_lesion & (evaluated["count"] == 0)
    label = str(evaluated.label.iloc[0])
    points = [_operating_point("the card's own", thresholds[thresholds.card].iloc[0])]
    if thresholds.best.any():
        best = thresholds[thresholds.best].iloc[0]
        points.append(_operating_point("best by F1 on these scans", best))
    dice = {label: evaluated.dice.dropna()}
    return {
        "label": label,
        "summary": (
            f"Scans: {len(evaluated)}. Reference lesions: {int(evaluated.truth_count.sum())}. Scans without a reference "
            f"lesion: {int(without_lesion.sum())}; {int(both_without.sum())} of them have no predicted lesion either."
        ),
        "points": points,
        "plot": as_image(draw_label(evaluated, thresholds, by_size(lesions), dice)),
        "conventions": _convention_rows(evaluated),
    }


def _operating_point(name: str, row: pd.Series) -> dict[str, str]:
    """Cells of a row of the thresholds table, with its intervals."""
    cells = {key: cell(row[key]) for key in OPERATING_POINT if key != "name"}
    for key in WITH_INTERVAL:
        if cells[key] and pd.notna(row[f"{key}_low"]):
            cells[key] += f"\n({cell(row[f'{key}_low'])} to {cell(row[f'{key}_high'])})"
    return {"name": name, **cells}


def _convention_rows(evaluated: pd.DataFrame) -> list[dict[str, str]]:
    """Means over scans by each convention, lesionflow's own first."""
    means: dict[str, dict[str, Any]] = {
        "lesionflow": {
            **{key: evaluated[key].mean() for key in ("sensitivity", "precision", "f1", "dice")},
            "count_difference": evaluated.count_error.abs().mean(),
            "volume_difference_mm3": evaluated.volume_error_mm3.abs().mean(),
        }
    }
    for name in CONVENTIONS:
        columns = {key: f"{name.lower()}_{key}" for key in CONVENTION}
        means[name] = {
            key: evaluated[column].mean()
            for key, column in columns.items()
            if column in evaluated.columns
        }
    return [
        {"name": name, **{key: cell(values.get(key)) for key in CONVENTION if key != "name"}}
        for name, values in means.items()
    ]


def cell(value: Any) -> str:
    """Text of a table cell: at most three decimals, empty for a missing value."""
    if isinstance(value, str):
        return value
    if value is None or pd.isna(value):
        return ""
    return f"{value:.3f}".rstrip("0").rstrip(".") if float(value) % 1 else str(int(value))
