"""HTML page of the evaluation: tables and plots of each label, other conventions, definitions, scans and their errors."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from lesionflow.evaluation.cohort_metrics import METRICS, RESAMPLES, sensitivity_by_size
from lesionflow.evaluation.error_pictures import FUNCTION, MOST
from lesionflow.evaluation.lesion_errors import MISSED, MM
from lesionflow.evaluation.other_conventions import CONVENTIONS
from lesionflow.evaluation.plots import as_image, draw_label, draw_labels
from lesionflow.results.pages.html_page import render

TEMPLATES = Path(__file__).parent / "templates"

# Columns of the tables and their headings.
POINT_COLUMNS = {
    "name": "operating point",
    "threshold": "threshold",
    "min_volume_mm3": "minimum\nsize (mm³)",
    "lesions": "reference\nlesions",
    "found": "detected",
    "count": "predicted",
    "false_positives": "false\npositives",
    "sensitivity": "sensitivity",
    "precision": "precision",
    "f1": "F1",
    "false_positives_a_scan": "false positives\nper scan",
    "mean_dice": "mean Dice",
}
CONVENTION_COLUMNS = {
    "name": "convention",
    "sensitivity": "sensitivity",
    "precision": "precision",
    "f1": "F1",
    "dice": "Dice",
    "count_difference": "count difference",
    "volume_difference_mm3": "volume difference (mm³)",
}
LABEL_COLUMNS = {"label": "label", **{key: POINT_COLUMNS[key] for key in list(POINT_COLUMNS)[3:]}}
SCAN_COLUMNS = {
    "scan": "scan",
    "model": "model",
    "label": "label",
    "status": "status",
    "truth_count": "reference",
    "count": "predicted",
    "found": "detected",
    "false_positives": "false\npositives",
    "dice": "Dice",
    "truth_volume_mm3": "reference mm³",
    "volume_mm3": "predicted mm³",
    "reason": "reason",
}
ERROR_COLUMNS = {
    "error": "error",
    "label": "label",
    "lesion": "lesion",
    "side": "side",
    "axial_slice": "axial\nslice",
    "coronal_slice": "coronal\nslice",
    "sagittal_slice": "sagittal\nslice",
    "x_mm": "x (mm)",
    "y_mm": "y (mm)",
    "z_mm": "z (mm)",
    "volume_mm3": "volume\n(mm³)",
    "max_probability": "highest\nprobability",
}
NUMERIC_COLUMNS = [  # right-aligned
    *list(POINT_COLUMNS)[1:],
    *list(CONVENTION_COLUMNS)[1:],
    *list(SCAN_COLUMNS)[4:-1],
    "lesion",
    *list(ERROR_COLUMNS)[4:],
]


def evaluation_page(
    evaluation: pd.DataFrame,
    thresholds: pd.DataFrame,
    lesions: pd.DataFrame,
    errors: Mapping[str, pd.DataFrame],
    models: Mapping[str, Mapping[str, Any]],
) -> str:
    """HTML page of the evaluation, with its plots embedded.

    Parameters
    ----------
    evaluation, lesions
        From ``scan_metrics.evaluation_tables``.
    thresholds
        From ``cohort_metrics.threshold_table``.
    errors
        From ``evaluation_files.collect_errors``.
    models
        ``version`` and ``postprocess`` of each model by name.
    """
    evaluated = evaluation[evaluation.status == "ok"]
    model_sections = [
        _model_section(
            str(model),
            models[str(model)]["version"],
            evaluated[evaluated.model == model],
            model_thresholds,
            lesions[lesions.model == model],
        )
        for model, model_thresholds in thresholds.groupby("model", sort=False)
    ]
    connectivity = {model: card["postprocess"]["connectivity"] for model, card in models.items()}
    scan_rows: list[dict[str, Any]] = [
        {"bad": row["status"] != "ok", **{key: cell(row[key]) for key in SCAN_COLUMNS}}
        for row in evaluation.to_dict("records")
    ]
    return render(
        TEMPLATES,
        "evaluation_page.html",
        evaluated=evaluated.scan.nunique(),
        scans=evaluation.scan.nunique(),
        models=model_sections,
        label_columns=LABEL_COLUMNS,
        point_columns=POINT_COLUMNS,
        convention_columns=CONVENTION_COLUMNS,
        scan_columns=SCAN_COLUMNS,
        scan_rows=scan_rows,
        error_columns=ERROR_COLUMNS,
        errors=[_scan_errors(source, table) for source, table in errors.items()],
        most_pictures=MOST,
        show_errors=FUNCTION,
        numbers=NUMERIC_COLUMNS,
        connectivity="; ".join(f"{model}: {n} neighbours" for model, n in connectivity.items()),
        resamples=RESAMPLES,
        conventions=CONVENTIONS,
    )


def _scan_errors(source: str, table: pd.DataFrame) -> dict[str, Any]:
    """The errors of a scan: title, table, and the script of the pictures with the key by which it calls the page."""
    scan, model = table.scan.iloc[0], table.model.iloc[0]
    missed = int((table.error == MISSED).sum())
    return {
        "source": source,
        "key": f"{model}/{scan}",
        "title": f"{scan}, {model}: {missed} missed, {len(table) - missed} false positives",
        "count": len(table),
        "rows": table.assign(
            **{axis: table[axis].map(lambda mm: f"{float(mm):.1f}") for axis in MM}
        ).to_dict("records"),
    }


def _model_section(
    name: str,
    version: str,
    evaluated: pd.DataFrame,
    thresholds: pd.DataFrame,
    lesions: pd.DataFrame,
) -> dict[str, Any]:
    sections = [
        _label_section(
            evaluated[evaluated.label == label], label_thresholds, lesions[lesions.label == label]
        )
        for label, label_thresholds in thresholds.groupby("label", sort=False)
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
    without_reference = evaluated.truth_count == 0
    without_both = without_reference & (evaluated["count"] == 0)
    label = str(evaluated.label.iloc[0])
    points = [_operating_point("model card", thresholds[thresholds.card].iloc[0])]
    if thresholds.best.any():
        best = thresholds[thresholds.best].iloc[0]
        points.append(_operating_point("highest F1 on these scans", best))
    dice = {label: evaluated.dice.dropna()}
    return {
        "label": label,
        "summary": (
            f"Scans: {len(evaluated)}. Reference lesions: {int(evaluated.truth_count.sum())}. Scans without "
            f"reference lesions: {int(without_reference.sum())}; {int(without_both.sum())} of them have no predicted "
            "lesion either."
        ),
        "points": points,
        "plot": as_image(draw_label(evaluated, thresholds, sensitivity_by_size(lesions), dice)),
        "conventions": _convention_rows(evaluated),
    }


def _operating_point(name: str, row: pd.Series) -> dict[str, str]:
    """Cells for one row of the thresholds table, with the confidence intervals."""
    cells = {key: cell(row[key]) for key in POINT_COLUMNS if key != "name"}
    for key in METRICS:
        if cells[key] and pd.notna(row[f"{key}_low"]):
            cells[key] += f"\n({cell(row[f'{key}_low'])} to {cell(row[f'{key}_high'])})"
    return {"name": name, **cells}


def _convention_rows(evaluated: pd.DataFrame) -> list[dict[str, str]]:
    """Means over scans by each convention, lesionflow's first."""
    means: dict[str, dict[str, Any]] = {
        "lesionflow": {
            **{key: evaluated[key].mean() for key in ("sensitivity", "precision", "f1", "dice")},
            "count_difference": evaluated.count_error.abs().mean(),
            "volume_difference_mm3": evaluated.volume_error_mm3.abs().mean(),
        }
    }
    for name in CONVENTIONS:
        columns = {key: f"{name.lower()}_{key}" for key in CONVENTION_COLUMNS}
        means[name] = {
            key: evaluated[column].mean()
            for key, column in columns.items()
            if column in evaluated.columns
        }
    return [
        {
            "name": name,
            **{key: cell(values.get(key)) for key in CONVENTION_COLUMNS if key != "name"},
        }
        for name, values in means.items()
    ]


def cell(value: Any) -> str:
    """Text of a table cell: at most three decimals, empty for a missing value."""
    if isinstance(value, str):
        return value
    if value is None or pd.isna(value):
        return ""
    return f"{value:.3f}".rstrip("0").rstrip(".") if float(value) % 1 else str(int(value))
