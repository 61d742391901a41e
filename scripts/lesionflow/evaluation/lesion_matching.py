"""Overlap of predicted and reference lesions, at every threshold and minimum size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from nibabel.affines import apply_affine
from scipy import ndimage

from lesionflow.base.label_channels import background_channels, decides_by_argmax
from lesionflow.evaluation.reference_lesions import (
    ReferenceLesions,
    VoxelCorrespondence,
    nearest_reference_voxels,
    voxel_correspondence,
)
from lesionflow.imaging.connected_components import label_lesions
from lesionflow.imaging.grids import Grid, bounding_box
from lesionflow.results.lesion_filters import apply_filters
from lesionflow.results.lesions import label_map, peak

THRESHOLDS = tuple(round(0.05 * n, 2) for n in range(1, 20))
SIZES_MM3 = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0)
COUNTED = [
    "label",
    "lesions",
    "found",
    "count",
    "true_detections",
    "outside_truth",
    "volume_mm3",
    "truth_volume_mm3",
    "voxels",
    "truth_voxels",
    "voxels_both",
]


@dataclass(frozen=True)
class Match:
    """Connected components of a label map, and their overlap with the reference lesions.

    ``table`` has one row per predicted lesion, in the order of their numbers: ``label`` (position among
    the card's labels, from 1), ``volume_mm3``, ``outside_brain``, ``probability`` (sum over its voxels),
    ``voxels`` (on the reference grid; a lesion to which no reference voxel is nearest has the voxel at
    its peak), ``outside_truth`` (whether it lies entirely outside of the reference's field of view).
    ``pairs`` has one row per pair of lesions that share voxels: ``predicted``, ``true``, ``voxels``.
    """

    numbers: np.ndarray
    affine: np.ndarray
    table: pd.DataFrame
    pairs: pd.DataFrame


def match(
    labels: np.ndarray,
    probability: np.ndarray,
    brain: np.ndarray,
    grid: Grid,
    box: tuple[slice, ...],
    connectivity: int,
    truth: ReferenceLesions,
    correspondence: VoxelCorrespondence,
) -> Match:
    """Number the lesions of a label map as in segmentation, and pair them with the reference lesions.

    Parameters
    ----------
    labels : array (x, y, z), int
        Within ``box`` of ``grid``, as from ``lesions.label_map``.
    probability : array (x, y, z, label)
        Within the box; channel n - 1 belongs to label n.
    brain : array (x, y, z), bool
        Within the box.
    grid, box
        The model's grid, and a box in it that contains every labelled voxel.
    connectivity
        The card's connectivity.
    truth, correspondence
        See ``reference_lesions``.
    """
    start = np.array([axis.start for axis in box])
    affine = grid.affine.copy()
    affine[:3, 3] = apply_affine(grid.affine, start)
    numbers = label_lesions(labels, connectivity, affine)
    places = np.nonzero(numbers)
    own = numbers[places]
    count = int(own.max()) if len(own) else 0
    size = np.bincount(own, minlength=count + 1)[1:]
    label = np.zeros(count + 1, np.int64)
    label[own] = labels[places]
    table = pd.DataFrame(
        {
            "label": label[1:],
            "volume_mm3": size * grid.voxel_mm3,
            "outside_brain": np.bincount(own, ~brain[places], count + 1)[1:] / np.maximum(size, 1),
            "probability": np.bincount(own, probability[(*places, label[own] - 1)], count + 1)[1:],
        }
    )
    predicted = np.zeros(len(correspondence.model), np.int32)
    known = np.flatnonzero(correspondence.model >= 0)
    at = np.stack(np.unravel_index(correspondence.model[known], grid.shape)) - start[:, None]
    inside = ((at >= 0) & (at < np.array(numbers.shape)[:, None])).all(axis=0)
    predicted[known[inside]] = numbers[tuple(at[:, inside])]

    voxels = np.bincount(predicted, minlength=count + 1)[1:]
    hidden = np.flatnonzero(voxels == 0) + 1
    boxes = ndimage.find_objects(numbers)
    peaks = np.array(
        [_peak_mm(int(n), boxes[n - 1], numbers, label, probability, affine) for n in hidden]
    )
    at_peak = nearest_reference_voxels(truth, peaks)
    seen, taken = hidden[at_peak >= 0], at_peak[at_peak >= 0]
    # the single voxel of such a lesion counts towards Dice only if no other lesion has it
    free = (
        ~np.isin(taken, correspondence.truth[predicted > 0])
        & ~pd.Series(taken).duplicated().to_numpy()
    )
    voxels[seen - 1] = free
    table["voxels"] = voxels
    table["outside_truth"] = np.isin(np.arange(1, count + 1), hidden[at_peak < 0])
    both = (predicted > 0) & (correspondence.number > 0)
    pairs = pd.DataFrame(
        {
            "predicted": np.concatenate([predicted[both], seen]),
            "true": np.concatenate([correspondence.number[both], truth.numbers.ravel()[taken]]),
            "voxels": np.concatenate([np.ones(int(both.sum()), np.int64), free]),
        }
    )
    pairs = pairs[label[pairs.predicted] == truth.label[pairs.true]]
    pairs = pairs.groupby(["predicted", "true"], as_index=False).voxels.sum()
    table["lesion"] = np.arange(1, len(table) + 1)  # the filters need it
    return Match(numbers, affine, table, pairs)


def _peak_mm(
    number: int,
    box: tuple[slice, ...],
    numbers: np.ndarray,
    label: np.ndarray,
    probability: np.ndarray,
    affine: np.ndarray,
) -> np.ndarray:
    voxels = np.argwhere(numbers[box] == number) + [axis.start for axis in box]
    xyz = apply_affine(affine, voxels)
    values = probability[(*voxels.T, label[number] - 1)]
    return xyz[peak(values, xyz, xyz.mean(axis=0))]


def counted(
    found: Match, truth: ReferenceLesions, rules: Mapping[str, Any], n_labels: int
) -> pd.DataFrame:
    """Counts per label after the filters of ``rules``, one row per label.

    Returns
    -------
    DataFrame
        ``label`` (from 1), ``lesions`` (reference lesions) and how many were ``found``, ``count``
        (predicted lesions), how many are ``true_detections`` or ``outside_truth``, ``volume_mm3`` and
        ``truth_volume_mm3``, and voxels on the reference grid: ``voxels``, ``truth_voxels``, ``voxels_both``.
    """
    kept = apply_filters(found.table, dict(rules)).kept.to_numpy(bool)
    pairs = found.pairs[kept[found.pairs.predicted - 1]]
    rows = []
    for label in range(1, n_labels + 1):
        own, true = kept & (found.table.label == label).to_numpy(), truth.label == label
        mine = pairs[true[pairs.true]]
        rows.append(
            {
                "label": label,
                "lesions": int(true.sum()),
                "found": mine.true.nunique(),
                "count": int(own.sum()),
                "true_detections": mine.predicted.nunique(),
                "outside_truth": int(found.table.outside_truth[own].sum()),
                "volume_mm3": float(found.table.volume_mm3[own].sum()),
                "truth_volume_mm3": float(truth.volume_mm3[true].sum()),
                "voxels": int(found.table.voxels[own].sum()),
                "truth_voxels": int(truth.voxels[true].sum()),
                "voxels_both": int(mine.voxels.sum()),
            }
        )
    return pd.DataFrame(rows, columns=COUNTED)


def sweep(
    probability: np.ndarray,
    brain: np.ndarray,
    grid: Grid,
    truth: ReferenceLesions,
    output: Mapping[str, Any],
    rules: Mapping[str, Any],
    thresholds: Sequence[float] = THRESHOLDS,
    sizes_mm3: Sequence[float] = SIZES_MM3,
    name: str = "the truth",
) -> tuple[pd.DataFrame, Match]:
    """Counts at every threshold and minimum size, and the match at the card's threshold.

    Softmax with several labels uses the argmax instead of a threshold; ``threshold`` is then NaN.

    Parameters
    ----------
    probability : array (x, y, z, channel)
        Mean over the folds, as ``average_folds`` writes it.
    brain : array (x, y, z), bool
    grid
        The model's grid.
    truth
        From ``reference_lesions.reference_lesions``.
    output, rules
        The card's ``output`` and ``postprocess``; the card's threshold and size are included.
    name
        Name of the reference image in error messages.

    Returns
    -------
    DataFrame
        The columns of ``counted``, and ``threshold``, ``min_volume_mm3`` and ``card`` (whether both
        are the card's).
    Match
        At the card's threshold, all sizes.

    Raises
    ------
    ScanError
        See ``reference_lesions.voxel_correspondence``.
    """
    activation, own = output["activation"], rules["threshold"]
    argmax = decides_by_argmax(activation, probability.shape[3] - background_channels(activation))
    tried = [own] if argmax else sorted({*thresholds, own})
    sizes = sorted({*sizes_mm3, float(rules["min_volume_mm3"])})
    lowest = label_map(probability, activation, tried[0])
    box = bounding_box(lowest > 0)
    correspondence = voxel_correspondence(truth, grid, lowest > 0, name)
    inside, first = probability[box], background_channels(activation)
    parts, above, rows, found, at_card = [], -1, pd.DataFrame(), None, None
    for threshold in tried:
        labels = label_map(inside, activation, threshold)
        if above != (above := int(np.count_nonzero(labels))):
            # a higher threshold only removes voxels, so an equal count means an equal map
            found = match(
                labels,
                inside[..., first:],
                brain[box],
                grid,
                box,
                rules["connectivity"],
                truth,
                correspondence,
            )
            rows = pd.concat(
                [
                    counted(
                        found, truth, {**rules, "min_volume_mm3": size}, len(output["labels"])
                    ).assign(min_volume_mm3=size)
                    for size in sizes
                ],
                ignore_index=True,
            )
        at_card = found if threshold == own else at_card
        card = (rows.min_volume_mm3 == rules["min_volume_mm3"]) & (threshold == own)
        parts.append(rows.assign(threshold=np.nan if argmax else threshold, card=card))
    assert at_card is not None
    return pd.concat(parts, ignore_index=True), at_card
