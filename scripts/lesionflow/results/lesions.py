"""From probability maps to lesions: components, filters and the table with one row a lesion."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from nibabel.affines import apply_affine

from lesionflow.imaging.connected_components import boxes
from lesionflow.imaging.grids import nearest_voxels

if TYPE_CHECKING:  # it takes longer to start than most steps to end
    import pandas as pd

MEASURES = [
    "label",
    "lesion",
    "x_mm",
    "y_mm",
    "z_mm",
    "i",
    "j",
    "k",
    "volume_mm3",
    "equivalent_diameter_mm",
    "elongation",
    "max_probability",
    "mean_probability",
    "fold_agreement",
    "region",
    "kept",
    "dropped_because",
]


def label_map(probability: np.ndarray, activation: str, threshold: float) -> np.ndarray:
    """Label of every voxel: the channel that says so, 0 for none.

    Parameters
    ----------
    probability : array (x, y, z, label)
        For ``sigmoid``, one channel a label (values from 1 in their order); for ``softmax``, the
        first channel is the background.
    activation
        ``sigmoid``: the most probable of the labels whose probability is *above* ``threshold``.
        ``softmax``: the most probable channel, and where that is a label, its probability must be
        above ``threshold`` if there are only two channels.
    threshold
        Strict, as in SHiVAi: a voxel equal to it is not a lesion.

    Returns
    -------
    array (x, y, z), int16
        Channel numbers: 1 is the first label.
    """
    if activation == "softmax" and probability.shape[3] > 2:
        return _highest(probability)
    labels = probability[..., 1:] if activation == "softmax" else probability
    if labels.shape[3] == 1:
        return (labels[..., 0] > threshold).astype(np.int16)
    return np.where(labels.max(axis=3) > threshold, _highest(labels) + 1, 0).astype(np.int16)


def _highest(maps: np.ndarray) -> np.ndarray:
    """The channel (x, y, z), int16, that is highest (of equal ones the first) of maps (x, y, z, channel)."""
    channel = np.empty(maps.shape[:3], np.int16, order="F")
    for z in range(maps.shape[2]):  # NumPy copies what it looks through: a plane instead of all
        channel[:, :, z] = maps[:, :, z].argmax(axis=2)
    return channel


def measure(
    lesions: np.ndarray,
    labels: np.ndarray,
    probability: np.ndarray,
    folds: Sequence[np.ndarray] | np.ndarray,
    affine: np.ndarray,
    brain: np.ndarray,
    names: dict[int, str],
    regions: np.ndarray | None = None,
) -> "pd.DataFrame":
    """One row a lesion, in the order of their numbers, before any filter.

    Parameters
    ----------
    lesions : array (x, y, z), int
        Components, numbered from 1 (see ``components``).
    labels : array (x, y, z), int
        The label map that they are components of.
    probability : array (x, y, z, label)
        Mean over folds; channel n - 1 belongs to label n.
    folds : arrays (x, y, z), int
        Each fold's own label map.
    affine : array (4, 4)
        Of all of these; volumes are mm³ by its determinant, positions are RAS+ mm.
    brain : array (x, y, z), bool
    names
        Label value to name.
    regions : array (x, y, z), int, optional
        Region numbers; a lesion's is the most frequent one among its voxels that have one, the
        lowest of several.

    Returns
    -------
    DataFrame
        The columns of ``MEASURES`` without ``i, j, k``, and ``peak`` (voxel on this grid) and
        ``outside_brain`` (share of voxels). No lesion gives no rows, same columns.
    """
    import pandas as pd

    rows = []
    for number, box in boxes(lesions).items():
        inside = lesions[box] == number
        offset = np.array([axis.start for axis in box])
        voxels = np.argwhere(inside) + offset
        label = int(labels[tuple(voxels[0])])
        values = probability[(*voxels.T, label - 1)]
        xyz = apply_affine(affine, voxels)
        centre = xyz.mean(axis=0)
        volume = len(voxels) * float(abs(np.linalg.det(affine[:3, :3])))
        rows.append(
            {
                "label": names[label],
                "lesion": number,
                **dict(zip(("x_mm", "y_mm", "z_mm"), centre, strict=True)),
                "volume_mm3": volume,
                "equivalent_diameter_mm": (6 * volume / np.pi) ** (1 / 3),
                "elongation": elongation(xyz, affine),
                "max_probability": float(values.max()),
                "mean_probability": float(values.mean()),
                "fold_agreement": float(
                    np.mean([(fold[tuple(voxels.T)] == label).any() for fold in folds])
                ),
                "region": _majority(regions[tuple(voxels.T)]) if regions is not None else "",
                "peak": voxels[peak(values, xyz, centre)],
                "outside_brain": float(np.mean(~brain[tuple(voxels.T)])),
            }
        )
    columns = [c for c in MEASURES[:-2] if c not in "ijk"] + ["peak", "outside_brain"]
    return pd.DataFrame(rows, columns=columns)


def elongation(xyz_mm: np.ndarray, affine: np.ndarray) -> float:
    """Longest over shortest principal axis (>= 1) of voxels at world positions (n, 3).

    Square root of the ratio of the largest to the smallest eigenvalue of the second moments. Each
    voxel counts as the solid cell that it is (its own moments are M Mᵀ / 12), so that a single
    cubic voxel has 1 and a flat lesion no zero to divide by.
    """
    cell = affine[:3, :3] @ affine[:3, :3].T / 12
    spread = xyz_mm - xyz_mm.mean(axis=0)
    moments = np.linalg.eigvalsh(spread.T @ spread / len(xyz_mm) + cell)
    return float(np.sqrt(moments[-1] / moments[0]))


def peak(values: np.ndarray, xyz: np.ndarray, centre: np.ndarray) -> int:
    """Which of a lesion's voxels is its peak; of equal ones the most central, then the lowest in the world."""
    away = np.round(np.linalg.norm(xyz - centre, axis=1), 3)
    x, y, z = np.round(xyz, 3).T
    return int(np.lexsort((x, y, z, away, -values))[0])


def _majority(regions: np.ndarray) -> str:
    numbers, counts = np.unique(regions[regions > 0], return_counts=True)
    return str(int(numbers[counts.argmax()])) if len(numbers) else ""


def judge(table: "pd.DataFrame", rules: dict[str, Any]) -> "pd.DataFrame":
    """The table with ``kept`` (bool) and ``dropped_because`` (text, empty for the kept).

    Parameters
    ----------
    table
        Of ``measure``.
    rules
        The card's ``postprocess``: lesions under ``min_volume_mm3``, or with a larger share of
        their voxels outside the brain mask than ``outside_brain``, are dropped; with ``keep_largest`` all
        but the first of each label as well (``components`` puts the largest first).
    """
    import pandas as pd

    judged = table.copy()
    reasons = []
    first = set(table.groupby("label").lesion.min()) if rules["keep_largest"] else None
    for row in table.itertuples():
        why = []
        if first is not None and row.lesion not in first:
            why.append("not the largest of its label")
        if row.volume_mm3 < rules["min_volume_mm3"] - 1e-6:
            why.append(f"volume under {rules['min_volume_mm3']:g} mm3")
        if row.outside_brain > rules["outside_brain"]:
            why.append(f"{row.outside_brain:.0%} outside the brain mask")
        reasons.append("; ".join(why))
    judged["dropped_because"] = pd.Series(reasons, index=table.index, dtype=object)
    judged["kept"] = judged["dropped_because"] == ""
    return judged


def claim_voxels(
    peaks_mm: np.ndarray,
    strengths: np.ndarray,
    affine: np.ndarray,
    shape: tuple[int, ...],
) -> np.ndarray:
    """A voxel of the scan for each lesion, no two the same: (n, 3) indices.

    That is the voxel at the lesion's peak. Where slices are so thick that several peaks lie in one
    voxel, the strongest has it and the others the free voxel that is nearest to their peak.

    Parameters
    ----------
    peaks_mm : array (n, 3)
        World positions.
    strengths : array (n,)
        Peak probabilities; of equal ones the first in the table goes first.
    affine, shape
        Of the scan.
    """
    claimed = nearest_voxels(peaks_mm.reshape(-1, 3), affine, shape)
    taken: set[tuple[int, ...]] = set()
    crowded = []
    for n in np.argsort(-strengths, kind="stable"):
        if tuple(claimed[n]) in taken:
            crowded.append(n)
        taken.add(tuple(claimed[n]))
    for n in crowded:  # once everyone has its own voxel who can
        reach, free = 0, np.empty((0, 3), int)
        while not len(free):
            reach += 1
            around = np.indices((2 * reach + 1,) * 3).reshape(3, -1).T - reach
            near = claimed[n] + around
            near = near[((near >= 0) & (near < shape[:3])).all(axis=1)]
            free = np.array([v for v in near if tuple(v) not in taken], int).reshape(-1, 3)
        away = np.linalg.norm(apply_affine(affine, free) - peaks_mm[n], axis=1)
        claimed[n] = free[away.argmin()]
        taken.add(tuple(claimed[n]))
    return claimed


def summarize(
    table: "pd.DataFrame",
    probability: np.ndarray,
    names: dict[int, str],
    voxel_mm3: float | None = None,
    total: str | None = None,
) -> "pd.DataFrame":
    """One row a label: count, volumes in mm³ and the highest probability of the whole map.

    ``names`` has the labels' values and names in the order of the probabilities' channels. Only kept lesions count. With none, ``count`` and ``volume_mm3`` are 0, and the mean, median and
    largest volume of no lesions, which are not defined, are missing. With ``voxel_mm3`` there are soft
    volumes as well, the sums of each label's probabilities, and with ``total`` a last row of this name
    has that of all labels together.
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
