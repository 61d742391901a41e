"""From probability maps to lesions: the label map, and the table with one row per lesion."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from nibabel.affines import apply_affine

from lesionflow.base.label_channels import background_channels, decides_by_argmax
from lesionflow.imaging.connected_components import bounding_boxes
from lesionflow.imaging.grids import equivalent_diameter_mm, nearest_voxels

if TYPE_CHECKING:  # imported where it is used: its import takes longer than most steps run
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
    """Label of every voxel, 0 for none.

    Parameters
    ----------
    probability : array (x, y, z, label)
        For ``sigmoid``, one channel per label, the first for label 1; for ``softmax``, the first channel is
        the background.
    activation
        ``sigmoid``: the most probable of the labels whose probability is *above* ``threshold``.
        ``softmax``: the most probable channel; with only two channels, label 1 where its probability is
        above ``threshold``.
    threshold
        Strict, as in SHiVAi: a voxel equal to it is not a lesion.

    Returns
    -------
    array (x, y, z), int16
        Channel numbers: 1 is the first label.
    """
    labels = probability[..., background_channels(activation) :]
    if decides_by_argmax(activation, labels.shape[3]):
        return _highest(probability)
    if labels.shape[3] == 1:
        return (labels[..., 0] > threshold).astype(np.int16)
    return np.where(labels.max(axis=3) > threshold, _highest(labels) + 1, 0).astype(np.int16)


def _highest(maps: np.ndarray) -> np.ndarray:
    """Channel (x, y, z), int16, of the highest value of maps (x, y, z, channel), the first in a tie."""
    channel = np.empty(maps.shape[:3], np.int16, order="F")
    for z in range(maps.shape[2]):  # argmax copies its input: plane by plane, the copy is small
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
    """One row per lesion, in the order of their numbers, before any filter.

    Parameters
    ----------
    lesions : array (x, y, z), int
        Connected components of ``labels``, numbered from 1 (``connected_components.label_lesions``).
    labels : array (x, y, z), int
        Label map.
    probability : array (x, y, z, label)
        Mean over folds; channel n - 1 belongs to label n.
    folds : arrays (x, y, z), int
        Label map of each fold.
    affine : array (4, 4)
        Of all these arrays. Volumes are mm³ by its determinant, positions are RAS+ mm.
    brain : array (x, y, z), bool
        Brain mask.
    names
        Name of each label by its number.
    regions : array (x, y, z), int, optional
        Region numbers, 0 for none. The region of a lesion is the most frequent number above 0 among its voxels, the
        lowest in a tie.

    Returns
    -------
    DataFrame
        The columns of ``MEASURES`` but ``i, j, k`` and those of ``lesion_filters.apply_filters``, then ``peak`` (voxel on this grid)
        and ``outside_brain`` (share of voxels, 0 to 1). Without a lesion it has the same columns and no row.
    """
    import pandas as pd

    rows = []
    for number, box in bounding_boxes(lesions).items():
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
                "equivalent_diameter_mm": equivalent_diameter_mm(volume),
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
    """Ratio (at least 1) of the longest to the shortest principal axis of voxels at world positions (n, 3).

    Square root of the ratio of the largest to the smallest eigenvalue of the second moments. A voxel is a solid cell
    with moments M Mᵀ / 12 of its own (M: the 3 x 3 part of ``affine``), so that a single cubic voxel has 1 and the
    smallest eigenvalue of a flat lesion is not 0.
    """
    cell = affine[:3, :3] @ affine[:3, :3].T / 12
    spread = xyz_mm - xyz_mm.mean(axis=0)
    moments = np.linalg.eigvalsh(spread.T @ spread / len(xyz_mm) + cell)
    return float(np.sqrt(moments[-1] / moments[0]))


def peak(values: np.ndarray, xyz: np.ndarray, centre: np.ndarray) -> int:
    """Index of the voxel with the highest of ``values`` (n,) among a lesion's voxels.

    In a tie the voxel nearest to ``centre``, then the one lowest in z, y and x.

    Parameters
    ----------
    values : array (n,)
        Probabilities.
    xyz : array (n, 3)
        World positions in mm.
    centre : array (3,)
        Of the lesion, in mm.
    """
    distance = np.round(np.linalg.norm(xyz - centre, axis=1), 3)
    x, y, z = np.round(xyz, 3).T
    return int(np.lexsort((x, y, z, distance, -values))[0])


def _majority(regions: np.ndarray) -> str:
    numbers, counts = np.unique(regions[regions > 0], return_counts=True)
    return str(int(numbers[counts.argmax()])) if len(numbers) else ""


def claim_voxels(
    peaks_mm: np.ndarray,
    strengths: np.ndarray,
    affine: np.ndarray,
    shape: tuple[int, ...],
) -> np.ndarray:
    """Indices (n, 3) of one voxel of the scan for each lesion, all different.

    A lesion gets the voxel at its peak. Where slices are so thick that several peaks lie in one voxel, the strongest
    lesion gets it, and each of the others the free voxel that is nearest to its peak.

    Parameters
    ----------
    peaks_mm : array (n, 3)
        World positions.
    strengths : array (n,)
        Peak probabilities; in a tie the first lesion of the table is the strongest.
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
    for n in crowded:  # after all lesions that have the voxel at their peak
        reach, free = 0, np.empty((0, 3), int)
        while not len(free):
            reach += 1
            offsets = np.indices((2 * reach + 1,) * 3).reshape(3, -1).T - reach
            near = claimed[n] + offsets
            near = near[((near >= 0) & (near < shape[:3])).all(axis=1)]
            free = np.array([v for v in near if tuple(v) not in taken], int).reshape(-1, 3)
        distance = np.linalg.norm(apply_affine(affine, free) - peaks_mm[n], axis=1)
        claimed[n] = free[distance.argmin()]
        taken.add(tuple(claimed[n]))
    return claimed
