"""Figures of the evaluation page, one per model and label."""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

COLOURS = {"sensitivity": "#1e88e5", "precision": "#2e7d32", "f1": "#d84315"}
NAMES = {"sensitivity": "sensitivity", "precision": "precision", "f1": "F1"}
GREY, OWN = "#90a4ae", "#37474f"
SEED = 5  # of the sideways scatter of points


def draw_label(
    rows: pd.DataFrame, swept: pd.DataFrame, sizes: pd.DataFrame, dices: Mapping[str, Any]
) -> Any:
    """Six panels: threshold, FROC, counts, volumes, Dice, size.

    Parameters
    ----------
    rows
        evaluation.csv of one model and label, scans with status ok.
    swept
        evaluation_thresholds.csv of the same.
    sizes
        Of ``cohort_metrics.by_size``.
    dices
        By label of the model: the scans' Dice, missing ones left out.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)
    figure = Figure(figsize=(13.5, 8), layout=layout)
    panels = figure.subplots(2, 3)
    _thresholds(panels[0, 0], swept)
    _froc(panels[0, 1], swept)
    _by_size(panels[0, 2], sizes)
    _counts(panels[1, 0], rows)
    _volumes(panels[1, 1], rows)
    _dices(panels[1, 2], dices)
    for panel in panels.flat:
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(color="#eceff1")
        panel.set_axisbelow(True)
    return figure


def draw_labels(rows: pd.DataFrame) -> Any:
    """Two panels for a model with several labels: Dice and relative volume error, one column per label.

    Parameters
    ----------
    rows
        evaluation.csv of one model, scans with status ok.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.figure import Figure

    labels = rows.label.unique()
    figure = Figure(figsize=(max(6.0, 2.5 + 0.4 * len(labels)), 8.5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    kept = {str(label): own for label, own in rows.groupby("label", sort=False)}
    _dices(above, {label: own.dice.dropna() for label, own in kept.items()})
    errors = {label: own.volume_error_relative.dropna() for label, own in kept.items()}
    _points(below, list(errors.values()))
    below.axhline(0, color=GREY, lw=1)
    texts = [f"{label} ({len(own)})" for label, own in errors.items()]
    below.set_xticks(np.arange(len(texts)), texts, rotation=60, ha="right", fontsize=8)
    below.set_ylabel("(predicted - true) / true volume")
    below.set_title("Volume error, a point a scan")
    for panel in (above, below):
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(color="#eceff1")
        panel.set_axisbelow(True)
    return figure


def as_image(figure: Any) -> str:
    """A figure as an SVG in a ``data:`` address, the same bytes for the same figure."""
    import matplotlib

    kept = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "evaluation", "svg.fonttype": "path"}):
        figure.savefig(kept, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(kept.getvalue()).decode("ascii")


def _thresholds(panel: Any, swept: pd.DataFrame) -> None:
    """Figures by threshold at the card's size, or by size where the argmax decides."""
    card = swept[swept.card].iloc[0]
    argmax = swept.threshold.isna().all()
    key = "min_volume_mm3" if argmax else "threshold"
    own = swept if argmax else swept[swept.min_volume_mm3 == card.min_volume_mm3]
    for name, colour in COLOURS.items():
        panel.fill_between(
            own[key], own[f"{name}_low"], own[f"{name}_high"], color=colour, alpha=0.15, lw=0
        )
        panel.plot(own[key], own[name], "o-", color=colour, ms=3, lw=1.5, label=NAMES[name])
    panel.axvline(card[key], color=OWN, lw=1, ls="--")
    panel.set_ylim(-0.03, 1.03)
    panel.set_xlabel("smallest size (mm³)" if argmax else "threshold")
    panel.set_title(
        "By smallest size" if argmax else "By threshold, at the card's size; dashed: its own"
    )
    panel.legend(loc="best", framealpha=0.6, fontsize=8)


def _froc(panel: Any, swept: pd.DataFrame) -> None:
    """Sensitivity against false positives a scan: a curve a smallest size."""
    from matplotlib import colormaps

    sizes = sorted(swept.min_volume_mm3.unique())
    argmax = swept.threshold.isna().all()
    shades = colormaps["viridis"](np.linspace(0, 0.9, len(sizes)))
    if argmax:
        panel.plot(swept.false_positives_a_scan, swept.sensitivity, "-", color=GREY, lw=1)
    for size, shade in zip(sizes, shades, strict=True):
        own = swept[swept.min_volume_mm3 == size].sort_values("threshold")
        panel.plot(
            own.false_positives_a_scan,
            own.sensitivity,
            "o" if argmax else "o-",
            color=shade,
            ms=5 if argmax else 2.5,
            lw=1.2,
            label=f"{size:g} mm³",
        )
    card = swept[swept.card].iloc[0]
    panel.plot(
        card.false_positives_a_scan, card.sensitivity, "o", mfc="none", mec=OWN, ms=11, mew=1.5
    )
    panel.set_xscale("symlog", linthresh=1, linscale=0.6)
    panel.xaxis.set_major_formatter("{x:g}")
    panel.set_xlim(-0.05, max(1.0, 1.2 * swept.false_positives_a_scan.max()))
    panel.set_ylim(-0.03, 1.03)
    panel.set_xlabel("false positives a scan")
    panel.set_ylabel("sensitivity")
    panel.set_title("FROC, by smallest size; circle: the card's own")
    panel.legend(loc="lower right", fontsize=8)


def _by_size(panel: Any, sizes: pd.DataFrame) -> None:
    places = np.arange(len(sizes))
    panel.bar(places, sizes.sensitivity, color="#90caf9", width=0.7)
    some = sizes.low.notna()
    ends = np.abs(sizes[["low", "high"]].to_numpy().T - sizes.sensitivity.to_numpy())[:, some]
    panel.errorbar(
        places[some], sizes.sensitivity[some], ends, fmt="none", ecolor=OWN, capsize=3, lw=1
    )
    texts = [
        f"{name.replace(' and more', ' +')}\n{found} of {lesions}"
        for name, found, lesions in zip(sizes["size"], sizes.found, sizes.lesions, strict=True)
    ]
    panel.set_xticks(places, texts, fontsize=8)
    panel.set_xlim(-0.5, len(sizes) - 0.5)
    panel.set_ylim(0, 1.03)
    panel.set_ylabel("sensitivity")
    panel.set_title("By the true lesion's equivalent diameter")


def _counts(panel: Any, rows: pd.DataFrame) -> None:
    """Predicted against true counts; a point grows with the scans that share it."""
    shared = rows.groupby(["truth_count", "count"]).size().reset_index(name="scans")
    top = max(1, int(rows[["truth_count", "count"]].to_numpy(int).max()))
    panel.plot([0, top], [0, top], color=GREY, lw=1)
    panel.scatter(
        shared.truth_count.astype(int),
        shared["count"].astype(int),
        s=25 * np.sqrt(shared.scans),
        color=COLOURS["sensitivity"],
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
    panel.set_title("Counts, a point a scan (larger: several scans)")


def _volumes(panel: Any, rows: pd.DataFrame) -> None:
    """Bland and Altman's plot: error against the mean of both."""
    error = rows.volume_error_mm3.to_numpy(float)
    middle = (rows.volume_mm3.to_numpy(float) + rows.truth_volume_mm3.to_numpy(float)) / 2
    panel.scatter(middle, error, s=25, color=COLOURS["sensitivity"], alpha=0.7, lw=0)
    panel.axhline(0, color=GREY, lw=1)
    lines = {"mean": error.mean()}
    if len(error) > 1:
        reach = 1.96 * error.std(ddof=1)
        lines |= {"mean - 1.96 SD": lines["mean"] - reach, "mean + 1.96 SD": lines["mean"] + reach}
    for name, at in lines.items():
        panel.axhline(at, color=OWN, lw=1, ls="-" if name == "mean" else "--")
    texts = [f"{name}: {at:.4g} mm³" for name, at in sorted(lines.items(), key=lambda one: -one[1])]
    panel.margins(x=0.05, y=0.3)
    panel.text(
        0.98, 0.98, "\n".join(texts), transform=panel.transAxes, ha="right", va="top", size=8
    )
    panel.set_xlabel("mean of true and predicted volume (mm³)")
    panel.set_ylabel("predicted - true (mm³)")
    panel.set_title("Volumes (Bland and Altman)")


def _dices(panel: Any, dices: Mapping[str, Any]) -> None:
    values = [np.asarray(own, float) for own in dices.values()]
    _points(panel, values)
    texts = [f"{label}\n{len(own)} scans" for label, own in zip(dices, values, strict=True)]
    panel.set_xticks(np.arange(len(values)), texts)
    panel.set_xlim(-0.7, len(values) - 0.3)
    panel.set_ylim(-0.03, 1.03)
    panel.set_ylabel("Dice")
    panel.set_title("Dice, a point a scan")


def _points(panel: Any, values: Sequence[Any]) -> None:
    """A column of points for each list of values, with a box where there are more than four."""
    rng = np.random.default_rng(SEED)
    for place, own in enumerate(values):
        if len(own) > 4:
            panel.boxplot(
                [own], positions=[place], widths=0.5, showfliers=False, manage_ticks=False
            )
        panel.scatter(
            place + rng.uniform(-0.15, 0.15, len(own)),
            own,
            s=18,
            color=COLOURS["sensitivity"],
            alpha=0.6,
            lw=0,
            zorder=3,
        )
