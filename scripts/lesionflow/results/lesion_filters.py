"""Which lesions count, and what those sum up to."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # imported where it is used: its import takes longer than most steps run
    import pandas as pd


def apply_filters(table: "pd.DataFrame", rules: Mapping[str, Any]) -> "pd.DataFrame":
    """The table with ``kept`` (bool) and ``dropped_because`` (text, empty for a kept lesion).

    Parameters
    ----------
    table
        Of ``lesions.measure``.
    rules
        The card's ``postprocess``. Dropped are lesions smaller than ``min_volume_mm3``, lesions with a larger share
        of their voxels outside the brain mask than ``outside_brain``, and with ``keep_largest`` all but the largest of
        each label, which ``connected_components.label_lesions`` numbers first.
    """
    import pandas as pd

    filtered = table.copy()
    dropped_because = []
    largest = set(table.groupby("label").lesion.min()) if rules["keep_largest"] else None
    for row in table.itertuples():
        reasons = []
        if largest is not None and row.lesion not in largest:
            reasons.append("not the largest of its label")
        if row.volume_mm3 < rules["min_volume_mm3"] - 1e-6:
            reasons.append(f"volume under {rules['min_volume_mm3']:g} mm3")
        if row.outside_brain > rules["outside_brain"]:
            reasons.append(f"{row.outside_brain:.0%} outside the brain mask")
        dropped_because.append("; ".join(reasons))
    filtered["dropped_because"] = pd.Series(dropped_because, index=table.index, dtype=object)
    filtered["kept"] = filtered["dropped_because"] == ""
    return filtered


def label_values(lesions: "pd.DataFrame", labels: Mapping[int, str]) -> np.ndarray:
    """Value in the label map by lesion number, int16: its label's if the lesion is kept, else 0.

    Parameters
    ----------
    lesions
        ``label`` and ``kept`` of the lesions 1, 2, 3 ...
    labels
        Name of each label by its value.
    """
    values = {name: value for value, name in labels.items()}
    rows = zip(lesions.label, lesions.kept, strict=True)
    return np.array([0, *(values[label] if kept else 0 for label, kept in rows)], np.int16)


def summarize(
    table: "pd.DataFrame",
    probability: np.ndarray,
    names: dict[int, str],
    voxel_mm3: float | None = None,
    total: str | None = None,
) -> "pd.DataFrame":
    """One row per label: count, volumes in mm³ and the highest probability of the whole map.

    Only kept lesions count. Without any, ``count`` and ``volume_mm3`` are 0; the mean, median and largest volume are
    undefined and so missing.

    Parameters
    ----------
    table
        Of ``apply_filters``.
    probability : array (x, y, z, label)
        Mean over folds.
    names
        Name of each label by its value, in the order of the channels of ``probability``.
    voxel_mm3
        Volume of a voxel: adds ``soft_volume_mm3``, the sum of a label's probabilities times this volume.
    total
        Name of an additional last row with the soft volume of all labels together.
    """
    import pandas as pd

    rows = []
    for channel, (value, name) in enumerate(names.items()):
        volumes = table.loc[(table.label == name) & table.kept.astype(bool), "volume_mm3"]
        rows.append(
            {
                "index": value,
                "name": name,
                "count": len(volumes),
                "volume_mm3": float(volumes.sum()),
                "mean_volume_mm3": volumes.mean(),
                "median_volume_mm3": volumes.median(),
                "max_volume_mm3": volumes.max(),
                "max_probability": float(probability[..., channel].max()),
            }
        )
    if voxel_mm3 is not None:
        soft = probability.sum(axis=(0, 1, 2), dtype=np.float64) * voxel_mm3
        for row, volume in zip(rows, soft, strict=True):
            row["soft_volume_mm3"] = float(volume)
        if total is not None:
            rows.append({"index": "", "name": total, "soft_volume_mm3": float(soft.sum())})
    return pd.DataFrame(rows)
