"""What the scripts of report.html read: rows of the table, pages of the scans, distributions, order of the review."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lesionflow.base import json_sidecar, layout
from lesionflow.results.columns import dictionary
from lesionflow.results.pictures.structure_figure import shows_structures
from lesionflow.results.reviews import review_columns
from lesionflow.results.reviews.priority import prioritize

FENCE = 1.5  # interquartile ranges outside the quartiles (Tukey 1977, Exploratory Data Analysis)
FEWEST = 5  # values of which one can be an outlier
SCAN_COLUMNS = ("scan", "status", "reason")
SHOWN = (  # ends of the names of further columns that the table shows at first
    *(
        "_count",
        "_volume_mm3",
        "brain_volume_ml",
        "fold_disagreement",
        "lesions_dropped",
        "flags",
        "review",
    ),
)
HIDDEN = ("_mean_volume_mm3", "_median_volume_mm3", "_max_volume_mm3", "_soft_volume_mm3")
QUALITY = (  # ends of the names of columns that are drawn besides counts and volumes
    *("brain_volume_ml", "brain_outside_box", "brain_at_edge", "intensity_p99"),
    *("fold_disagreement", "lesions_dropped"),
)
TEXTS = (
    "flags",
    "model",
    "model_version",
    "mask_source",
    "review",
    "backend",
    "device",
    "precision",
)


def scan_pages(scripts: Iterable[Path], results: Path) -> list[dict[str, Any]]:
    """One entry per scan and model with results, for links to its files.

    Parameters
    ----------
    scripts
        Paths of the scripts with the data of the scans (``layout.SCAN_PAGE_DATA``), below ``results``.
    results
        Folder of the results.

    Returns
    -------
    list of dict
        ``model``, ``scan``, ``folder`` (relative to ``results``, with a slash at its end), ``script``, ``thumbnail`` and
        ``lesion_map_sha256``.
    """
    pages = []
    ending = layout.SCAN_PAGE_DATA.removeprefix("<results>/<scan>")
    for path in scripts:
        relative, scan = path.relative_to(results), path.name.removesuffix(ending)
        wildcards: dict[str, Any] = {
            "model": relative.parts[0],
            "folder": Path(*relative.parts[1:-1]).as_posix(),
            "scan": scan,
        }
        sidecar = layout.path(layout.ORIG_LESIONS_SIDECAR, results, **wildcards)
        pages.append(
            {
                "model": relative.parts[0],
                "scan": scan,
                "folder": f"{relative.parent.as_posix()}/",
                "script": path.name,
                "thumbnail": layout.path(layout.THUMBNAIL, results, **wildcards).name,
                "lesion_map_sha256": json_sidecar.read(sidecar)["lesion_map_sha256"],
            }
        )
    return pages


def cohort_data(
    cohort: pd.DataFrame,
    lesions: pd.DataFrame,
    columns: Mapping[str, Mapping[str, Any]],
    pages: Iterable[Mapping[str, Any]],
    cards: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Data of report.html, as JSON has them.

    Parameters
    ----------
    cohort, lesions
        cohort.csv and lesions.csv, every cell as text.
    columns
        The data dictionary of cohort.csv.
    pages
        Of ``scan_pages``.
    cards
        The cards of the run, by name.

    Returns
    -------
    dict
        ``columns``; ``rows`` (cells of cohort.csv) and their ``ranks`` (0: without results, 1: with a flag, 2: others);
        ``models``; ``pages``; ``distributions``; ``queue``: page, lesion and whether it is counted, first what most needs
        a look; ``decisions``: none yet; ``review_columns``: the data dictionary of review.tsv.
    """
    structures = {name for name, card in cards.items() if shows_structures(card["output"])}
    rows = cohort.astype(str).to_numpy().tolist()
    row_of = {scan: number for number, scan in enumerate(cohort.scan)}
    several = len(cards) > 1
    records: list[dict[str, Any]] = cohort.to_dict("records")  # type: ignore[assignment]
    by_scan = {key: group for key, group in lesions.groupby(["model", "scan"], sort=False)}
    known = []
    for page in pages:
        if page["scan"] not in row_of:
            continue
        prefix = f"{page['model']}_" if several else ""
        record, row = records[row_of[page["scan"]]], row_of[page["scan"]]
        group = by_scan.get((page["model"], page["scan"]), lesions.iloc[:0])
        reviewed = group if page["model"] not in structures else group.iloc[:0]
        kept = reviewed.loc[(reviewed.kept == "true") & (reviewed.lesion != ""), "lesion"].astype(
            int
        )
        flags = record[f"{prefix}flags"]
        known.append(
            {
                **page,
                "row": row,
                "structures": page["model"] in structures,
                "scan_sha256": record[f"{prefix}input_sha256"],
                "kept": kept.tolist(),
                "summary": _summary(page["model"], cards, record, prefix, structures)
                + (f" ({flags.replace(';', ', ')})" if flags else ""),
            }
        )
    return {
        "columns": [
            _column(name, columns.get(name, {}), _is_of(name, structures, several))
            for name in cohort.columns
        ],
        "rows": rows,
        "ranks": [_rank(record) for record in records],
        "models": list(cards),
        "pages": known,
        "distributions": _distributions(cohort, columns, list(cards), structures),
        "queue": _queue(lesions, known, cards, structures),
        "decisions": [],
        "review_columns": dictionary(review_columns.FILE),
    }


def _is_of(column: str, models: Iterable[str], several: bool) -> bool:
    """Whether a column of cohort.csv is of one of some ``models``; with one model in all, columns have no prefix."""
    return any(column.startswith(f"{model}_") or not several for model in models)


def _column(name: str, entry: Mapping[str, Any], of_structures: bool) -> dict[str, Any]:
    shown = name in SCAN_COLUMNS or (name.endswith(SHOWN) and not name.endswith(HIDDEN))
    if of_structures and name.endswith("_count"):
        shown = False  # a structure is there or not
    numeric = name.endswith(("_count", "_mm3", "_probability", "nonfinite_voxels", *QUALITY))
    return {"name": name, "text": entry.get("Description", ""), "shown": shown, "numeric": numeric}


def _rank(record: Mapping[str, Any]) -> int:
    if record["status"] not in ("ok", "excluded"):
        return 0
    return 1 if any(value for name, value in record.items() if name.endswith("flags")) else 2


def _summary(model, cards, record, prefix: str, structures: set[str]) -> str:
    """What a scan has, in a few words."""
    if model in structures:
        return "structures"
    labels = cards[model]["output"]["labels"].values()
    return ", ".join(f"{record[f'{prefix}{label}_count']} {label}" for label in labels)


def outliers(values: np.ndarray) -> tuple[float | None, float | None, np.ndarray]:
    """Fences of values (n,) and which of them lie outside, after Tukey (1977).

    Returns
    -------
    low, high : float or None
        1.5 interquartile ranges below the lower and above the upper quartile. None with fewer than five values, and where
        the quartiles are equal: then any other value would be an outlier.
    outside : array (n,), bool
    """
    if len(values) < FEWEST:
        return None, None, np.zeros(len(values), bool)
    lower, upper = np.percentile(values, [25, 75])
    if lower == upper:
        return None, None, np.zeros(len(values), bool)
    low, high = lower - FENCE * (upper - lower), upper + FENCE * (upper - lower)
    return float(low), float(high), (values < low) | (values > high)


def _distributions(
    cohort: pd.DataFrame,
    columns: Mapping[str, Mapping[str, Any]],
    models: list[str],
    structures: set[str],
) -> list[dict[str, Any]]:
    """Counts, volumes and quality columns with their values by row, and the rows that are outliers."""
    drawn = []
    for name in cohort.columns:
        of_structures = _is_of(name, structures, len(models) > 1)
        counts = name.endswith("_count") and not of_structures
        volumes = name.endswith("_volume_mm3") and not name.endswith(HIDDEN)
        if not (counts or volumes or name.endswith(QUALITY)):
            continue
        numbers = pd.to_numeric(cohort[name], errors="coerce").reset_index(drop=True).dropna()
        if numbers.empty:
            continue
        low, high, outside = outliers(numbers.to_numpy(float))
        entry = columns.get(name, {})
        of_model = [model for model in models if len(models) > 1 and name.startswith(f"{model}_")]
        drawn.append(
            {
                "title": ": ".join([*of_model[:1], str(entry.get("LongName", name))]),
                "units": entry.get("Units", ""),
                "model": of_model[0] if of_model else "",
                "values": list(zip(numbers.index.tolist(), numbers.tolist(), strict=True)),
                "low": low if outside.any() else None,
                "high": high if outside.any() else None,
                "outliers": numbers.index[outside].tolist(),
            }
        )
    return drawn


def _queue(
    lesions: pd.DataFrame,
    pages: list[dict[str, Any]],
    cards: Mapping[str, Mapping[str, Any]],
    structures: set[str],
) -> list[list[int]]:
    """Page, number and 1 if counted else 0 of each lesion: most reasons to look first, then nearest to the threshold."""
    page_of = {(page["model"], page["scan"]): number for number, page in enumerate(pages)}
    tables = []
    for model, group in lesions[lesions.lesion != ""].groupby("model", sort=False):
        if model in structures or model not in cards:
            continue
        measures = ("fold_agreement", "max_probability", "elongation", "edge_distance_mm")
        numbers = group.assign(
            **{name: pd.to_numeric(group[name]) for name in (*measures, "equivalent_diameter_mm")}
        )
        threshold = cards[str(model)]["postprocess"]["threshold"]
        priority = prioritize(numbers, threshold)
        count = priority.reasons.map(len)
        nearness = (numbers.max_probability - (threshold or 0)).abs()
        tables.append(group.assign(reasons=-count, nearness=nearness))
    if not tables:
        return []
    ordered = pd.concat(tables).sort_values(["reasons", "nearness"], kind="stable")
    columns = (ordered[name].tolist() for name in ("model", "scan", "lesion", "kept"))
    return [
        [page_of[model, scan], int(lesion), int(kept == "true")]
        for model, scan, lesion, kept in zip(*columns, strict=True)
        if (model, scan) in page_of
    ]
