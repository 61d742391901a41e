"""Plots of the evaluation page, one figure per model and label."""

import base64
import io
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd

# Colours of Okabe and Ito 2008 (Color Universal Design, jfly.uni-koeln.de/color), which colour-blind readers tell apart.
BLUE, GREEN, VERMILLION = "#0072B2", "#009E73", "#D55E00"
BLACK, ORANGE, SKY_BLUE, PURPLE = "#000000", "#E69F00", "#56B4E9", "#CC79A7"
NAMES = {"sensitivity": "sensitivity", "precision": "precision", "f1": "F1"}
# Colour, marker and line of each curve: it is told apart in grey as well.
METRIC_STYLES = {
    "sensitivity": (BLUE, "o", "-"),
    "precision": (GREEN, "s", "--"),
    "f1": (VERMILLION, "^", "-."),
}
SIZE_STYLES = (
    (BLACK, "o", "-"),
    (BLUE, "s", "--"),
    (VERMILLION, "^", "-."),
    (GREEN, "D", ":"),
    (PURPLE, "v", (0, (5, 1))),
    (SKY_BLUE, "P", (0, (1, 1))),
    (ORANGE, "X", (0, (3, 1, 1, 1, 1, 1))),
)
GREY, DARK = "#90a4ae", "#37474f"
SEED = 5  # of the horizontal jitter of points


def draw_label(
    evaluated: pd.DataFrame,
    thresholds: pd.DataFrame,
    sizes: pd.DataFrame,
    dices: Mapping[str, Any],
) -> Any:
    """Six panels: metrics by threshold, FROC curve, sensitivity by size, lesion counts, volumes, Dice.

    Parameters
    ----------
    evaluated
        evaluation.csv of one model and label, scans with status ok.
    thresholds
        evaluation_thresholds.csv of the same model and label.
    sizes
        From ``cohort_metrics.sensitivity_by_size``.
    dices
        Dice of the scans by label, without undefined values.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)
    figure = Figure(figsize=(13.5, 8), layout=layout)
    panels = figure.subplots(2, 3)
    _thresholds(panels[0, 0], thresholds)
    _froc(panels[0, 1], thresholds)
    _sizes(panels[0, 2], sizes)
    _counts(panels[1, 0], evaluated)
    _volumes(panels[1, 1], evaluated)
    _dices(panels[1, 2], dices)
    for panel in panels.flat:
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(color="#eceff1")
        panel.set_axisbelow(True)
    return figure


def draw_labels(evaluated: pd.DataFrame) -> Any:
    """Two panels for a model with several labels: Dice and relative volume error by label.

    Parameters
    ----------
    evaluated
        evaluation.csv of one model, scans with status ok.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.figure import Figure

    labels = {str(label): rows for label, rows in evaluated.groupby("label", sort=False)}
    figure = Figure(figsize=(max(6.0, 2.5 + 0.4 * len(labels)), 8.5), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    _dices(upper, {label: rows.dice.dropna() for label, rows in labels.items()})
    errors = {label: rows.volume_error_relative.dropna() for label, rows in labels.items()}
    _points(lower, list(errors.values()))
    lower.axhline(0, color=GREY, lw=1)
    ticks = [f"{label} ({len(values)})" for label, values in errors.items()]
    lower.set_xticks(np.arange(len(ticks)), ticks, rotation=60, ha="right", fontsize=8)
    lower.set_ylabel("(predicted - reference) / reference")
    lower.set_title("Relative volume error per scan")
    for panel in (upper, lower):
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(color="#eceff1")
        panel.set_axisbelow(True)
    return figure


def as_image(figure: Any) -> str:
    """A figure as an SVG image in a ``data:`` URL; equal figures give equal bytes."""
    import matplotlib

    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "evaluation", "svg.fonttype": "path"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _thresholds(panel: Any, thresholds: pd.DataFrame) -> None:
    """Metrics by threshold at the card's minimum size, or by minimum size if there is no threshold (argmax)."""
    card = thresholds[thresholds.card].iloc[0]
    argmax = thresholds.threshold.isna().all()
    key = "min_volume_mm3" if argmax else "threshold"
    at_size = thresholds.min_volume_mm3 == card.min_volume_mm3
    rows = thresholds if argmax else thresholds[at_size]
    for name, (colour, marker, line) in METRIC_STYLES.items():
        panel.fill_between(
            rows[key], rows[f"{name}_low"], rows[f"{name}_high"], color=colour, alpha=0.15, lw=0
        )
        style = {"color": colour, "marker": marker, "ls": line, "ms": 4, "lw": 1.5}
        panel.plot(rows[key], rows[name], label=NAMES[name], **style)
    panel.axvline(card[key], color=DARK, lw=1, ls=":", label="model card")
    panel.set_ylim(-0.03, 1.03)
    panel.set_xlabel("minimum lesion size (mm³)" if argmax else "threshold")
    panel.set_title(
        "Metrics by minimum size" if argmax else "Metrics by threshold, at the card's minimum size"
    )
    panel.legend(loc="best", framealpha=0.6, fontsize=8)


def _froc(panel: Any, thresholds: pd.DataFrame) -> None:
    """Free-response ROC: sensitivity by false positives per scan, one curve per minimum size."""
    sizes = sorted(thresholds.min_volume_mm3.unique())
    argmax = thresholds.threshold.isna().all()
    if argmax:
        panel.plot(thresholds.false_positives_a_scan, thresholds.sensitivity, "-", color=GREY, lw=1)
    for n, (size, (colour, marker, line)) in enumerate(zip(sizes, cycle(SIZE_STYLES))):
        curve = thresholds[thresholds.min_volume_mm3 == size].sort_values("threshold")
        panel.plot(
            curve.false_positives_a_scan,
            curve.sensitivity,
            marker=marker,
            color=colour,
            ls="none" if argmax else line,
            ms=9 - n,  # curves that coincide stay visible: later ones are thinner
            lw=4 - 0.5 * n,
            label=f"{size:g} mm³",
        )
    card = thresholds[thresholds.card].iloc[0]
    panel.plot(
        card.false_positives_a_scan, card.sensitivity, "o", mfc="none", mec=DARK, ms=11, mew=1.5
    )
    panel.set_xscale("symlog", linthresh=1, linscale=0.6)
    panel.xaxis.set_major_formatter("{x:g}")
    panel.set_xlim(-0.05, max(1.0, 1.2 * thresholds.false_positives_a_scan.max()))
    panel.set_ylim(-0.03, 1.03)
    panel.set_xlabel("false positives per scan")
    panel.set_ylabel("sensitivity")
    panel.set_title("FROC by minimum size (circle: model card)")
    panel.legend(loc="lower right", fontsize=8)


def _sizes(panel: Any, sizes: pd.DataFrame) -> None:
    """Sensitivity by size of the reference lesions, with confidence intervals."""
    x = np.arange(len(sizes))
    panel.bar(x, sizes.sensitivity, color="#90caf9", width=0.7)
    has_interval = sizes.low.notna()
    bounds = sizes.loc[has_interval, ["low", "high"]].to_numpy().T
    sensitivity = sizes.sensitivity[has_interval].to_numpy()
    lengths = np.abs(bounds - sensitivity)
    panel.errorbar(x[has_interval], sensitivity, lengths, fmt="none", ecolor=DARK, capsize=3, lw=1)
    ticks = [
        f"{name.replace(' and more', ' +')}\n{found} of {lesions}"
        for name, found, lesions in zip(sizes["size"], sizes.found, sizes.lesions, strict=True)
    ]
    panel.set_xticks(x, ticks, fontsize=8)
    panel.set_xlim(-0.5, len(sizes) - 0.5)
    panel.set_ylim(0, 1.03)
    panel.set_ylabel("sensitivity")
    panel.set_xlabel("equivalent diameter of the reference lesion")
    panel.set_title("Sensitivity by lesion size")


def _counts(panel: Any, evaluated: pd.DataFrame) -> None:
    """Number of predicted by number of reference lesions; larger points stand for several scans."""
    points = evaluated.groupby(["truth_count", "count"]).size().reset_index(name="scans")
    top = max(1, int(evaluated[["truth_count", "count"]].to_numpy(int).max()))
    panel.plot([0, top], [0, top], color=GREY, lw=1)
    panel.scatter(
        points.truth_count.astype(int),
        points["count"].astype(int),
        s=25 * np.sqrt(points.scans),
        color=BLUE,
        alpha=0.7,
        lw=0,
    )
    panel.set_xlim(-0.04 * top - 0.2, 1.05 * top)
    panel.set_ylim(-0.04 * top - 0.2, 1.05 * top)
    panel.set_aspect("equal", "box")
    for axis in (panel.xaxis, panel.yaxis):
        axis.get_major_locator().set_params(integer=True)
    panel.set_xlabel("reference lesions")
    panel.set_ylabel("predicted lesions")
    panel.set_title("Lesions per scan (larger point: several scans)")


def _volumes(panel: Any, evaluated: pd.DataFrame) -> None:
    """Bland-Altman plot of volumes: difference by mean, with the mean difference and limits of agreement."""
    difference = evaluated.volume_error_mm3.to_numpy(float)
    predicted, reference = evaluated.volume_mm3, evaluated.truth_volume_mm3
    mean = (predicted.to_numpy(float) + reference.to_numpy(float)) / 2
    panel.scatter(mean, difference, s=25, color=BLUE, alpha=0.7, lw=0)
    panel.axhline(0, color=GREY, lw=1)
    bias = difference.mean()
    lines = {"mean": bias}
    if len(difference) > 1:
        limit = 1.96 * difference.std(ddof=1)
        lines = {"mean + 1.96 SD": bias + limit, "mean": bias, "mean - 1.96 SD": bias - limit}
    for name, y in lines.items():
        panel.axhline(y, color=DARK, lw=1, ls="-" if name == "mean" else "--")
    text = "\n".join(f"{name}: {y:.4g} mm³" for name, y in lines.items())
    panel.margins(x=0.05, y=0.3)
    panel.text(0.98, 0.98, text, transform=panel.transAxes, ha="right", va="top", size=8)
    panel.set_xlabel("mean of reference and predicted volume (mm³)")
    panel.set_ylabel("predicted - reference (mm³)")
    panel.set_title("Lesion volume per scan (Bland-Altman)")


def _dices(panel: Any, dices: Mapping[str, Any]) -> None:
    """Dice of each scan, one column of points per label."""
    columns = [np.asarray(values, float) for values in dices.values()]
    _points(panel, columns)
    ticks = [f"{label}\n{len(values)} scans" for label, values in dices.items()]
    panel.set_xticks(np.arange(len(columns)), ticks)
    panel.set_xlim(-0.7, len(columns) - 0.3)
    panel.set_ylim(-0.03, 1.03)
    panel.set_ylabel("Dice")
    panel.set_title("Dice per scan")


def _points(panel: Any, columns: Sequence[Any]) -> None:
    """One column of jittered points per array, with a box plot if there are more than four values."""
    rng = np.random.default_rng(SEED)
    for x, values in enumerate(columns):
        if len(values) > 4:
            panel.boxplot([values], positions=[x], widths=0.5, showfliers=False, manage_ticks=False)
        panel.scatter(
            x + rng.uniform(-0.15, 0.15, len(values)),
            values,
            s=18,
            color=BLUE,
            alpha=0.6,
            lw=0,
            zorder=3,
        )
